package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"dynotap/sample"
)

// Format is a form of export.
type Format string

// The formats: CSV, long or wide; Parquet in the layout of the sealed files;
// JSON lines.
const (
	CSV     Format = "csv"
	Parquet Format = "parquet"
	JSONL   Format = "jsonl"
)

// ErrFormat is the answer for a form of export that does not exist.
var ErrFormat = errors.New("no such export")

// ExportOptions adjust an export.
type ExportOptions struct {
	// Wide asks for a row a time and a column a channel; CSV only.
	Wide bool
	// Units says in which system values are shown.
	Units sample.System
}

// Export writes the samples of a query, each once, with a point for decimals
// whatever the system's language. Times are RFC 3339 in UTC with microseconds,
// or seconds where the capture's time base is relative. Memory is bounded as
// Read's. On error the output is cut off; where only something stored is
// damaged (ErrDamaged), it is complete but for that.
func (s *Store) Export(ctx context.Context, w io.Writer, q Query, format Format, opts ExportOptions) error {
	if opts.Wide && format != CSV {
		return fmt.Errorf("%w: %s has no wide form: use csv", ErrFormat, format)
	}
	q.Native = true // exact where the source's unit is the one shown
	e := exporter{store: s, q: q, opts: opts, out: bufio.NewWriterSize(w, 64<<10)}
	var err error
	switch {
	case format == Parquet:
		return e.parquet(ctx, w)
	case format == CSV && opts.Wide:
		err = e.wide(ctx)
	case format == CSV:
		err = e.long(ctx, &csvRows{})
	case format == JSONL:
		err = e.long(ctx, &jsonRows{})
	default:
		return fmt.Errorf("%w: %q", ErrFormat, format)
	}
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	return errors.Join(err, e.out.Flush())
}

type exporter struct {
	store *Store
	q     Query
	opts  ExportOptions
	out   *bufio.Writer
	line  []byte
}

// shownIn gives a channel's unit in a system of units, and the conversion from
// its native values.
func shownIn(c *Channel, system sample.System) (sample.Unit, sample.Conversion) {
	unit := c.Unit.Shown(system)
	if unit != c.Unit {
		if conv, ok := c.NativeUnit.To(unit); ok {
			return unit, conv
		}
	}
	return c.Unit, c.Conversion()
}

// rows writes one line a sample.
type rows interface {
	head(dst []byte) []byte
	// channel prepares for the samples of a channel.
	channel(c *Channel, unit sample.Unit)
	row(dst []byte, at []byte, value float64, q sample.Quality) []byte
}

// long writes one line a sample, channel by channel.
func (e *exporter) long(ctx context.Context, rows rows) error {
	r, err := e.store.begin(ctx, e.q)
	if err != nil {
		return err
	}
	defer r.close()
	clock := timeText{relative: r.live.capture.TimeBase == Relative}
	if _, err := e.out.Write(rows.head(e.line[:0])); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	key := ""
	var conv sample.Conversion
	started := false
	return r.all(ctx, func(c *Channel, points []Point) error {
		if !started || c.Key != key {
			var unit sample.Unit
			unit, conv = shownIn(c, e.opts.Units)
			rows.channel(c, unit)
			key, started = c.Key, true
		}
		for _, p := range points {
			e.line = rows.row(e.line[:0], clock.text(p.Time), conv.Apply(p.Value), p.Quality)
			if _, err := e.out.Write(e.line); err != nil {
				return fmt.Errorf("write export: %w", err)
			}
		}
		return nil
	})
}

// timeText formats times; the second is formatted once for all samples in it.
type timeText struct {
	relative bool
	second   int64
	buffer   []byte
	prefix   int
}

// text is valid until the next call.
func (t *timeText) text(us int64) []byte {
	if t.relative {
		t.buffer = t.buffer[:0]
		magnitude := uint64(us)
		if us < 0 {
			t.buffer = append(t.buffer, '-')
			magnitude = -magnitude
		}
		t.buffer = strconv.AppendUint(t.buffer, magnitude/1e6, 10)
		return appendMicros(append(t.buffer, '.'), magnitude%1e6)
	}
	second, rest := us/1e6, us%1e6
	if rest < 0 {
		second, rest = second-1, rest+1e6
	}
	if t.prefix == 0 || second != t.second {
		t.buffer = sample.Time(second*1e6).AppendFormat(t.buffer[:0], "2006-01-02T15:04:05.")
		t.second, t.prefix = second, len(t.buffer)
	}
	t.buffer = append(appendMicros(t.buffer[:t.prefix], uint64(rest)), 'Z')
	return t.buffer
}

// appendMicros writes six digits.
func appendMicros(dst []byte, us uint64) []byte {
	for scale := uint64(100_000); scale > 0; scale /= 10 {
		dst = append(dst, byte('0'+us/scale%10))
	}
	return dst
}
