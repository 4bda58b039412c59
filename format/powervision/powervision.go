// Package powervision reads the logs of Dynojet's Power Vision: text of the
// form "Pro-XY CSV 1.0.0", as it is or within gzip or zip, whatever the file is
// called (PROTOCOLS 4).
package powervision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strconv"
	"strings"

	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// provider is the device of all channels.
const provider = "Power Vision"

// mark is how the text begins.
const mark = "Dynojet Power Vision Log File"

// Format reads Power Vision logs.
type Format struct{}

// New makes the format. Its times count from the start of the log.
func New(format.Settings) Format { return Format{} }

// Detect gives Signature to the text and to a container that is called .pvlog;
// ByName to anything else of that name, so that its owner hears how to export it.
func (Format) Detect(head []byte, name string) format.Confidence {
	if isLog(text.Head(head)) {
		return format.Signature
	}
	if !strings.EqualFold(path.Ext(name), ".pvlog") {
		return format.No
	}
	if isContainer(head) {
		return format.Signature
	}
	return format.ByName
}

func isLog(head []byte) bool {
	first, _, _ := bytes.Cut(head, []byte("\n"))
	return strings.Trim(string(first), "\" \r\t,") == mark
}

var (
	errUnknown = errors.New("this .pvlog holds neither the text of a Power Vision log nor that within gzip or zip: " +
		"open it in Power Core (or WinPV) and export it as CSV")
	errVersion = errors.New("only Pro-XY CSV 1 is known: export the log as CSV with Power Core and import that")
)

// Read gives the log as one run.
func (Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	open, err := unpack(r, size)
	if err != nil {
		return &format.Error{Err: err}
	}
	first, err := open()
	if err != nil {
		return &format.Error{Err: err}
	}
	l, err := survey(ctx, text.NewRows(first, ','))
	if err != nil {
		return errors.Join(err, first.Close())
	}
	if err := first.Close(); err != nil {
		return &format.Error{Err: err}
	}
	second, err := open()
	if err != nil {
		return &format.Error{Err: err}
	}
	rd := &reader{log: l, rows: text.NewRows(second, ','), sink: sink}
	return errors.Join(rd.read(ctx), second.Close())
}

// log is what the text says before its rows, and which signals are hexadecimal.
type log struct {
	signals []signal
	index   map[string]int
	body    int64 // line of Time(ms),Signal,Value
}

type signal struct {
	name, units, description string
	hex                      bool
}

// survey reads the whole log once: whether a signal is hexadecimal shows in any
// of its values.
func survey(ctx context.Context, rows *text.Rows) (*log, error) {
	l := &log{index: map[string]int{}}
	for rows.Next() && l.body == 0 {
		if err := l.head(rows); err != nil {
			return nil, err
		}
		if l.body > 0 {
			break
		}
	}
	if l.body == 0 {
		return nil, &format.Error{Line: rows.Line(), Err: errors.New(`the log has no rows: "Time(ms)","Signal","Value" is missing`)}
	}
	for n := 0; rows.Next(); n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		cells := rows.Cells()
		if len(cells) < 3 || !rows.Ended() {
			continue
		}
		at, ok := l.index[string(cells[1])]
		if ok && !l.signals[at].hex {
			l.signals[at].hex = isHex(cells[2])
		}
	}
	if err := rows.Err(); err != nil {
		return nil, &format.Error{Line: rows.Line(), Err: fmt.Errorf("read rows: %w", err)}
	}
	return l, nil
}

// mostSignals bounds the list of signals; no log has a thousand.
const mostSignals = 10_000

// head reads one line before the rows.
func (l *log) head(rows *text.Rows) error {
	cells := rows.Cells()
	first := string(cells[0])
	switch {
	case strings.HasPrefix(strings.ToLower(first), "time(ms)"):
		l.body = rows.Line()
	case first == "Format:" && len(cells) > 1 && !strings.HasPrefix(string(cells[1]), "Pro-XY CSV 1"):
		return &format.Error{Line: rows.Line(), Err: fmt.Errorf("format %.60q: %w", cells[1], errVersion)}
	case len(cells) >= 4 && isNumber(first):
		if len(l.signals) == mostSignals {
			return &format.Error{Line: rows.Line(), Err: fmt.Errorf("the log has more than %d signals", mostSignals)}
		}
		s := signal{name: string(cells[3])}
		if len(cells) > 4 {
			s.units = string(cells[4])
		}
		if len(cells) > 5 {
			s.description = string(cells[5])
		}
		if _, again := l.index[first]; again {
			return &format.Error{Line: rows.Line(), Err: fmt.Errorf("signal %s is described twice: which of its values are whose cannot be told", first)}
		}
		l.index[first] = len(l.signals)
		l.signals = append(l.signals, s)
	}
	return nil
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 31)
	return err == nil
}

