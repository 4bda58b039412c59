package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"dynotap/internal/db"

	"github.com/ncruces/go-sqlite3"
)

// sealedFile is a segment as the catalog knows it.
type sealedFile struct {
	number int
	path   string // relative to the data directory, with slashes
	spans  []span // ascending by key, in the order of the file's channels
}

// span is one channel's share of a file.
type span struct {
	key         string
	rows        int64
	first, last int64 // times
}

// span gives a channel's index in the file; false where it has no samples.
func (f *sealedFile) span(key string) (index int, sp span, ok bool) {
	index, ok = slices.BinarySearchFunc(f.spans, key, func(s span, key string) int { return cmp.Compare(s.key, key) })
	if !ok || f.spans[index].rows == 0 {
		return 0, span{}, false
	}
	return index, f.spans[index], true
}

// sealedFiles is what of a capture is sealed.
type sealedFiles struct {
	files []sealedFile
	// channels holds each channel once, as described last, with the figures of
	// all files.
	channels []Channel
}

// sealedOn reads the catalog's segments of a capture with a number above
// after, in the order of their numbers.
func sealedOn(c *db.Conn, capture string, after int) (sealedFiles, error) {
	var all sealedFiles
	index := make(map[string]int)
	err := c.Query(`SELECT number, path, channels FROM segments WHERE capture = ? AND number > ? ORDER BY number`,
		func(row *sqlite3.Stmt) error {
			f := sealedFile{number: row.ColumnInt(0), path: row.ColumnText(1)}
			var channels []Channel
			if err := json.Unmarshal(row.ColumnRawText(2), &channels); err != nil {
				return fmt.Errorf("channels of segment %d: %w", f.number, err)
			}
			for i := range channels {
				ch := &channels[i]
				at, known := index[ch.Key]
				if !known {
					at = len(all.channels)
					index[ch.Key] = at
					all.channels = append(all.channels, description(ch))
				}
				if c := &all.channels[at]; ch.DescribedUS >= c.DescribedUS {
					before := *c
					*c = description(ch)
					absorb(c, &before)
				}
				absorb(&all.channels[at], ch)
				f.spans = append(f.spans, span{key: all.channels[at].Key, rows: ch.Rows, first: ch.FirstUS, last: ch.LastUS})
			}
			all.files = append(all.files, f)
			return nil
		}, capture, after)
	if err != nil {
		return sealedFiles{}, fmt.Errorf("read segments of capture %s: %w", capture, err)
	}
	return all, nil
}
