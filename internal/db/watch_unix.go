//go:build !windows

package db

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fileID tells files apart.
type fileID struct{ device, inode uint64 }

// idOf asks for no more than that: it is asked with every commit.
func idOf(path string) (fileID, error) {
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return fileID{}, fmt.Errorf("look at %s: %w", path, err)
	}
	return fileID{uint64(s.Dev), uint64(s.Ino)}, nil //nolint:unconvert // narrower elsewhere
}
