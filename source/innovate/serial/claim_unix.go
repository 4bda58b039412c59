//go:build linux || darwin

package serial

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// claimed is a lock on a port. TIOCEXCL, which opening it sets as well, keeps
// everybody out but the administrator; this lock keeps out whoever asks for it,
// him too.
type claimed struct {
	once sync.Once
	fd   int
}

// claim takes the lock; errHeld where another program has the port.
func claim(name string) (*claimed, error) {
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, errHeld
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case err != nil:
		return nil, err
	}
	c := &claimed{fd: fd}
	if heldExclusively(fd) {
		return nil, errors.Join(errHeld, c.release())
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errHeld
		}
		return nil, errors.Join(err, c.release())
	}
	return c, nil
}

func (c *claimed) release() (err error) {
	c.once.Do(func() { err = unix.Close(c.fd) })
	return err
}
