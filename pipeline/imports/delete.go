package imports

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dynotap/store"
)

// DeleteRun removes a run as store.Store.DeleteRun does, and with the last run
// of an imported file the copy of the file, so that its room is free. With all,
// every run of the capture goes, and so its samples. store.ErrOpen while the
// capture is recorded or imported.
func (im *Importer) DeleteRun(ctx context.Context, id string, all bool) error {
	r, err := im.opts.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	c, err := im.opts.Store.Capture(ctx, r.Capture)
	if errors.Is(err, store.ErrNoCapture) {
		return im.opts.Store.DeleteRun(ctx, id)
	}
	if err != nil {
		return err
	}
	if all {
		return im.DeleteCapture(ctx, c)
	}
	_, runs, err := im.opts.Store.Runs(ctx, store.RunFilter{Capture: c.ID, Limit: 1})
	if err != nil {
		return err
	}
	if runs == 1 {
		return im.DeleteCapture(ctx, c)
	}
	return im.opts.Store.DeleteRun(ctx, id)
}

// DeleteCapture removes a capture with its samples and runs, and with the last
// capture of an imported file the copy of the file. store.ErrOpen while it is
// recorded or imported.
func (im *Importer) DeleteCapture(ctx context.Context, c store.Capture) error {
	if c.EndedUS == nil {
		return fmt.Errorf("delete capture %s: %w", c.ID, store.ErrOpen)
	}
	if hash := c.Attributes[attributeHash]; hash != "" {
		free, err := im.occupy(ctx, hash)
		if err != nil {
			return err
		}
		defer free()
		if err := im.dropOriginal(ctx, hash, c.ID); err != nil {
			return fmt.Errorf("delete the copy of %s: %w", c.Attributes[attributeFile], err)
		}
	}
	return im.opts.Store.DeleteCapture(ctx, c.ID)
}

// dropOriginal removes the copy of a file unless it has other captures than the
// one that is about to go. The copy goes first: a crash in between leaves a run
// without its copy, which is whole, rather than a copy that nobody knows.
func (im *Importer) dropOriginal(ctx context.Context, hash, going string) error {
	others, err := im.opts.Store.CapturesOf(ctx, hash[:hashInID]+"-")
	if err != nil {
		return err
	}
	for _, id := range others {
		if id != going {
			return nil
		}
	}
	dir := filepath.Join(im.opts.Dir, originalsDir)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), hash) && !strings.HasSuffix(e.Name(), pendingSuffix) {
			if err := removed(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
