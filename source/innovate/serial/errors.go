package serial

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"

	goserial "go.bug.st/serial"
)

// BusyError says that another program has the port.
type BusyError struct{ Port string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("serial port %s is in use by another program, such as LogWorks: close it there", e.Port)
}

// PermissionError says that the user may not open the port.
type PermissionError struct{ Port string }

func (e *PermissionError) Error() string {
	mend := "ask the administrator"
	if runtime.GOOS == "linux" {
		mend = "add the user to the port's group (ls -l " + e.Port + " shows it, mostly dialout) and log in again"
	}
	return fmt.Sprintf("no permission to open serial port %s: %s", e.Port, mend)
}

// NotFoundError says that there is no such port.
type NotFoundError struct {
	Port    string
	Present string // the ports there are, for people
}

func (e *NotFoundError) Error() string {
	if e.Present == "" {
		return fmt.Sprintf("there is no serial port %s, nor any other: plug in the device's adapter", e.Port)
	}
	return fmt.Sprintf("there is no serial port %s: present are %s", e.Port, e.Present)
}

// explain turns what the system says into one of the errors above.
func explain(port string, err error) error {
	var coded *goserial.PortError
	code := goserial.PortErrorCode(-1)
	if errors.As(err, &coded) {
		code = coded.Code()
	}
	switch {
	case code == goserial.PortBusy || errors.Is(err, errHeld):
		return &BusyError{Port: port}
	case code == goserial.PermissionDenied || errors.Is(err, fs.ErrPermission):
		return &PermissionError{Port: port}
	case code == goserial.PortNotFound || errors.Is(err, fs.ErrNotExist):
		return &NotFoundError{Port: port}
	}
	return fmt.Errorf("open serial port %s: %w", port, err)
}

// errHeld is what claim returns for a port that another program has.
var errHeld = errors.New("held by another program")
