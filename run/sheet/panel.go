package sheet

import (
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const quarter = math.Pi / 2

// axis is a range of values with its marks.
type axis struct {
	low, high, step float64
	title           string
}

// newAxis makes an axis that holds low to high and has about so many marks, 1,
// 2 or 5 times a power of ten apart. Its ends are marks.
func newAxis(low, high float64, marks int, title string) axis {
	if !(high > low) {
		low, high = low-1, low+1
	}
	step := math.Pow(10, math.Floor(math.Log10((high-low)/float64(marks))))
	for _, times := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*times) <= float64(marks) {
			step *= times
			break
		}
	}
	return axis{low: math.Floor(low/step+1e-9) * step, high: math.Ceil(high/step-1e-9) * step, step: step, title: title}
}

// tight makes an axis that ends within a fifth of a step of low and high.
func tight(low, high float64, marks int, title string) axis {
	a := newAxis(low, high, marks, title)
	if fine := a.step / 5; high > low {
		a.low, a.high = math.Floor(low/fine+1e-9)*fine, math.Ceil(high/fine-1e-9)*fine
	}
	return a
}

// marks lists the values that are written, multiples of the step.
func (a axis) marks() (list []float64) {
	for i := math.Ceil(a.low/a.step - 1e-9); i <= math.Floor(a.high/a.step+1e-9); i++ {
		list = append(list, i*a.step)
	}
	return list
}

// write is a mark as text.
func (a axis) write(v float64) string {
	digits := max(0, -int(math.Floor(math.Log10(a.step)+1e-9)))
	return plain(v, digits)
}

// plain writes a number with a few digits behind the point, or by its exponent
// where that would be long.
func plain(v float64, digits int) string {
	if math.Abs(v) >= 1e6 || digits > 4 {
		return strconv.FormatFloat(v+0, 'g', 3, 64)
	}
	return strconv.FormatFloat(v+0, 'f', digits, 64)
}

// panel is one diagram.
type panel struct {
	vg.Rectangle
	x, y axis
}

func (d *panel) at(x, y float64) vg.Point {
	part := func(v, low, high float64, from, to vg.Length) vg.Length {
		return from + vg.Length((v-low)/(high-low))*(to-from)
	}
	return vg.Point{
		X: part(x, d.x.low, d.x.high, d.Min.X, d.Max.X),
		Y: part(y, d.y.low, d.y.high, d.Min.Y, d.Max.Y),
	}
}

// frame draws grid, marks and titles; below says whether the horizontal axis is
// written.
func (p *page) frame(d *panel, below bool) {
	fine, grid := draw.LineStyle{Color: fineGrey, Width: 0.4}, draw.LineStyle{Color: gridGrey, Width: 0.6}
	for _, x := range d.x.marks() {
		if half := d.at(x+d.x.step/2, 0).X; half < d.Max.X {
			p.canvas.StrokeLine2(fine, half, d.Min.Y, half, d.Max.Y)
		}
		at := d.at(x, 0).X
		p.canvas.StrokeLine2(grid, at, d.Min.Y, at, d.Max.Y)
		if below {
			p.text(small, black, at, d.Min.Y-13, centre, d.x.write(x))
		}
	}
	for _, y := range d.y.marks() {
		at := d.at(0, y).Y
		p.canvas.StrokeLine2(grid, d.Min.X, at, d.Max.X, at)
		p.text(small, black, d.Min.X-6, at-4, right, d.y.write(y))
		p.text(small, black, d.Max.X+6, at-4, left, d.y.write(y))
	}
	border := append(corners(d.Rectangle), d.Min)
	p.canvas.StrokeLines(draw.LineStyle{Color: grey, Width: 0.8}, border)
	if below {
		p.text(normal, black, (d.Min.X+d.Max.X)/2, d.Min.Y-29, centre, d.x.title)
	}
	p.upright(normal, black, d.Min.X-36, (d.Min.Y+d.Max.Y)/2, d.y.title)
}

// lineLook is how a line is drawn.
type lineLook struct {
	color  color.Color
	width  vg.Length
	dashes []vg.Length
}

func (l lineLook) style() draw.LineStyle {
	return draw.LineStyle{Color: l.color, Width: l.width, Dashes: l.dashes}
}

// stroke draws lines within the panel.
func (p *page) stroke(d *panel, look lineLook, lines [][]vg.Point) {
	inside := draw.Canvas{Canvas: p.canvas.Canvas, Rectangle: d.Rectangle}
	inside.StrokeLines(look.style(), inside.ClipLinesXY(lines...)...)
}

// mark draws a ring about a point.
func (p *page) mark(at vg.Point, c color.Color) {
	p.canvas.DrawGlyphNoClip(draw.GlyphStyle{Color: white, Radius: 3.4, Shape: draw.CircleGlyph{}}, at)
	p.canvas.DrawGlyphNoClip(draw.GlyphStyle{Color: c, Radius: 3.4, Shape: draw.RingGlyph{}}, at)
	p.canvas.DrawGlyphNoClip(draw.GlyphStyle{Color: c, Radius: 1.5, Shape: draw.CircleGlyph{}}, at)
}
