// Package wp8 reads the run files of WinPEP 8 and Power Core as far as they are
// known: the list of channels, and series of samples where the structure proves
// itself (PROTOCOLS 6). Nothing is guessed: what was not decoded is said.
package wp8

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"dynotap/format"
	"dynotap/sample"
)

// provider is the device of channels that name none.
const provider = "WinPEP 8"

// mark begins every file.
const mark = "\xfe\xce\xfa\xce"

// Bounds of the walk. The largest file heard of has 745 KB and about a hundred
// channels.
const (
	maxSize     = 256 << 20
	maxDepth    = 12
	maxFields   = 20_000_000
	maxChannels = 10_000
)

// Format reads .wp8 files.
type Format struct{}

// New makes the format. Its times count from the start of the run.
func New(format.Settings) Format { return Format{} }

// Detect knows a file by its mark.
func (Format) Detect(head []byte, _ string) format.Confidence {
	if bytes.HasPrefix(head, []byte(mark)) {
		return format.Signature
	}
	return format.No
}

var (
	errSize   = fmt.Errorf("a run file of more than %d MB is not looked into", maxSize>>20)
	errMark   = errors.New("the file does not begin with the mark of a .wp8")
	errFields = errors.New("the file has more fields than any run: it is damaged, or no .wp8")
	errSeries = errors.New("its samples could not be decoded: nobody has published how they are stored. " +
		"Export the run as text from WinPEP or Power Core (File, Export) and import that; the .wp8 stays yours")
)

// Read gives the file as one run of the series that proved themselves. Without
// any the error says what was found, and how to get at the samples.
func (Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	if size > maxSize {
		return &format.Error{Err: errSize}
	}
	file := make([]byte, size)
	if _, err := r.ReadAt(file, 0); err != nil && !errors.Is(err, io.EOF) {
		return &format.Error{Err: fmt.Errorf("read file: %w", err)}
	}
	if !bytes.HasPrefix(file, []byte(mark)) {
		return &format.Error{Err: errMark}
	}
	w := &walk{ctx: ctx, channels: map[uint64]*definition{}}
	w.message(file[len(mark):], int64(len(mark)), 0)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case w.fields > maxFields:
		return &format.Error{Err: errFields}
	}
	return w.report(sink)
}

// definition is a channel as the file describes it.
type definition struct {
	id                            uint64
	name, units, device, category string
}

// candidate is a message that looks like a channel's samples.
type candidate struct {
	id            uint64
	times, values []float64
}

// walk goes through the wire format. Every byte is looked at once a depth.
type walk struct {
	ctx      context.Context
	fields   int
	damaged  int64 // byte at which the outermost message ends in damage; 0: it does not
	order    []uint64
	channels map[uint64]*definition
	twice    int // ids that are defined differently
	series   []candidate
}

// message reads a message. One within another that is none to its end is not
// looked at; of the file itself what comes before the damage is.
func (w *walk) message(b []byte, at int64, depth int) {
	var m fields
	whole := true
	for rest := b; len(rest) > 0; {
		if w.fields++; w.fields > maxFields || w.fields%65536 == 0 && w.ctx.Err() != nil {
			return
		}
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			whole = false
			break
		}
		size := protowire.ConsumeFieldValue(number, kind, rest[n:])
		if size < 0 {
			whole = false
			break
		}
		m.take(number, kind, rest[n:n+size])
		rest = rest[n+size:]
		at += int64(n + size)
	}
	if !whole && depth > 0 {
		return
	}
	if !whole {
		w.damaged = at
	}
	w.definition(&m)
	w.candidate(&m)
	if depth < maxDepth {
		for _, inner := range m.messages {
			w.message(inner, at, depth+1)
		}
	}
}

// fields are those of one message that may mean something.
type fields struct {
	texts    map[protowire.Number]string
	ids      map[protowire.Number]uint64
	messages [][]byte
}

func (m *fields) take(number protowire.Number, kind protowire.Type, value []byte) {
	switch kind {
	case protowire.VarintType:
		v, n := protowire.ConsumeVarint(value)
		if n < 0 {
			return
		}
		if m.ids == nil {
			m.ids = map[protowire.Number]uint64{}
		}
		m.ids[number] = v
	case protowire.BytesType:
		inner, n := protowire.ConsumeBytes(value)
		if n < 0 {
			return
		}
		m.messages = append(m.messages, inner)
		if isText(inner) {
			if m.texts == nil {
				m.texts = map[protowire.Number]string{}
			}
			m.texts[number] = string(inner)
		}
	}
}

