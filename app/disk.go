package app

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"dynotap/internal/db"
	"dynotap/pipeline"
)

// unusedNote says what nobody delivers because the queue is in memory; "" when
// there is nothing.
func unusedNote(left pipeline.Left) string {
	if left.Items == 0 && left.Dead == 0 {
		return ""
	}
	return fmt.Sprintf("%s samples wait in the queue on disk and %s among its dead letters, which a queue in memory does not look at: start once with queue.persist_to_disk true",
		thousands(left.Samples), thousands(left.Dead))
}

// quarantineNotes says which damaged databases were set aside.
func quarantineNotes(all []db.Quarantine) []string {
	notes := make([]string, 0, len(all))
	for i := range all {
		q := &all[i]
		var lost int64
		for _, t := range q.Tables {
			lost += max(t.Lost, 0)
		}
		notes = append(notes, fmt.Sprintf("the database was found damaged at %s and set aside, %s rows were lost: see %s; move that folder away when you have looked at it",
			q.Time.Local().Format(time.DateTime), thousands(lost), filepath.Join(q.Dir, "report.txt")))
	}
	return notes
}

// explainDir turns an error about the data directory into what to do about it.
func explainDir(err error, dir string) error {
	switch {
	case errors.Is(err, db.ErrLocked), errors.Is(err, db.ErrNewer), errors.Is(err, db.ErrCorrupt):
		return err
	case errors.Is(err, db.ErrDiskFull):
		return fmt.Errorf("the disk of the data directory %s is full: make room, or choose another disk with --data (%w)", dir, err)
	case errors.Is(err, db.ErrReadOnly), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot write to the data directory %s: mend its permissions, or choose another with --data (%w)", dir, err)
	}
	return fmt.Errorf("cannot use the data directory %s: choose another with --data (%w)", dir, err)
}
