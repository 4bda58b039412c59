package sheet

import (
	"fmt"
	"slices"
	"strings"

	"dynotap/run"
	"dynotap/run/series"
	"dynotap/sample"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const rowHeight = 14

// column is one column of the table of runs; a zero width is what is left.
type column struct {
	title string
	width vg.Length
	cell  func(i int, c *run.Curves) string
}

// table lists the runs with their figures, and gives where it ends. It says
// which line is which.
func (p *page) table(top vg.Length) vg.Length {
	columns := p.columns()
	room := p.canvas.Max.X - p.canvas.Min.X
	for _, c := range columns {
		room -= c.width
	}
	x := p.canvas.Min.X
	for k := range columns {
		if columns[k].width == 0 {
			columns[k].width = room
		}
		c := &columns[k]
		p.text(tiny, grey, x, top-10, left, c.title)
		for i, r := range p.runs {
			y := top - 10 - vg.Length(i+1)*rowHeight
			p.text(normal, black, x, y, left, p.letters.cut(normal, c.cell(i, r), c.width-8))
		}
		x += c.width
	}
	for i := range p.runs {
		p.samples(i, top-10-vg.Length(i+1)*rowHeight)
	}
	end := top - 10 - vg.Length(len(p.runs))*rowHeight - 5
	p.canvas.StrokeLine2(draw.LineStyle{Color: gridGrey, Width: 0.8}, p.canvas.Min.X, end, p.canvas.Max.X, end)
	return end
}

// list is the table upright: each run with its lines and name, and its figures
// below.
func (p *page) list(top vg.Length) vg.Length {
	indent := p.canvas.Min.X + samplesWidth + 4
	for i, r := range p.runs {
		top -= rowHeight
		p.samples(i, top)
		name := ""
		if len(p.runs) > 1 {
			name = fmt.Sprintf("%d: %s", i+1, nameOf(r, p.sources()))
		}
		figures := p.figure(r, r.Power.Series, sample.Horsepower) + " · " + p.figure(r, r.Torque.Series, sample.FootPound)
		if name == "" {
			p.text(normal, black, indent, top, left, figures)
			continue
		}
		p.text(normal, black, indent, top, left, p.letters.cut(normal, name, p.canvas.Max.X-indent))
		top -= rowHeight
		p.text(normal, black, indent, top, left, figures)
	}
	end := top - 6
	p.canvas.StrokeLine2(draw.LineStyle{Color: gridGrey, Width: 0.8}, p.canvas.Min.X, end, p.canvas.Max.X, end)
	return end
}

// samplesWidth is the column in which a run's lines are shown.
const samplesWidth = 120

// samples shows the lines of run i.
func (p *page) samples(i int, y vg.Length) {
	power, torque := p.looks(i)
	x := p.canvas.Min.X
	for _, line := range []struct {
		look lineLook
		name string
	}{{power, "power"}, {torque, "torque"}} {
		p.canvas.StrokeLine2(line.look.style(), x, y+4.5, x+22, y+4.5)
		p.text(tiny, grey, x+26, y+1, left, line.name)
		x += samplesWidth / 2
	}
}

func (p *page) columns() []column {
	name := "run"
	if len(p.runs) == 1 {
		name = ""
	}
	list := []column{
		{"", samplesWidth, func(int, *run.Curves) string { return "" }},
		{name, 0, func(i int, c *run.Curves) string {
			if len(p.runs) == 1 {
				return "" // it is the title
			}
			return fmt.Sprintf("%d: %s", i+1, nameOf(c, p.sources()))
		}},
	}
	if len(p.runs) > 1 && slices.ContainsFunc(p.runs, func(c *run.Curves) bool { return p.date(c) != "" }) {
		list = append(list, column{"date", 104, func(_ int, c *run.Curves) string { return p.date(c) }})
	}
	list = append(list,
		column{"highest power", 122, func(_ int, c *run.Curves) string { return p.figure(c, c.Power.Series, sample.Horsepower) }},
		column{"highest torque", 122, func(_ int, c *run.Curves) string { return p.figure(c, c.Torque.Series, sample.FootPound) }},
	)
	if len(p.runs) > 1 {
		list = append(list, column{"correction", 96, func(_ int, c *run.Curves) string {
			if c.Factor != nil {
				return fmt.Sprintf("%s %.4f", strings.ToUpper(c.Factor.Standard.String()), c.Factor.Value)
			}
			return strings.TrimPrefix(c.Correction, "as recorded, ") // there is room for one of both
		}})
	}
	return list
}

// figure is a peak with the engine speed there.
func (p *page) figure(c *run.Curves, s series.Series, unit sample.Unit) string {
	i := s.Peak()
	if i < 0 {
		return "-"
	}
	v, shown := p.shown(s.Values[i], unit)
	text := fmt.Sprintf("%s %s", plain(v, 1), shown)
	if rpm, ok := c.RPM.At(s.Times[i], gap); ok {
		text += fmt.Sprintf(" @ %.0f", rpm)
	}
	return text
}

// sources reports whether the runs come from several sources.
func (p *page) sources() bool {
	return slices.ContainsFunc(p.runs, func(c *run.Curves) bool { return c.Run.Source != p.runs[0].Run.Source })
}
