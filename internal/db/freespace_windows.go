package db

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// FreeSpace gives the bytes that this user may still write on the disk of dir,
// and the disk's size.
func FreeSpace(dir string) (free, total uint64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(path, &free, &total, nil)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("ask for free space of %s: %w", dir, err)
	}
	return free, total, nil
}
