package sheet

import (
	"fmt"
	"image/color"
	"math"

	"dynotap/run"
	"dynotap/run/series"
	"dynotap/sample"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// gap is how far apart two samples may lie, in µs, that a line joins.
const gap = 1_000_000

// crossing is the rpm at which hp and ft·lb are equal.
const crossing = series.ShaftConstant

// runColour is the colour of run i, told apart by the colour-blind too.
func runColour(i int) ink {
	return [MostRuns]ink{0xc82323, 0x195ab9, 0x1e7d3c, 0xe17d00, 0x732d91, 0x008796}[i]
}

// mixtureColour is that of the k-th mixture line of a single run.
func mixtureColour(k int) ink {
	list := [...]ink{0x1e7d3c, 0xe17d00, 0x732d91, 0x008796, 0x825a28, 0x3c3c3c}
	return list[k%len(list)]
}

// looks gives the lines of run i. A single run has a colour for each quantity,
// of several each has one, with torque dashed.
func (p *page) looks(i int) (power, torque lineLook) {
	if len(p.runs) == 1 {
		return lineLook{color: runColour(0), width: 2}, lineLook{color: runColour(1), width: 2}
	}
	return lineLook{color: runColour(i), width: 1.8}, lineLook{color: runColour(i), width: 1.4, dashes: []vg.Length{5, 2.5}}
}

// xy is a place in a diagram's own values.
type xy struct{ x, y float64 }

// place gives a curve's points over engine speed or time, cut where the curve
// has a gap. The values are brought to a unit of the sheet.
func (p *page) place(c *run.Curves, s series.Series, unit sample.Unit) (lines [][]xy) {
	var line []xy
	last := int64(math.MinInt64)
	for i, t := range s.Times {
		x, ok := p.over(c, t)
		if !ok || len(line) > 0 && t-last > gap {
			if len(line) > 0 {
				lines = append(lines, line)
			}
			line = nil
		}
		if ok {
			y, _ := p.shown(s.Values[i], unit)
			line = append(line, xy{x, y})
			last = t
		}
	}
	if len(line) > 0 {
		lines = append(lines, line)
	}
	return lines
}

// over is where a time of a run lies on the horizontal axis.
func (p *page) over(c *run.Curves, t int64) (float64, bool) {
	if p.options.OverTime {
		return float64(t-c.From) / 1e6, true
	}
	return c.RPM.At(t, gap)
}

// xAxis spans all runs.
func (p *page) xAxis() axis {
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range p.runs {
		for _, t := range c.Power.Times {
			if x, ok := p.over(c, t); ok {
				low, high = min(low, x), max(high, x)
			}
		}
	}
	marks := 12
	if p.options.Portrait {
		marks = 6
	}
	switch {
	case math.IsInf(low, 0) && p.options.OverTime:
		return newAxis(0, 1, 10, "time (s)")
	case math.IsInf(low, 0):
		return newAxis(0, 1000, 10, "engine speed (rpm)")
	case p.options.OverTime:
		return tight(0, high, marks, "time (s)")
	}
	return tight(low, high, marks, "engine speed (rpm)")
}

// power draws the upper diagram. Power and torque share one scale: in hp and
// ft·lb they cross at 5252 rpm.
func (p *page) power(box vg.Rectangle, x axis, below bool) {
	top, bottom := 0.0, 0.0
	for _, c := range p.runs {
		for _, of := range []struct {
			s    series.Series
			unit sample.Unit
		}{{c.Power.Series, sample.Horsepower}, {c.Torque.Series, sample.FootPound}} {
			for _, v := range of.s.Values {
				shown, _ := p.shown(v, of.unit)
				top, bottom = max(top, shown), min(bottom, shown)
			}
		}
	}
	hp, ftlb := sample.Horsepower.Shown(p.options.Units), sample.FootPound.Shown(p.options.Units)
	if top > 0 {
		bottom = max(bottom, -top/4) // over time a run holds overrun, where torque is negative
	}
	d := &panel{Rectangle: box, x: x, y: newAxis(bottom, top*1.1, 13, fmt.Sprintf("power (%s) · torque (%s)", hp, ftlb))}
	p.frame(d, below)
	if p.options.Units == sample.US && !p.options.OverTime && crossing > x.low && crossing < x.high {
		at := d.at(crossing, 0).X
		p.canvas.StrokeLine2(draw.LineStyle{Color: markGrey, Width: 0.6, Dashes: []vg.Length{2, 2}}, at, d.Min.Y, at, d.Max.Y)
		p.text(tiny, grey, at+3, d.Min.Y+3, left, "5252")
	}
	for i, c := range p.runs {
		power, torque := p.looks(i)
		p.stroke(d, torque, d.points(p.place(c, c.Torque.Series, sample.FootPound)))
		p.stroke(d, power, d.points(p.place(c, c.Power.Series, sample.Horsepower)))
	}
	var taken []vg.Rectangle
	for i, c := range p.runs {
		power, torque := p.looks(i)
		taken = p.peak(d, c, c.Torque.Series, sample.FootPound, torque, taken)
		taken = p.peak(d, c, c.Power.Series, sample.Horsepower, power, taken)
	}
}

func (d *panel) points(lines [][]xy) [][]vg.Point {
	out := make([][]vg.Point, len(lines))
	for i, line := range lines {
		for _, v := range line {
			out[i] = append(out[i], d.at(v.x, v.y))
		}
	}
	return out
}

// peak marks the highest value; of a single run its figures stand beside it,
// clear of those that have taken their place; those of several are in the
// table.
func (p *page) peak(d *panel, c *run.Curves, s series.Series, unit sample.Unit, look lineLook, taken []vg.Rectangle) []vg.Rectangle {
	i := s.Peak()
	if i < 0 {
		return taken
	}
	x, ok := p.over(c, s.Times[i])
	if !ok {
		return taken
	}
	v, _ := p.shown(s.Values[i], unit)
	at := d.at(x, v)
	if at.X < d.Min.X || at.X > d.Max.X || at.Y < d.Min.Y || at.Y > d.Max.Y {
		return taken
	}
	p.mark(at, look.color)
	if len(p.runs) > 1 {
		return taken
	}
	text := p.figure(c, s, unit)
	half := p.letters.width(strong, text)/2 + 4
	at.X = max(d.Min.X+half, min(d.Max.X-half, at.X))
	box := vg.Rectangle{Min: vg.Point{X: at.X - half, Y: at.Y + 6}, Max: vg.Point{X: at.X + half, Y: at.Y + 20}}
	for _, other := range taken {
		if box.Min.X < other.Max.X && other.Min.X < box.Max.X && box.Min.Y < other.Max.Y && other.Min.Y < box.Max.Y {
			box.Min.Y, box.Max.Y = at.Y-20, at.Y-6
		}
	}
	p.canvas.FillPolygon(color.NRGBA{255, 255, 255, 190}, corners(box)) // readable on a line
	p.text(strong, look.color, at.X, box.Min.Y+1, centre, text)
	return append(taken, box)
}

// mixtureLine is one line of the lower diagram.
type mixtureLine struct {
	run   *run.Curves
	curve *run.Curve
	look  lineLook
	unit  sample.Unit
}

// mixtureLines are all of a single run, and the first measured one of each of
// several.
func (p *page) mixtureLines() (lines []mixtureLine) {
	for i, c := range p.runs {
		for k := range c.Mixture {
			curve := &c.Mixture[k]
			line := mixtureLine{run: c, curve: curve, unit: c.MixtureUnit, look: lineLook{color: mixtureColour(k), width: 1.4}}
			switch {
			case len(p.runs) > 1 && curve.Target:
				continue
			case len(p.runs) > 1:
				line.look.color = runColour(i)
			case curve.Target:
				line.look = lineLook{color: markGrey, width: 1, dashes: []vg.Length{4, 3}}
			}
			lines = append(lines, line)
			if len(p.runs) > 1 {
				break
			}
		}
	}
	return lines
}

// mixture draws the lower diagram, in the unit of its first line.
func (p *page) mixture(box vg.Rectangle, x axis, lines []mixtureLine) {
	unit, title := lines[0].unit, "AFR"
	if unit == sample.Lambda {
		title = "λ"
	}
	low, high := math.Inf(1), math.Inf(-1)
	drawn := make([][][]xy, len(lines))
	for i, line := range lines {
		conv, _ := line.unit.To(unit)
		drawn[i] = p.place(line.run, line.curve.Scaled(conv.Scale), channelUnit)
		for _, part := range drawn[i] {
			for _, v := range part {
				low, high = min(low, v.y), max(high, v.y)
			}
		}
	}
	if math.IsInf(low, 0) {
		low, high = 10, 16
	}
	pad := max((high-low)*0.08, high*0.01)
	d := &panel{Rectangle: box, x: x, y: newAxis(low-pad, high+pad, 5, title)}
	p.frame(d, true)
	for i, line := range lines {
		p.stroke(d, line.look, d.points(drawn[i]))
	}
	p.key(lines, box.Max.Y+4)
}

// channelUnit is the unit of values that the sheet shows as they are.
const channelUnit = sample.NoUnit

// keyHeight is the height of a row of the key.
const keyHeight = 12

// keyRows is how many rows the key takes: upright there are two lines in one.
func (p *page) keyRows(lines []mixtureLine) int {
	if !p.options.Portrait || len(p.runs) > 1 {
		return 1
	}
	return (len(lines) + 1) / 2
}

// key says above the lower diagram which line is which.
func (p *page) key(lines []mixtureLine, y vg.Length) {
	from := p.canvas.Min.X + p.side()
	x, rows := from, p.keyRows(lines)
	inRow := (len(lines) + rows - 1) / rows
	y += keyHeight * vg.Length(rows-1)
	named := map[string]bool{}
	for i, line := range lines {
		if i > 0 && i%inRow == 0 {
			x, y = from, y-keyHeight
		}
		label := line.curve.Label
		if len(p.runs) > 1 {
			if named[label] {
				continue
			}
			named[label] = true
			p.text(small, grey, x, y, left, label)
			x += p.letters.width(small, label) + 18
			continue
		}
		if line.curve.Device != "" {
			label += " (" + line.curve.Device + ")"
		}
		label = p.letters.cut(small, label, (p.canvas.Max.X-p.canvas.Min.X-2*p.side())/vg.Length(inRow)-40)
		p.canvas.StrokeLine2(line.look.style(), x, y+4, x+20, y+4)
		p.text(small, black, x+25, y, left, label)
		x += 25 + p.letters.width(small, label) + 14
	}
}
