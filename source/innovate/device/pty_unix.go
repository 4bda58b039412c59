//go:build linux || darwin

package device

import (
	"errors"

	"golang.org/x/sys/unix"
)

// pair is both ends of a pseudo-terminal. Ours of the other program's end stays
// open, so that the terminal keeps its settings, and nothing fails, while no
// program has it open.
type pair struct {
	master, slave int
	path          string
}

func openPair() (*pair, error) {
	master, path, err := openMaster()
	if err != nil {
		return nil, err
	}
	slave, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, errors.Join(err, unix.Close(master))
	}
	p := &pair{master: master, slave: slave, path: path}
	if err := p.prepare(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// prepare makes the terminal pass bytes on as they are, without echo, and the
// writing to it never wait.
func (p *pair) prepare() error {
	t, err := unix.IoctlGetTermios(p.slave, getTermios)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD | unix.CLOCAL
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(p.slave, setTermios, t); err != nil {
		return err
	}
	return unix.SetNonblock(p.master, true)
}

func (p *pair) write(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(p.master, b)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil // nobody reads, and the buffer is full
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		default:
			b = b[n:]
		}
	}
	return nil
}

func (p *pair) close() {
	_ = unix.Close(p.slave)
	_ = unix.Close(p.master)
}
