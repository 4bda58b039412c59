package serial

import "golang.org/x/sys/unix"

// heldExclusively reports whether another program has set TIOCEXCL: the
// administrator could open the port all the same.
func heldExclusively(fd int) bool {
	held, err := unix.IoctlGetInt(fd, unix.TIOCGEXCL)
	return err == nil && held != 0
}
