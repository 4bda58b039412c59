package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"dynotap/internal/db"
)

// Readiness is what a running dynotap says of itself.
type Readiness struct {
	Reasons []string // why samples are not accepted; none: they are
	Notes   []string // what a user should know all the same
}

// directory is the check of the data directory and of who holds it.
type directory struct {
	path    string
	create  func(dir string) (syncFile, error)
	holder  func(dir string) (db.Holder, error)
	running func(ctx context.Context) (Readiness, error)
}

func (d *directory) look(ctx context.Context) []Finding {
	f := d.usable()
	if f.Severity == Error {
		return []Finding{f}
	}
	holder, err := d.holder(d.path)
	switch {
	case errors.Is(err, db.ErrNotHeld):
		return []Finding{f}
	case err != nil:
		f.Severity = Error
		f.Found = fmt.Sprintf("who uses the data directory %s cannot be seen: %v", d.path, err)
		f.Mend = "Run dynotap as the user whose directory it is, or choose another with --data."
		return []Finding{f}
	}
	f.Details["holder_pid"] = holder.PID
	f.Found = fmt.Sprintf("%s can be written; process %d has it open", d.path, holder.PID)
	if holder.Address == "" {
		f.Severity = Info
		f.Found += ", a dynotap command that serves nothing"
		f.Mend = "A recording starts when that process has ended."
		return []Finding{f}
	}
	return append([]Finding{f}, d.ask(ctx, holder)...)
}

// usable says whether the directory can be written, or made.
func (d *directory) usable() Finding {
	f := Finding{Check: checkDirectory, Severity: OK, Details: map[string]any{"path": d.path}}
	at := standing(d.path)
	made := ""
	if at != d.path {
		made = " (it does not exist yet: the first recording makes it)"
	}
	info, err := os.Stat(at)
	if err == nil && !info.IsDir() {
		f.Severity, f.Found = Error, fmt.Sprintf("the data directory %s cannot be: %s is a file", d.path, at)
		f.Mend = "Choose another directory with --data or queue.persist_path."
		return f
	}
	file, err := d.create(at)
	if err == nil {
		err = file.Close()
	}
	switch {
	case err == nil:
		f.Found = fmt.Sprintf("%s can be written%s", d.path, made)
	case errors.Is(err, fs.ErrPermission):
		f.Severity, f.Found = Error, fmt.Sprintf("this user may not write to the data directory %s%s", d.path, made)
		f.Mend = fmt.Sprintf("Make %s this user's (Linux, macOS: sudo chown -R $USER; Windows: Properties > Security), or choose another directory with --data.", at)
	default:
		f.Severity, f.Found = Error, fmt.Sprintf("the data directory %s%s cannot be written: %v", d.path, made, err)
		f.Mend = "Make room or mend the disk, or choose another directory with --data or queue.persist_path."
	}
	return f
}

// ask gives the running instance's own view.
func (d *directory) ask(ctx context.Context, holder db.Holder) []Finding {
	if d.running == nil {
		return nil
	}
	f := Finding{Check: checkRunning, Severity: OK, Details: map[string]any{"pid": holder.PID, "address": holder.Address}}
	r, err := d.running(ctx)
	switch {
	case err != nil:
		f.Severity, f.Found = Warning, fmt.Sprintf("dynotap (process %d) has the data directory open, but does not answer at %s: %v", holder.PID, holder.Address, err)
		f.Mend = "If dynotap status fails too, end that process and start dynotap run again: what it has accepted is kept."
	case len(r.Reasons) > 0:
		f.Severity, f.Found = Error, fmt.Sprintf("dynotap runs at %s and does not accept samples: %s", holder.Address, strings.Join(r.Reasons, "; "))
		f.Mend = "dynotap status and dynotap queue stats show what is in the way."
	case len(r.Notes) > 0:
		f.Severity, f.Found = Info, fmt.Sprintf("dynotap runs at %s and accepts samples; it notes: %s", holder.Address, strings.Join(r.Notes, "; "))
	default:
		f.Found = fmt.Sprintf("dynotap runs at %s and accepts samples", holder.Address)
	}
	return []Finding{f}
}
