package app

import (
	"context"

	"dynotap/pipeline/imports"
	"dynotap/store"
)

// catalog is the store's runs; what deletes one also removes the copy of the
// file it came from.
type catalog struct {
	*store.Store
	imports *imports.Importer
}

// DeleteRun is what the server asks for.
func (c catalog) DeleteRun(ctx context.Context, id string, all bool) error {
	return c.imports.DeleteRun(ctx, id, all)
}
