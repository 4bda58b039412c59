package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"dynotap/store/segment"
)

// parquet writes one file in the layout of the sealed ones.
func (e *exporter) parquet(ctx context.Context, out io.Writer) error {
	r, err := e.store.begin(ctx, e.q)
	if err != nil {
		return err
	}
	defer r.close()
	capture := &r.live.capture
	info := segment.Info{
		Capture: capture.ID, Kind: string(capture.Kind), Source: capture.Source,
		TimeBase: string(capture.TimeBase), Attributes: capture.Attributes,
	}
	index := make(map[string]int)
	for i := range r.channels {
		c := description(&r.channels[i])
		c.Native = r.channels[i].Native
		unit, conv := shownIn(&c, e.opts.Units)
		switch {
		case conv.IsIdentity():
			c.Native = segment.NativeSame
		case conv != c.Conversion():
			c.Native = segment.NativeColumn
		}
		c.Unit, c.Scale, c.Offset = unit, conv.Scale, conv.Offset
		index[c.Key] = i
		info.Channels = append(info.Channels, c)
	}
	w, err := segment.NewWriter(out, info)
	if err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	err = r.all(ctx, func(c *Channel, points []Point) error {
		if err := w.Write(index[c.Key], points); err != nil {
			return fmt.Errorf("write export: %w", err)
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	if _, bad := w.Close(); bad != nil {
		return fmt.Errorf("write export: %w", bad)
	}
	return err
}