// isHex reports whether a value is one that only a hexadecimal signal has.
func isHex(cell []byte) bool {
	letter := false
	for _, c := range cell {
		switch {
		case c >= '0' && c <= '9':
		case c >= 'A' && c <= 'F':
			letter = true
		default:
			return false
		}
	}
	return letter
}

// reader reads the rows.
type reader struct {
	*log
	rows *text.Rows
	sink format.RunSink
	out  *format.Batches
}

func (r *reader) channels() *sample.ChannelSet {
	out := make([]sample.Channel, len(r.signals))
	for id, i := range r.index {
		s := r.signals[i]
		n, _ := strconv.ParseUint(id, 10, 31)
		label := s.name
		if label == "" {
			label = "signal " + id
		}
		out[i] = sample.Channel{
			Key: sample.ChannelKey(provider, uint32(n), 0), Provider: provider, ID: uint32(n), Label: label, NativeUnit: text.Unit(s.units),
		}
	}
	return sample.NewChannelSet(provider, out)
}

func (r *reader) read(ctx context.Context) error {
	if err := r.sink.Begin(format.Run{}); err != nil {
		return err
	}
	r.out = format.NewBatches(r.sink, r.channels())
	for n := 0; r.rows.Next(); n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if r.rows.Line() <= r.body || len(bytes.TrimSpace(r.rows.Raw())) == 0 {
			continue
		}
		if err := r.row(); err != nil {
			return err
		}
	}
	if err := r.rows.Err(); err != nil {
		return &format.Error{Line: r.rows.Line(), Err: fmt.Errorf("read rows: %w", err)}
	}
	return r.out.Flush()
}

func (r *reader) row() error {
	cells := r.rows.Cells()
	if r.rows.Long() || len(cells) > 3 && len(bytes.Join(cells[3:], nil)) > 0 {
		r.problem(4, "a row has three cells: time in ms, signal, value; this one was left out")
		return nil
	}
	if len(cells) < 3 || !r.rows.Ended() && len(cells[2]) == 0 {
		r.problem(0, fmt.Sprintf("the row has %d of 3 cells and was left out", len(cells)))
		return nil
	}
	if !r.rows.Ended() {
		r.problem(0, "the file ends inside this row: its value may be cut off and was left out")
		return nil
	}
	ms, kind := number(cells[0])
	if kind != text.Number || !(math.Abs(ms) < 1e12) {
		r.problem(1, fmt.Sprintf("%.40q is no time in milliseconds: the row was left out", cells[0]))
		return nil
	}
	at, ok := r.index[string(cells[1])]
	if !ok {
		r.problem(2, fmt.Sprintf("signal %.40q is not described above: the row was left out", cells[1]))
		return nil
	}
	var v float64
	switch {
	case len(cells[2]) == 0:
		return nil
	case r.signals[at].hex:
		n, ok := hexNumber(cells[2])
		if !ok {
			r.problem(3, fmt.Sprintf("%.40q is no hexadecimal number, as the others of signal %s are", cells[2], r.signals[at].name))
			return nil
		}
		v = n
	default:
		if v, kind = number(cells[2]); kind == text.Missing {
			return nil
		} else if kind == text.Garbage {
			r.problem(3, fmt.Sprintf("%.40q is no number", cells[2]))
			return nil
		}
	}
	return r.out.Add(sample.Sample{Time: int64(math.Round(ms * 1000)), Value: v, Channel: uint32(at)})
}

func hexNumber(cell []byte) (v float64, ok bool) {
	n, err := strconv.ParseUint(string(cell), 16, 53)
	return float64(n), err == nil
}

func number(cell []byte) (float64, text.Kind) { return text.Numbers{Decimal: '.'}.Parse(cell) }

func (r *reader) problem(column int, message string) {
	r.sink.Problem(format.Problem{Line: r.rows.Line(), Column: column, Message: message})
}
