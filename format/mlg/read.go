package mlg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"dynotap/format"
	"dynotap/sample"
)

// Format reads .mlg files. The zero value is ready.
//
// A log is one run. It is dated where its header has a date; its times are
// those of the log's own Time field, which MegaLogViewer shows, or, where there
// is none that moves, of the 10 µs stamps of its records from 0 on. Each field
// is a channel and each named bit of a bit field one more. Markers are notes of
// the run, with their time.
type Format struct{}

// Detect knows a log by its first six bytes.
func (Format) Detect(head []byte, name string) format.Confidence {
	if strings.HasPrefix(string(head[:min(len(head), len(signature))]), signature) {
		return format.Signature
	}
	if strings.EqualFold(path.Ext(name), ".mlg") {
		return format.ByName
	}
	return format.No
}

// Read reads the file twice, in about 8 MiB of memory whatever its size:
// the notes of a run come before its samples, so the markers are collected
// first. Besides what the sink returns, its errors are *format.Error.
func (Format) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	w := newWindow(r, size)
	h, err := readHeader(w)
	if err != nil {
		return err
	}
	log := &reading{ctx: ctx, w: w, h: h, sink: sink}
	if err := log.prepare(); err != nil {
		return err
	}
	if err := log.survey(); err != nil {
		return err
	}
	return log.decode()
}

// reading is one Read.
type reading struct {
	ctx     context.Context
	w       *window
	h       *header
	sink    format.RunSink
	payload int
	notes   []string

	byColumn bool // time is the Time field's
	axis     int  // index of the Time field; -1: none
	scale    float64
	records  int64
	markers  []marker
	unlisted int64 // markers beyond maxMarkers
}

// marker is a note that the driver or the logger made.
type marker struct {
	column, ticks int64 // its time by either clock, µs
	text          string
}

// maxMarkers is how many markers become notes of the run.
const maxMarkers = 1000

// prepare reads what the header says beside the fields and finds out how long
// a record is.
func (l *reading) prepare() error {
	h := l.h
	if h.dataAt < h.fieldsEnd || h.dataAt > l.w.size {
		l.sink.Problem(at(h.dataField(), fmt.Sprintf("the header says that records begin at byte %d, which cannot be: they are looked for from byte %d on", h.dataAt, h.fieldsEnd)))
		h.dataAt = h.fieldsEnd
	}
	if h.hasBitNames() {
		if err := l.nameBits(); err != nil {
			return err
		}
	}
	lines, left, err := h.info(l.w)
	if err != nil {
		return err
	}
	l.notes = lines
	if left > 0 {
		l.sink.Warn(fmt.Sprintf("%d bytes of the log's information text (usually the tune) stay in the original file and are not part of the run.", left))
	}
	l.notes = append(l.notes, h.categories()...)
	return l.findLength()
}

// dataField is where the header says where the records begin.
func (h *header) dataField() int64 {
	if h.version == 1 {
		return 14
	}
	return 16
}

func at(off int64, text string) format.Problem {
	return format.Problem{Message: fmt.Sprintf("byte %d: %s", off, text)}
}

func (l *reading) nameBits() error {
	h := l.h
	length := min(h.infoEnd()-h.fieldsEnd, maxBitNames)
	area, err := l.w.at(h.fieldsEnd, int(max(length, 0)))
	if err != nil {
		return err
	}
	if !h.nameBits(area) {
		l.sink.Warn("The names of the bits in the bit fields are not where the header says: each such field is one channel, with its bits as one number.")
	}
	return nil
}

// categories says which fields belong together (version 2).
func (h *header) categories() []string {
	members := map[string][]string{}
	var order []string
	for i := range h.fields {
		f := &h.fields[i]
		if f.category == "" {
			continue
		}
		if _, ok := members[f.category]; !ok {
			order = append(order, f.category)
		}
		members[f.category] = append(members[f.category], f.label(i))
	}
	const most = 100
	out := make([]string, 0, len(order))
	for _, c := range order[:min(len(order), most)] {
		out = append(out, fmt.Sprintf("Category %s: %s", c, strings.Join(members[c], ", ")))
	}
	return out
}

