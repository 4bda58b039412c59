package db

import (
	"fmt"
	"path/filepath"
)

// watch notices when the open files are no longer those of the directory: on
// unix, writing to a file that was removed succeeds.
type watch struct {
	files []watched
	moved bool // as of the last look
}

type watched struct {
	path string
	id   fileID
}

// begin remembers the files of an open database.
func (w *watch) begin(path string) {
	for _, suffix := range []string{"", walSuffix} {
		if id, err := idOf(path + suffix); err == nil {
			w.files = append(w.files, watched{path + suffix, id})
		}
	}
}

// check gives ErrMoved when a file is gone or another one.
func (w *watch) check() error {
	err := w.look()
	w.moved = err != nil
	return err
}

func (w *watch) look() error {
	for _, file := range w.files {
		id, err := idOf(file.path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMoved, err)
		}
		if id != file.id {
			return fmt.Errorf("%w: %s is another file now", ErrMoved, filepath.Base(file.path))
		}
	}
	return nil
}
