package app

import (
	"fmt"

	"dynotap/store"
)

// lowSpace is the share of the disk below which the user is warned (DESIGN
// decision 10).
const lowSpace = 0.10

// diskNote warns long before the disk is full; "" when there is room.
func diskNote(dir string) string {
	free, total, err := store.FreeSpace(dir)
	switch {
	case err != nil:
		return fmt.Sprintf("free space on the disk of %s is not known: %v", dir, err)
	case total > 0 && float64(free) < lowSpace*float64(total):
		return fmt.Sprintf("the disk of %s is %.0f %% full, %.1f GB are free: make room, or choose another disk with --data",
			dir, 100*(1-float64(free)/float64(total)), float64(free)/1e9)
	}
	return ""
}