// findLength settles how many bytes a record has. The header says it twice, as
// a number and by the fields; where the two differ the records decide.
func (l *reading) findLength() error {
	h := l.h
	l.payload = h.width()
	if h.payload == l.payload {
		return nil
	}
	best, said := l.valid(l.payload), -1
	if h.payload > l.payload {
		said = l.valid(h.payload)
	}
	if said > best {
		l.sink.Warn(fmt.Sprintf("Each record has %d bytes more than its fields fill; they are not read.", h.payload-l.payload))
		l.payload = h.payload
		return nil
	}
	l.sink.Warn(fmt.Sprintf("The header says that a record has %d bytes, but its fields have %d; the fields are right.", h.payload, l.payload))
	return nil
}

// valid counts the sound records among the first ones for a length.
func (l *reading) valid(payload int) int {
	k := newWalker(l.w, l.h, payload)
	n := 0
	b, err := l.w.at(k.pos, min(8*k.length(), windowSize/2))
	for err == nil && len(b) >= k.length() {
		if k.sound(b) && b[0] == kindRecord {
			n++
		}
		b = b[k.length():]
	}
	return n
}

// survey walks through the file once for what has to be known before the first
// sample: the markers, and which clock is good.
func (l *reading) survey() error {
	l.axis, l.scale = l.h.timeColumn()
	column, ticks, seq := l.clocks()
	k := newWalker(l.w, l.h, l.payload)
	blocks := int64(0)
	for {
		b, err := k.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if blocks++; blocks%4096 == 0 && l.ctx.Err() != nil {
			return l.ctx.Err()
		}
		missing := seq.add(&b, k.length())
		onTicks, onColumn := ticks.at(&b, missing), int64(0)
		if column != nil {
			onColumn = column.at(&b)
		}
		switch {
		case !b.marker:
			l.records++
		case len(l.markers) < maxMarkers:
			l.markers = append(l.markers, marker{onColumn, onTicks, text(b.payload)})
		default:
			l.unlisted++
		}
	}
	l.byColumn = column != nil && column.usable()
	if l.axis >= 0 && !l.byColumn && l.records > 0 {
		l.sink.Warn(fmt.Sprintf("The field %s is no time (it stands still, goes back or has no value too often); the stamps of the records are taken instead.", l.h.fields[l.axis].name))
		l.axis = -1
	}
	switch {
	case l.records == 0 && k.pos > l.h.dataAt:
		return located(l.h.dataAt, ErrNoRecords)
	case l.records > 1 && !l.byColumn && !ticks.moved:
		return located(l.h.dataAt, ErrNoTime)
	}
	l.tell(column, ticks, seq)
	return nil
}

func (l *reading) clocks() (*columnClock, *tickClock, *sequence) {
	var column *columnClock
	if l.axis >= 0 {
		column = &columnClock{field: &l.h.fields[l.axis], perUS: l.scale}
	}
	return column, &tickClock{}, &sequence{}
}

// tell says what the survey has found.
func (l *reading) tell(column *columnClock, ticks *tickClock, seq *sequence) {
	if l.records == 0 {
		l.sink.Warn("The log has no records.")
	}
	if seq.steps > 0 && !seq.counts() {
		l.sink.Warn("The records are not numbered one after the other, so it cannot be told whether some are missing.")
	} else if seq.lost > 0 {
		l.sink.Warn(fmt.Sprintf("%d records are missing in %d places, as their numbers tell: the logger lost them.", seq.lost, seq.gaps))
	}
	if !l.byColumn && ticks.guessed > 0 {
		l.sink.Warn(fmt.Sprintf("The stamps of the records start again every 0.655 s. How long %d gaps lasted was told by the number of missing records.", ticks.guessed))
	}
	if l.byColumn && column.falls+column.unusable > 0 {
		l.sink.Warn(fmt.Sprintf("The field %s goes back in %d records and has no value in %d; there time goes on by the stamps of the records.", column.field.name, column.falls, column.unusable))
	}
	if l.unlisted > 0 {
		l.sink.Warn(fmt.Sprintf("%d more markers are not in the notes, which hold the first %d.", l.unlisted, maxMarkers))
	}
}