func isText(b []byte) bool {
	const longest = 200
	if len(b) == 0 || len(b) > longest || !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// The fields of a channel's definition (PROTOCOLS 6).
const (
	fieldName     = 2
	fieldUnits    = 3
	fieldID       = 4
	fieldDevice   = 7
	fieldCategory = 8
)

// definition notes a channel if the message describes one: a name and an id, and
// units or a device.
func (w *walk) definition(m *fields) {
	id, hasID := m.ids[fieldID]
	name, named := m.texts[fieldName]
	_, hasUnits := m.texts[fieldUnits]
	device, hasDevice := m.texts[fieldDevice]
	if !hasID || !named || !hasUnits && !hasDevice || id > math.MaxUint32 {
		return
	}
	d := definition{id: id, name: name, units: m.texts[fieldUnits], device: device, category: m.texts[fieldCategory]}
	if known := w.channels[id]; known != nil {
		if *known != d {
			w.twice++
		}
		return
	}
	if len(w.channels) < maxChannels {
		w.channels[id] = &d
		w.order = append(w.order, id)
	}
}

// leastSamples is how long a series must be to prove itself.
const leastSamples = 8

// candidate notes a message of one channel id and two lists of numbers of one
// length: times, and values.
func (w *walk) candidate(m *fields) {
	if len(m.ids) != 1 || len(m.messages) != 2 {
		return
	}
	var id uint64
	for _, v := range m.ids {
		id = v
	}
	first, second := m.messages[0], m.messages[1]
	for _, width := range []int{4, 8} {
		for _, other := range []int{4, 8} {
			times, ok := list(first, width)
			if !ok {
				continue
			}
			values, ok := list(second, other)
			if ok && len(times) == len(values) && len(times) >= leastSamples && ascending(times) && finite(values) {
				w.series = append(w.series, candidate{id, times, values})
				return
			}
		}
	}
}

// list reads packed floats of 4 or 8 bytes.
func list(b []byte, width int) ([]float64, bool) {
	if len(b) == 0 || len(b)%width != 0 {
		return nil, false
	}
	out := make([]float64, 0, len(b)/width)
	for ; len(b) > 0; b = b[width:] {
		if width == 4 {
			v, _ := protowire.ConsumeFixed32(b)
			out = append(out, float64(math.Float32frombits(v)))
		} else {
			v, _ := protowire.ConsumeFixed64(b)
			out = append(out, math.Float64frombits(v))
		}
	}
	return out, true
}

// ascending reports whether numbers can be times in seconds of one run: they
// begin at 0 or later, never stand still and end within a day.
func ascending(times []float64) bool {
	const day = 86400
	if !(times[0] >= 0) || !(times[len(times)-1] <= day) || times[len(times)-1] < 0.001 {
		return false
	}
	for i := 1; i < len(times); i++ {
		if !(times[i] > times[i-1]) {
			return false
		}
	}
	return true
}

// finite reports whether numbers can be values: finite, and none so small that
// it is the bits of something else.
func finite(values []float64) bool {
	const least, most = 1e-12, 1e12
	for _, v := range values {
		if a := math.Abs(v); !(a < most) || a != 0 && a < least {
			return false
		}
	}
	return true
}

// report hands over what proved itself and says what did not.
func (w *walk) report(sink format.RunSink) error {
	proven, unproven := w.proven()
	if w.damaged > 0 {
		sink.Problem(format.Problem{Message: fmt.Sprintf("byte %d: the file is damaged from here on", w.damaged)})
	}
	if w.twice > 0 {
		sink.Warn(fmt.Sprintf("%d channels are described a second time otherwise: the first description counts", w.twice))
	}
	if len(proven) == 0 {
		return &format.Error{Err: fmt.Errorf("the file lists %d channels%s: %w", len(w.order), w.some(), errSeries)}
	}
	if err := sink.Begin(format.Run{Facts: map[string]string{"channels_described": strconv.Itoa(len(w.order))}}); err != nil {
		return err
	}
	if unproven > 0 {
		sink.Warn(fmt.Sprintf("%d of %d channels have no series that proves itself (a channel's id, times that ascend and as many finite values): they are listed without values", unproven, len(w.order)))
	}
	out := format.NewBatches(sink, w.set())
	for _, c := range proven {
		at := slices.Index(w.order, c.id)
		for i, t := range c.times {
			if err := out.Add(sample.Sample{Time: int64(math.Round(t * 1e6)), Value: c.values[i], Channel: uint32(at)}); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// proven gives the series that belong to one channel each. Two that claim the
// same channel prove neither.
func (w *walk) proven() (list []candidate, unproven int) {
	count := map[uint64]int{}
	for _, c := range w.series {
		count[c.id]++
	}
	for _, c := range w.series {
		if w.channels[c.id] != nil && count[c.id] == 1 {
			list = append(list, c)
		}
	}
	return list, len(w.order) - len(list)
}

func (w *walk) some() string {
	const shown = 8
	text := ""
	for i, id := range w.order {
		if i == shown {
			return text + " ...)"
		}
		if i == 0 {
			text = " ("
		} else {
			text += ", "
		}
		text += w.channels[id].name
	}
	if text != "" {
		text += ")"
	}
	return text
}

func (w *walk) set() *sample.ChannelSet {
	out := make([]sample.Channel, 0, len(w.order))
	for _, id := range w.order {
		d := w.channels[id]
		device := d.device
		if device == "" {
			device = provider
		}
		unit, ok := sample.ParseUnit(d.units)
		if !ok {
			unit = sample.Unit(d.units)
		}
		out = append(out, sample.Channel{
			Key: sample.ChannelKey(device, uint32(id), 0), Provider: device, ID: uint32(id), Label: d.name, NativeUnit: unit,
		})
	}
	return sample.NewChannelSet(provider, out)
}
