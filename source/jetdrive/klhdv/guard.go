package klhdv

import (
	"errors"
	"fmt"
)

// ForbiddenError is returned for a message that this program never sends: it
// would move a dynamometer (DESIGN promise 5).
type ForbiddenError struct {
	Key Key
}

// Error says which message was refused.
func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("%s is never sent: it would move a dynamometer", e.Key)
}

// ErrUnsendable is wrapped by the errors about messages that stop or stall a
// vendor's node (PROTOCOLS 1.3).
var ErrUnsendable = errors.New("message would stop another node")

// SafeToSend gives a *ForbiddenError for RequestLoadControl and RequestBrake.
// Every path that sends asks it, or CheckOutgoing, which does.
func SafeToSend(key Key) error {
	if key == KeyRequestLoadControl || key == KeyRequestBrake {
		return &ForbiddenError{Key: key}
	}
	return nil
}

// CheckOutgoing holds a whole datagram against the rules for sending of
// PROTOCOLS 1.3. The error is a *ForbiddenError or wraps ErrUnsendable.
func CheckOutgoing(datagram []byte) error {
	f, err := Parse(datagram)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnsendable, err)
	case len(datagram) > MaxDatagram:
		return fmt.Errorf("%w: %w", ErrUnsendable, ErrTooLong)
	case len(datagram) != HeaderLen+len(f.Value):
		return unsendable(f.Key, "bytes after its value")
	case f.Host == AllHosts:
		return unsendable(f.Key, "ALL_HOSTS as its sender")
	}
	if err := SafeToSend(f.Key); err != nil {
		return err
	}
	return checkValue(f)
}

func checkValue(f Frame) error {
	switch f.Key {
	case KeyChannelInfo:
		return checkInfo(f.Value)
	case KeyPing:
		if len(f.Value) != pingLen {
			return unsendable(f.Key, "a length other than 5")
		}
		return checkVersion(f)
	case KeyPong:
		if len(f.Value) < pongLen {
			return unsendable(f.Key, "less than 9 bytes")
		}
		if f.Dest == AllHosts {
			return unsendable(f.Key, "ALL_HOSTS as its receiver")
		}
		return checkVersion(f)
	}
	return nil
}

func checkVersion(f Frame) error {
	if f.Value[0] != Version {
		return unsendable(f.Key, "a version other than 1")
	}
	return nil
}

// checkInfo refuses names that fill their whole field, whose last byte is
// therefore not NUL.
func checkInfo(value []byte) error {
	if len(value) < providerLen {
		return unsendable(KeyChannelInfo, "less than 50 bytes")
	}
	full := value[providerLen-1] != 0
	value = value[providerLen:]
	for ; len(value) >= channelLen; value = value[channelLen:] {
		full = full || value[3+nameLen-1] != 0
	}
	if full {
		return unsendable(KeyChannelInfo, "a name that fills its field")
	}
	return nil
}

func unsendable(key Key, what string) error {
	return fmt.Errorf("%w: %s with %s", ErrUnsendable, key, what)
}
