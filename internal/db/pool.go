package db

import (
	"context"
	"errors"
)

// maxReaders bounds the read connections: each has a few MiB of its own.
const maxReaders = 4

// pool lends read connections. A slot is an idle connection or nil for one
// that was not opened yet.
type pool struct {
	open  func(context.Context) (*Conn, error)
	slots chan *Conn
	ended chan struct{}
}

func (p *pool) init(open func(context.Context) (*Conn, error)) {
	p.open, p.slots, p.ended = open, make(chan *Conn, maxReaders), make(chan struct{})
	for range maxReaders {
		p.slots <- nil
	}
}

func (p *pool) take(ctx context.Context) (*Conn, error) {
	select {
	case <-p.ended:
		return nil, ErrClosed
	default:
	}
	select {
	case conn := <-p.slots:
		if conn != nil {
			return conn, nil
		}
		conn, err := p.open(ctx)
		if err != nil {
			p.slots <- nil
			return nil, err
		}
		return conn, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.ended:
		return nil, ErrClosed
	}
}

func (p *pool) give(conn *Conn) { p.slots <- conn }

// drain waits for the readers at work and closes every connection.
func (p *pool) drain() error {
	close(p.ended)
	var errs []error
	for range maxReaders {
		if conn := <-p.slots; conn != nil {
			errs = append(errs, conn.shut())
		}
	}
	return errors.Join(errs...)
}
