package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// maxGroup and maxGroupTime bound one transaction, so that the first job
	// of a group does not wait for all the others.
	maxGroup     = 256
	maxGroupTime = 20 * time.Millisecond
)

type job struct {
	run  func(*Tx) error
	err  error
	done chan struct{}
}

// Write runs fn in a transaction and returns when the commit is durable, or
// with the error that undid it. Functions that wait at the same time share one
// transaction; each is undone alone if it fails or panics, all if the commit
// fails. One of those who wait runs them all: fn must not call Write or block.
//
// ctx bounds only the waiting to be taken; once taken, fn's outcome is told.
// Errors: fn's own, ErrDiskFull (the writer goes on and recovers when there is
// space), ErrMoved (likewise, when the files are back), ErrCorrupt, ErrReadOnly,
// ErrClosed.
func (d *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	j := &job{run: fn, done: make(chan struct{})}
	select {
	case <-d.closing:
		return ErrClosed
	default:
	}
	select {
	case w := <-d.turn:
		d.write(w, j)
	case d.jobs <- j:
		<-j.done
	case <-ctx.Done():
		return fmt.Errorf("wait for the database: %w", ctx.Err())
	case <-d.closing:
		return ErrClosed
	}
	return d.explain("write", j.err)
}

// writer is the one connection that writes. Whoever has taken it from the
// channel writes, for himself and for those who wait.
type writer struct {
	tx    *Tx
	group []*job
}

// write commits a job together with those that wait, and gives the writer
// back. The channel of jobs is unbuffered: a job that was received is taken.
func (d *DB) write(w *writer, j *job) {
	defer func() { d.turn <- w }()
	runtime.Gosched() // those woken by the last commit join this one
	w.group = append(w.group[:0], j)
	d.gather(w)
	for rest := w.group; len(rest) > 0; {
		n := d.commit(w.tx, rest)
		for _, j := range rest[:n] {
			close(j.done)
		}
		rest = rest[n:]
	}
	clear(w.group)
}

func (d *DB) gather(w *writer) {
	for len(w.group) < maxGroup {
		select {
		case j := <-d.jobs:
			w.group = append(w.group, j)
		default:
			return
		}
	}
}

// leave closes the writer's connection, the last one: that merges the WAL and
// removes it, so that it is not to be missed any more.
func (d *DB) leave(conn *Conn) error {
	err := d.watch.check()
	if err == nil {
		err = d.lock.remark(mark{Exists: true}, true)
	}
	if err := errors.Join(err, conn.shut()); err != nil {
		return err
	}
	info, err := os.Stat(d.path)
	if err != nil {
		return err
	}
	return d.lock.remark(mark{Exists: true, Time: info.ModTime().UnixNano()}, false)
}

// commit runs as many jobs as one transaction carries, at least one, and
// leaves each one's outcome in it.
func (d *DB) commit(t *Tx, jobs []*job) (n int) {
	if err := t.Exec(`BEGIN IMMEDIATE`); err != nil {
		for _, j := range jobs {
			j.err = err
		}
		return len(jobs)
	}
	start := time.Now()
	alone := len(jobs) == 1
	kept := 0
	for n < len(jobs) && (n == 0 || time.Since(start) < maxGroupTime) {
		j := jobs[n]
		n++
		if alone {
			j.err = protect(func() error { return j.run(t) })
		} else {
			j.err = t.Savepoint(func() error { return j.run(t) })
		}
		if j.err == nil {
			kept++
		}
		if t.raw.GetAutocommit() { // undone as a whole, the jobs before it too
			t.fail(jobs[:n], j.err)
			return n
		}
	}
	if kept == 0 {
		t.end(`ROLLBACK`, jobs[:n])
		return n
	}
	if d.watch.moved { // that is undone; what was under way when it happened may be there later
		if err := d.watch.check(); err != nil {
			t.fail(jobs[:n], err)
			t.end(`ROLLBACK`, jobs[:n])
			return n
		}
	}
	if t.end(`COMMIT`, jobs[:n]) {
		if err := d.watch.check(); err != nil {
			t.fail(jobs[:n], err)
		} else {
			d.noteWAL()
		}
	}
	return n
}

// end ends the transaction, and reports whether that succeeded.
func (t *Tx) end(how string, jobs []*job) bool {
	err := t.Exec(how)
	if err == nil {
		return true
	}
	t.fail(jobs, err)
	if !t.raw.GetAutocommit() {
		if undo := t.Exec(`ROLLBACK`); undo != nil {
			t.fail(jobs, errors.Join(err, undo))
		}
	}
	return false
}

// noteWAL lets the next start miss the WAL when it is not there, from the
// first commit on that wrote something.
func (d *DB) noteWAL() {
	if d.noted {
		return
	}
	if info, err := os.Stat(d.path + walSuffix); err != nil || info.Size() == 0 {
		return
	}
	if err := d.lock.remark(mark{Exists: true, WAL: true, Fsync: d.fsync}, false); err != nil {
		d.logger.Warn("a missing WAL would not be noticed", "error", err)
		return
	}
	d.noted = true
}

// fail gives err to the jobs that have none of their own.
func (*Tx) fail(jobs []*job, err error) {
	if err == nil {
		err = ErrRolledBack
	}
	for _, j := range jobs {
		if j.err == nil {
			j.err = fmt.Errorf("commit: %w", err)
		}
	}
}

// protect turns a panic of fn into its error.
func protect(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn()
}
