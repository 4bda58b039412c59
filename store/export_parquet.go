package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"dynotap/store/segment"
)

// exportRows is how many rows a row group of an export has.
const exportRows = 256 << 10

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
	var parts []segment.Part
	buffer := make([]Point, 0, exportRows)
	flush := func() error {
		err := w.Write(parts)
		parts, buffer = parts[:0], buffer[:0]
		return err
	}
	err = r.all(ctx, func(c *Channel, points []Point) error {
		i := index[c.Key]
		for len(points) > 0 {
			n := min(len(points), cap(buffer)-len(buffer))
			start := len(buffer)
			buffer = append(buffer, points[:n]...)
			points = points[n:]
			if k := len(parts); k > 0 && parts[k-1].Channel == i {
				parts[k-1].Points = parts[k-1].Points[:len(parts[k-1].Points)+n]
			} else {
				parts = append(parts, segment.Part{Channel: i, Points: buffer[start : start+n : cap(buffer)]})
			}
			if len(buffer) == cap(buffer) {
				if err := flush(); err != nil {
					return fmt.Errorf("write export: %w", err)
				}
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	if bad := flush(); bad != nil {
		return fmt.Errorf("write export: %w", bad)
	}
	if _, bad := w.Close(); bad != nil {
		return fmt.Errorf("write export: %w", bad)
	}
	return err
}
