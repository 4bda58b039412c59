package db

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"dynotap/internal/durable"
)

// makeDir creates a directory, and what is missing above it, durably: with its
// entry a directory loses all that was synced within it.
func makeDir(dir string) error {
	var parents []string // of those that are missing
	for at := filepath.Clean(dir); at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		parents = append(parents, filepath.Dir(at))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := durable.Dir(parent); err != nil {
			return err
		}
	}
	return nil
}
