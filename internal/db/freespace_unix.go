//go:build !windows

package db

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// FreeSpace gives the bytes that this user may still write on the disk of dir,
// and the disk's size.
func FreeSpace(dir string) (free, total uint64, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, 0, fmt.Errorf("ask for free space of %s: %w", dir, err)
	}
	size := uint64(stat.Bsize)
	return stat.Bavail * size, stat.Blocks * size, nil
}