// base is the time of the log's 0 in µs. A date before 1990 is a clock that was
// never set.
func (l *reading) base() (us int64, dated bool) {
	at := time.Unix(int64(l.h.started), 0).UTC()
	if at.Year() < 1990 {
		return 0, false
	}
	return sample.Micros(at), true
}

func (l *reading) run() format.Run {
	_, dated := l.base()
	run := format.Run{Dated: dated, Notes: l.notes}
	for _, m := range l.markers {
		us := m.ticks
		if l.byColumn {
			us = m.column
		}
		run.Notes = append(run.Notes, fmt.Sprintf("Marker at %.3f s: %s", float64(us)/1e6, m.text))
	}
	run.Notes = slices.Clip(run.Notes)
	return run
}

// decode hands the samples to the sink.
func (l *reading) decode() error {
	set, outputs, broken := l.h.channels(l.axis)
	for _, i := range broken {
		f := &l.h.fields[i]
		l.sink.Problem(at(f.header, fmt.Sprintf("field %s has the scale %g and the transform %g, which give no values: it was left out", f.label(i), f.scale, f.transform)))
	}
	if err := l.sink.Begin(l.run()); err != nil {
		return err
	}
	out := &emitter{sink: l.sink, outputs: outputs}
	out.batch = sample.Batch{Set: set, Clock: sample.ClockFile, Samples: make([]sample.Sample, 0, format.MaxSamples)}
	if l.records == 0 {
		return out.flush()
	}
	base, _ := l.base()
	column, ticks, seq := l.clocks()
	k := newWalker(l.w, l.h, l.payload)
	k.problem = func(off int64, text string) { l.sink.Problem(at(off, text)) }
	k.note = func(off int64, text string) { l.sink.Warn(fmt.Sprintf("Byte %d: %s.", off, text)) }
	for blocks := 1; ; blocks++ {
		b, err := k.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if blocks%4096 == 0 && l.ctx.Err() != nil {
			return l.ctx.Err()
		}
		var us int64
		if l.byColumn {
			us = column.at(&b)
		} else {
			us = ticks.at(&b, seq.add(&b, k.length()))
		}
		if b.marker {
			continue
		}
		if err := out.record(base+us, b.payload); err != nil {
			return err
		}
	}
	if len(out.batch.Samples) > 0 {
		if err := out.flush(); err != nil {
			return err
		}
	}
	if out.missing > 0 {
		l.sink.Warn(fmt.Sprintf("%d values are not a number and count as missing.", out.missing))
	}
	return nil
}

// emitter fills batches.
type emitter struct {
	sink    format.RunSink
	outputs []output
	batch   sample.Batch
	missing int64
}

func (e *emitter) flush() error {
	err := e.sink.Batch(&e.batch)
	e.batch.Samples = e.batch.Samples[:0]
	return err
}

func (e *emitter) record(us int64, payload []byte) error {
	samples := e.batch.Samples
	for i := range e.outputs {
		v := e.outputs[i].value(payload)
		if math.IsNaN(v) {
			e.missing++
			continue
		}
		if len(samples) == format.MaxSamples {
			e.batch.Samples = samples
			if err := e.flush(); err != nil {
				return err
			}
			samples = e.batch.Samples
		}
		samples = append(samples, sample.Sample{Time: us, Value: v, Channel: uint32(i)})
	}
	e.batch.Samples = samples
	return nil
}
