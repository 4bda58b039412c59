package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Of the disk's size at least so much has to be free (DESIGN decision 10).
const (
	// LowSpace: below it the user is warned.
	LowSpace = 0.10
	// NoSpace: below it imports stop.
	NoSpace = 0.05
)

const (
	// slowFsync is what a disk may take to make a small write durable, as the
	// median. Above it a live session of a hundred batches a second lives on
	// their being written together, and any hitch fills the queue.
	slowFsync = 50 * time.Millisecond
	// fsyncs are timed, each of a page.
	fsyncs   = 9
	pageSize = 4096
)

// syncFile is a file in the data directory that vanishes when it is closed.
type syncFile interface {
	Write(p []byte) (int, error)
	Sync() error
	Close() error
}

// createFile makes a file with a name of its own.
func createFile(dir string) (syncFile, error) {
	f, err := os.CreateTemp(dir, ".dynotap-doctor-*")
	if err != nil {
		return nil, err
	}
	return &passing{f}, nil
}

// passing is a file that is removed when it is closed.
type passing struct{ *os.File }

// Close closes and removes the file.
func (p *passing) Close() error { return errors.Join(p.File.Close(), os.Remove(p.Name())) }

// standing is the directory, or what exists of the way to it: a data directory
// is made by the first recording, on the same disk.
func standing(path string) string {
	for {
		above := filepath.Dir(path)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || above == path {
			return path
		}
		path = above
	}
}

// disk is the checks of the disk under the data directory.
type disk struct {
	path   string
	space  func(dir string) (free, total uint64, err error)
	create func(dir string) (syncFile, error)
	now    func() time.Time
}

func (d *disk) lookSpace(context.Context) []Finding {
	f := Finding{Check: checkSpace, Severity: OK}
	free, total, err := d.space(standing(d.path))
	if err != nil || total == 0 {
		f.Severity, f.Found = Warning, fmt.Sprintf("free space on the disk of %s is not known: %v", d.path, err)
		f.Mend = "Look at it yourself: a full disk stops the recording. Or choose another directory with --data."
		return []Finding{f}
	}
	share := float64(free) / float64(total)
	f.Details = map[string]any{"free_bytes": free, "total_bytes": total}
	f.Found = fmt.Sprintf("%.1f GB, %.0f %% of the disk of %s, are free", float64(free)/1e9, 100*share, d.path)
	const room = "Make room on that disk: dynotap runs delete --all removes a session or file with all its runs and samples, retention.days what is old. Or choose another disk with --data or queue.persist_path."
	switch {
	case share < NoSpace:
		f.Severity, f.Mend = Error, room
		f.Found += fmt.Sprintf(": imports stop below %.0f %%, and a recording fails when the disk is full", 100*NoSpace)
	case share < LowSpace:
		f.Severity, f.Mend = Warning, room
	}
	return []Finding{f}
}

func (d *disk) lookFsync(ctx context.Context) []Finding {
	times, err := d.measure(ctx)
	if err != nil || len(times) == 0 {
		return nil // the check of the directory says why
	}
	slices.Sort(times)
	median, worst := times[len(times)/2], times[len(times)-1]
	f := Finding{Check: checkFsync, Severity: OK, Details: map[string]any{
		"median_ms": milliseconds(median), "worst_ms": milliseconds(worst), "limit_ms": milliseconds(slowFsync),
	}}
	f.Found = fmt.Sprintf("a small write is durable after %.1f ms (the slowest took %.1f ms)", milliseconds(median), milliseconds(worst))
	if median > slowFsync {
		f.Severity = Warning
		f.Found += ": every group of batches waits so long, and the queue fills meanwhile"
		f.Mend = "Put the data directory on an internal SSD with --data or queue.persist_path: not on a USB stick, a network drive or a folder that a cloud service synchronises; " +
			"keep virus scanners away from it."
	}
	return []Finding{f}
}

// measure times how long small writes take to be durable.
func (d *disk) measure(ctx context.Context) (times []time.Duration, err error) {
	file, err := d.create(standing(d.path))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	page := make([]byte, pageSize)
	for range fsyncs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, err := file.Write(page); err != nil {
			return nil, err
		}
		begun := d.now()
		if err := file.Sync(); err != nil {
			return nil, err
		}
		times = append(times, d.now().Sub(begun))
	}
	return times, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
