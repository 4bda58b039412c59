//go:build !windows

package durable

import (
	"errors"
	"fmt"
	"os"
)

// Dir flushes the entries of a directory. It blocks on the disk.
func Dir(dir string) error {
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("flush directory: %w", err)
	}
	return nil
}
