// Package source says what a device or feed is to dynotap and keeps one alive:
// the Supervisor connects it, reads it, and reconnects it by policy, with
// states, statistics and health that are the same for every source.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"dynotap/sample"
)

// Source is one device or feed. The supervisor calls Open, then Read until it
// fails, then Close, and retries by policy.
type Source interface {
	// Open connects. ctx bounds the connecting only, not the life of the
	// Reader. At most one Reader of a source is open at a time.
	//
	// An error that is a timeout (context.DeadlineExceeded, or Timeout() true)
	// is retried if Retry.OnTimeout is set, one that wraps ErrPermanent never,
	// every other one if Retry.OnConnectionError is set.
	Open(ctx context.Context) (Reader, error)
}

// Reader is an open connection.
type Reader interface {
	// Read does one unit of work: it blocks until there is data, an error, or
	// ctx ends, and hands what it has to emit. Nothing calls it concurrently.
	//
	// A nil error, with or without data, is a success. A timeout (an error as
	// above, ctx's own included) means there was nothing to read. An error
	// that wraps ErrLost or io.EOF ends the connection at once; any other one
	// spoils this unit of work only, and the third in a row ends the
	// connection.
	//
	// emit may be called within Read only. It returns when the batch has been
	// taken over, so that b and b.Samples can be used again (what b.Samples
	// points to may have changed), and blocks while the queue is full and told
	// to block. Its error is to be returned from
	// Read as it is; what validation finds is no error. While the channel list
	// is unchanged every batch carries the same *ChannelSet. When ctx ends,
	// Read may still emit what it holds before it returns.
	Read(ctx context.Context, emit func(*sample.Batch) error) error
	// Close releases everything. It is called once, after the last Read has
	// returned; only if Read does not return within a second of its ctx ending
	// is it called beside it, and must then make it return.
	Close() error
}

// ByteCounter is implemented by readers that know how many bytes came in
// since Open. It may be called at any time, also after Close.
type ByteCounter interface {
	BytesReceived() int64
}

var (
	// ErrLost says that the connection is gone and reading on is pointless.
	ErrLost = errors.New("connection lost")
	// ErrPermanent says that connecting again cannot help: the settings have
	// to change first.
	ErrPermanent = errors.New("cannot work as configured")
	// ErrBatch is returned by emit for a batch that contradicts itself.
	ErrBatch = errors.New("malformed batch")
)

// panicError is a panic in a source, turned into an error.
type panicError struct {
	in    string
	value any
}

func (e *panicError) Error() string { return fmt.Sprintf("panic in %s: %v", e.in, e.value) }

// isTimeout reports whether err says that time ran out rather than that
// something failed.
func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// isLost reports whether err ends the connection at once.
func isLost(err error) bool { return errors.Is(err, ErrLost) || errors.Is(err, io.EOF) }
