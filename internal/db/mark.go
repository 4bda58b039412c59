package db

import (
	"bytes"
	"encoding/json"
	"os"
)

// mark is what the lock file keeps of the database between two owners, so that
// a file that has vanished is missed.
type mark struct {
	Exists bool `json:"exists,omitempty"` // there is a database
	WAL    bool `json:"wal,omitempty"`    // its WAL has commits
	// Fsync: the commits in the WAL were flushed one by one.
	Fsync bool `json:"fsync,omitempty"`
	// Time is when the file was last changed before it was closed, in
	// nanoseconds.
	Time int64 `json:"time,omitempty"`
}

// knows reports whether nobody has written to the main file since it was
// closed.
func (m mark) knows(main *os.File) bool {
	if main == nil || m.Time == 0 {
		return false
	}
	info, err := main.Stat()
	return err == nil && info.ModTime().UnixNano() == m.Time
}

// synced reports whether the commits in the WAL were flushed one by one; fsync
// is the guess where nothing is known.
func (m mark) synced(fsync bool) bool {
	if m.WAL {
		return m.Fsync
	}
	return fsync
}

// lockContent is what the lock file holds. Holder is all that others read.
type lockContent struct {
	Holder
	Database mark `json:"database"`
}

// readMark gives the mark in a lock file, an empty one where there is none.
func readMark(path string) mark {
	var c lockContent
	content, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(bytes.TrimSpace(content), &c) != nil {
		return mark{}
	}
	return c.Database
}
