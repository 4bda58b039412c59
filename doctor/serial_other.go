//go:build !linux

package doctor

// deniedTo is never: the system has no groups for serial ports.
func deniedTo(string) (*denial, error) { return nil, nil } //nolint:nilnil // nobody is denied
