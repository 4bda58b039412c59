// Package sheet draws the classic dyno sheet: power and torque over engine
// speed on one scale, the mixture below, with the figures that people quote.
package sheet

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"dynotap/run"
	"dynotap/sample"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// MostRuns is how many runs one sheet overlays.
const MostRuns = 6

// Format is a kind of picture.
type Format string

// The formats.
const (
	SVG Format = "svg"
	PNG Format = "png"
)

// Options say how a sheet looks.
type Options struct {
	Format Format
	// Title stands on top; empty: the run's name, or that of a comparison.
	Title string
	Units sample.System
	// OverTime draws over the time since each run's start instead of over
	// engine speed.
	OverTime bool
	// Location is the time zone of dates; nil: UTC.
	Location *time.Location
	// Portrait draws on a small upright page, for a phone.
	Portrait bool
}

// ErrSheet says what about a wish for a sheet is wrong.
var ErrSheet = errors.New("no such sheet")

// resolution is that of a PNG, in dots an inch.
const resolution = 150

// paper is what a sheet is drawn on.
type paper struct{ width, height, margin vg.Length }

// paper is US letter, landscape, with margins that printers leave; upright it is
// so small that letters have their size on a phone.
func (o *Options) paper() paper {
	if o.Portrait {
		return paper{width: 5 * vg.Inch, height: 7 * vg.Inch, margin: 0.12 * vg.Inch}
	}
	return paper{width: 11 * vg.Inch, height: 8.5 * vg.Inch, margin: 0.5 * vg.Inch}
}

// Draw writes a sheet of one to six runs. The curves stay as they are. An SVG
// needs no particular font; a PNG needs none at all.
func Draw(w io.Writer, runs []*run.Curves, o Options) error {
	if len(runs) == 0 || len(runs) > MostRuns {
		return fmt.Errorf("%w: %d runs, a sheet overlays 1 to %d", ErrSheet, len(runs), MostRuns)
	}
	if o.Location == nil {
		o.Location = time.UTC
	}
	letters, err := newLetters()
	if err != nil {
		return err
	}
	p := &page{options: o, runs: runs, letters: letters}
	paper := o.paper()
	switch o.Format {
	case SVG:
		canvas := &measured{Canvas: vgsvg.New(paper.width, paper.height)}
		p.draw(draw.New(canvas))
		return canvas.write(w)
	case PNG:
		canvas := vgimg.NewWith(vgimg.UseWH(paper.width, paper.height), vgimg.UseDPI(resolution))
		p.draw(draw.New(canvas))
		if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(w); err != nil {
			return fmt.Errorf("write picture: %w", err)
		}
		return nil
	}
	return fmt.Errorf("%w: format %q: use svg or png", ErrSheet, o.Format)
}

// page is a sheet being drawn.
type page struct {
	options Options
	runs    []*run.Curves
	letters *letters
	canvas  draw.Canvas
}

// draw draws from the top down and from the bottom up; the curves get what is
// left.
func (p *page) draw(canvas draw.Canvas) {
	canvas.FillPolygon(white, corners(canvas.Rectangle))
	margin := p.options.paper().margin
	p.canvas = draw.Crop(canvas, margin, -margin, margin, -margin)
	top := p.header(p.canvas.Max.Y)
	if p.options.Portrait {
		top = p.list(top - 6)
	} else {
		top = p.table(top - 6)
	}
	bottom := p.footer(p.canvas.Min.Y)
	x := p.xAxis()
	upper := vg.Rectangle{
		Min: vg.Point{X: p.canvas.Min.X + p.side(), Y: bottom + 36},
		Max: vg.Point{X: p.canvas.Max.X - p.side(), Y: top - 10},
	}
	lines := p.mixtureLines()
	if len(lines) > 0 {
		split := upper.Min.Y + 0.27*(upper.Max.Y-upper.Min.Y)
		lower := vg.Rectangle{Min: upper.Min, Max: vg.Point{X: upper.Max.X, Y: split - 8 - keyHeight*vg.Length(p.keyRows(lines))}}
		p.mixture(lower, x, lines)
		upper.Min.Y = split
	}
	p.power(upper, x, len(lines) == 0)
}

// side is the room beside the diagrams for the figures of the axes.
func (p *page) side() vg.Length {
	if p.options.Portrait {
		return 38
	}
	return 44
}

// header draws the title and the date, and gives where it ends.
func (p *page) header(top vg.Length) vg.Length {
	l, box := p.letters, p.canvas
	title := p.options.Title
	first := p.runs[0]
	date := p.date(first)
	if len(p.runs) > 1 {
		date = ""
	}
	if title == "" {
		title = titleOf(p.runs)
	}
	room := box.Max.X - box.Min.X
	if p.options.Portrait && date != "" {
		p.text(big, black, box.Min.X, top-16, left, l.cut(big, title, room))
		top -= 14
		p.text(small, grey, box.Min.X, top-16, left, date)
	} else {
		p.text(big, black, box.Min.X, top-16, left, l.cut(big, title, room-l.width(small, date)-20))
		p.text(small, grey, box.Max.X, top-16, right, date)
	}
	return p.conditions(top - 22)
}

