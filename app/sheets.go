package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"dynotap/run"
	"dynotap/run/correct"
	dynosheet "dynotap/run/sheet"
	"dynotap/sample"
	"dynotap/server"
	"dynotap/store"
)

// runSheets draws runs. It is what the server calls Sheets.
type runSheets struct {
	store *store.Store
	units sample.System
	zone  *time.Location
}

// Sheet writes the sheet of one to six runs.
func (r *runSheets) Sheet(ctx context.Context, ids []string, o server.SheetOptions, w io.Writer) error {
	options := run.CurveOptions{Smoothing: o.Smoothing, Whole: o.OverTime}
	if o.Correction != "" {
		standard, err := correct.Parse(o.Correction)
		if err != nil {
			return fmt.Errorf("%w: %w", server.ErrBadRequest, err)
		}
		options.Correction = &standard
	}
	units := r.units
	if o.Units != "" {
		var ok bool
		if units, ok = sample.ParseSystem(o.Units); !ok {
			return fmt.Errorf("%w: units %q: use us or metric", server.ErrBadRequest, o.Units)
		}
	}
	var curves []*run.Curves
	for _, id := range ids {
		c, err := r.curves(ctx, id, options)
		if err != nil {
			return err
		}
		curves = append(curves, c)
	}
	err := dynosheet.Draw(w, curves, dynosheet.Options{
		Format: dynosheet.Format(o.Format), Title: o.Title, Units: units, OverTime: o.OverTime, Location: r.zone, Portrait: o.Portrait,
	})
	if errors.Is(err, dynosheet.ErrSheet) {
		return fmt.Errorf("%w: %w", server.ErrBadRequest, err)
	}
	return err
}

func (r *runSheets) curves(ctx context.Context, id string, o run.CurveOptions) (*run.Curves, error) {
	stored, err := r.store.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	capture, err := r.store.Capture(ctx, stored.Capture)
	if err != nil {
		return nil, err
	}
	found, err := run.FromStore(stored, capture.TimeBase)
	if err != nil {
		return nil, err
	}
	c, err := run.ReadCurves(ctx, r.store, found, o)
	if err != nil {
		return nil, fmt.Errorf("run %s %w", id, err)
	}
	return c, nil
}
