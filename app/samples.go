package app

import (
	"context"
	"errors"
	"io"

	"dynotap/sample"
	"dynotap/server"
	"dynotap/store"
)

type runSamples struct {
	store *store.Store
	units sample.System
}

func (r runSamples) Samples(ctx context.Context, id string, q server.SampleQuery) (server.SampleSet, error) {
	return server.SampleSet{}, errors.ErrUnsupported
}

func (r runSamples) Export(ctx context.Context, id string, f server.ExportFormat, w io.Writer) error {
	return errors.ErrUnsupported
}
