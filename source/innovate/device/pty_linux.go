package device

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	getTermios = unix.TCGETS
	setTermios = unix.TCSETS
)

// openMaster makes a new pseudo-terminal and gives the path of its other end.
func openMaster() (fd int, path string, err error) {
	fd, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, "", err
	}
	if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
		var number uint32
		if number, err = unix.IoctlGetUint32(fd, unix.TIOCGPTN); err == nil {
			return fd, fmt.Sprintf("/dev/pts/%d", number), nil
		}
	}
	return 0, "", errors.Join(err, unix.Close(fd))
}
