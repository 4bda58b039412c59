package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"dynotap/sample"
	"dynotap/server"
	"dynotap/store"
)

// runSamples reads the samples of runs. It is what the server calls Samples.
type runSamples struct {
	store *store.Store
	units sample.System
}

// query is a run's part of its capture. A run's bounds are both included.
func (r runSamples) query(ctx context.Context, id string) (store.Query, store.Capture, error) {
	found, err := r.store.Run(ctx, id)
	if err != nil {
		return store.Query{}, store.Capture{}, err
	}
	capture, err := r.store.Capture(ctx, found.Capture)
	if err != nil {
		return store.Query{}, store.Capture{}, err
	}
	q := store.Query{Capture: capture.ID}
	if found.Kind == "session" || found.Kind == "import" {
		return q, capture, nil // all of it, samples that come late included
	}
	q.FromUS = found.StartedUS
	if found.EndedUS != nil {
		end := *found.EndedUS + 1
		q.ToUS = &end
	}
	return q, capture, nil
}

// Samples gives samples thinned for plots.
func (r runSamples) Samples(ctx context.Context, id string, want server.SampleQuery) (server.SampleSet, error) {
	q, capture, err := r.query(ctx, id)
	if err != nil {
		return server.SampleSet{}, err
	}
	q.Channels = want.Channels
	if want.FromUS != nil && (q.FromUS == nil || *want.FromUS > *q.FromUS) {
		q.FromUS = want.FromUS
	}
	if want.ToUS != nil && (q.ToUS == nil || *want.ToUS < *q.ToUS) {
		end := *want.ToUS + 1
		q.ToUS = &end
	}
	series, err := r.store.Plot(ctx, q, want.Points)
	if err != nil && !errors.Is(err, store.ErrDamaged) {
		return server.SampleSet{}, err
	}
	set := server.SampleSet{TimeBase: string(capture.TimeBase), Series: make([]server.Series, 0, len(series))}
	for i := range series {
		set.Series = append(set.Series, r.show(&series[i]))
	}
	return set, nil
}

func (r runSamples) show(s *store.Series) server.Series {
	c := &s.Channel
	unit := c.Unit.Shown(r.units)
	convert, ok := c.Unit.To(unit)
	if !ok {
		unit, convert = c.Unit, sample.Conversion{Scale: 1}
	}
	out := server.Series{
		Channel: server.Channel{
			Key: c.Key, Device: c.Device, Label: c.Label, Name: c.Name, Unit: string(unit), NativeUnit: string(c.NativeUnit),
		},
		Time: make([]int64, len(s.Points)), Value: make([]server.Number, len(s.Points)), Quality: make([]string, len(s.Points)),
	}
	for i, p := range s.Points {
		out.Time[i], out.Value[i], out.Quality[i] = p.Time, server.Number(convert.Apply(p.Value)), p.Quality.String()
	}
	return out
}

// Export writes a run as a file.
func (r runSamples) Export(ctx context.Context, id string, f server.ExportFormat, w io.Writer) error {
	q, capture, err := r.query(ctx, id)
	if err != nil {
		return err
	}
	const forMegaLogViewer = "mlg"
	switch relative := capture.TimeBase == store.Relative; {
	case f.Format != forMegaLogViewer && f.RateHz == 0:
	case f.Format != forMegaLogViewer && (f.Format != string(store.CSV) || !f.Wide):
		return fmt.Errorf("%w: a rate makes rows: use csv with wide, or mlg", server.ErrBadRequest)
	default:
		table, err := r.rows(ctx, q)
		if err != nil {
			return err
		}
		if f.Format == forMegaLogViewer {
			return table.mlg(ctx, f.RateHz, relative, w)
		}
		return table.csv(ctx, f.RateHz, relative, w)
	}
	err = r.store.Export(ctx, w, q, store.Format(f.Format), store.ExportOptions{Wide: f.Wide, Units: r.units})
	if errors.Is(err, store.ErrFormat) {
		return fmt.Errorf("%w: %w", server.ErrBadRequest, err)
	}
	return err
}
