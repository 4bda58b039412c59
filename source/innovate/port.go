package innovate

import (
	"context"
	"time"
)

// Port gives the bytes of a device. Read is called by one goroutine at a time,
// Close by any.
type Port interface {
	// Read waits until there is at least a byte and reads what there is. When
	// wait has passed without one it returns 0 and no error. An error ends the
	// connection. p is not kept.
	Read(p []byte, wait time.Duration) (int, error)
	// Close makes a Read that is under way return, with an error. It may be
	// called twice.
	Close() error
}

// PortInfo says what port it is.
type PortInfo struct {
	Name    string `json:"name"`              // COM5, /dev/ttyUSB0
	Product string `json:"product,omitempty"` // of a USB adapter
	USB     string `json:"usb,omitempty"`     // 0403:6001, vendor and product
	Serial  string `json:"serial,omitempty"`  // of the USB adapter
	// Detected says that the port was looked for, not configured.
	Detected bool `json:"detected,omitempty"`
}

// Opener opens the port of a device. ctx bounds the opening only.
type Opener interface {
	Open(ctx context.Context) (Port, PortInfo, error)
}
