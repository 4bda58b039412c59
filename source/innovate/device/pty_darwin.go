package device

import (
	"bytes"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETA
)

// openMaster makes a new pseudo-terminal and gives the path of its other end.
func openMaster() (fd int, path string, err error) {
	fd, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, "", err
	}
	var name [128]byte
	if err = unix.IoctlSetInt(fd, unix.TIOCPTYGRANT, 0); err == nil {
		err = unix.IoctlSetInt(fd, unix.TIOCPTYUNLK, 0)
	}
	if err == nil {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCPTYGNAME, uintptr(unsafe.Pointer(&name[0])))
		if errno == 0 {
			text, _, _ := bytes.Cut(name[:], []byte{0})
			return fd, string(text), nil
		}
		err = errno
	}
	return 0, "", errors.Join(err, unix.Close(fd))
}
