//go:build !linux && !darwin

package device

// pair does not exist here.
type pair struct{ path string }

func openPair() (*pair, error) { return nil, ErrNoTerminals }

func (*pair) write([]byte) error { return ErrNoTerminals }

func (*pair) close() {}