// conditions draws the line under the title.
func (p *page) conditions(top vg.Length) vg.Length {
	first := p.runs[0]
	parts := []string{"correction: " + common(p.runs, func(c *run.Curves) string { return c.Correction })}
	if len(p.runs) == 1 && first.Factor != nil {
		parts[0] += fmt.Sprintf(", factor %.4f", first.Factor.Value)
	}
	parts = append(parts, "smoothing: "+common(p.runs, func(c *run.Curves) string { return strconv.Itoa(c.Smoothing) }))
	if air := p.air(first); len(p.runs) == 1 && air != "" {
		parts = append(parts, "air: "+air)
	}
	room := p.canvas.Max.X - p.canvas.Min.X
	lines := []string{p.letters.cut(small, strings.Join(parts, "  ·  "), room)}
	if p.options.Portrait {
		lines = p.letters.wrap(small, strings.Join(parts, " · "), room)
	}
	for _, line := range lines {
		p.text(small, grey, p.canvas.Min.X, top-12, left, line)
		top -= 12
	}
	return top - 6
}

// footer draws what a reader has to know, and gives where it begins.
func (p *page) footer(bottom vg.Length) vg.Length {
	width := p.canvas.Max.X - p.canvas.Min.X
	p.text(tiny, grey, p.canvas.Max.X, bottom, right, "dynotap")
	width -= p.letters.width(tiny, "dynotap") + 20
	notes := p.notes()
	lines := make([]string, 0, len(notes))
	for _, text := range notes {
		lines = append(lines, p.letters.wrap(tiny, text, width)...)
	}
	for i, line := range slices.Backward(lines) {
		p.text(tiny, grey, p.canvas.Min.X, bottom+vg.Length(len(lines)-1-i)*10, left, line)
	}
	return bottom + max(10, vg.Length(len(lines))*10)
}

// notes are the runs' notes, the same note once, with the runs it is about
// where it is not about all.
func (p *page) notes() []string {
	about := map[string][]string{}
	var order []string
	for i, c := range p.runs {
		for _, note := range c.Notes {
			if about[note] == nil {
				order = append(order, note)
			}
			about[note] = append(about[note], strconv.Itoa(i+1))
		}
	}
	if len(p.runs) == 1 {
		return []string{strings.Join(order, "; ")}
	}
	for i, note := range order {
		if n := len(about[note]); n < len(p.runs) {
			order[i] = fmt.Sprintf("run %s: %s", strings.Join(about[note], ", "), note)
		}
	}
	return order
}

// common is what all runs have, or where it is found.
func common(runs []*run.Curves, of func(*run.Curves) string) string {
	for _, c := range runs[1:] {
		if of(c) != of(runs[0]) {
			return "see table"
		}
	}
	return of(runs[0])
}

func titleOf(runs []*run.Curves) string {
	if len(runs) > 1 {
		return fmt.Sprintf("Comparison of %d runs", len(runs))
	}
	return nameOf(runs[0], true)
}

// nameOf is what a run is called on the sheet.
func nameOf(c *run.Curves, source bool) string {
	name := c.Run.Name
	if name == "" {
		name = string(c.Run.Kind)
	}
	if c.Part != "" {
		name += ", " + c.Part
	}
	if source && c.Run.Source != "" {
		name += " (" + c.Run.Source + ")"
	}
	return name
}

// date is when what is shown began; empty where that is not known.
func (p *page) date(c *run.Curves) string {
	if c.Run.StartedAt == nil {
		return ""
	}
	layout := "2006-01-02 15:04:05 MST"
	if len(p.runs) > 1 {
		layout = "2006-01-02 15:04"
	}
	return sample.Time(c.From).In(p.options.Location).Format(layout)
}

// air is the weather in words; empty where it was not used.
func (p *page) air(c *run.Curves) string {
	w := c.Weather
	if w.Temperature == nil || w.Pressure == nil || w.Humidity == nil {
		return ""
	}
	t, tu := p.shown(*w.Temperature, sample.Celsius)
	b, bu := *w.Pressure, sample.Kilopascal
	if p.options.Units == sample.US {
		conv, _ := sample.Kilopascal.To(sample.InchHg)
		b, bu = conv.Apply(b), sample.InchHg
	}
	return fmt.Sprintf("%.1f %s, %.2f %s absolute, %.0f %% humidity", t, tu, b, bu, *w.Humidity)
}

// shown brings a value to the units of the sheet.
func (p *page) shown(v float64, unit sample.Unit) (float64, sample.Unit) {
	to := unit.Shown(p.options.Units)
	conv, ok := unit.To(to)
	if !ok {
		return v, unit
	}
	return conv.Apply(v), to
}
