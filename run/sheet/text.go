package sheet

import (
	"fmt"
	"image/color"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// fontFamily is the font's name in an SVG.
const fontFamily = "Liberation Sans"

// size is one of the sizes of letters.
type size uint8

const (
	tiny size = iota
	small
	normal
	strong // normal, bold
	big    // bold
	sizes
)

func (s size) points() float64 { return [sizes]float64{7.5, 9, 10, 10, 16}[s] }

// Where a text lies about its place.
const (
	left   = draw.XLeft
	centre = draw.XCenter
	right  = draw.XRight
)

// ink is an opaque colour, 0xRRGGBB.
type ink uint32

// RGBA makes an ink a color.Color.
func (c ink) RGBA() (r, g, b, a uint32) {
	const full = 0x101 // from 8 to 16 bits
	return uint32(c>>16&0xff) * full, uint32(c>>8&0xff) * full, uint32(c&0xff) * full, 0xffff
}

const (
	white    ink = 0xffffff
	black    ink = 0x141414
	grey     ink = 0x5a5a5a
	gridGrey ink = 0xdedede
	fineGrey ink = 0xf0f0f0
	markGrey ink = 0x969696
)

// letters are the fonts of a sheet.
type letters struct {
	styles [sizes]text.Style
}

func newLetters() (*letters, error) {
	cache := font.NewCache(liberation.Collection())
	l := &letters{}
	for s := range l.styles {
		f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: font.Points(size(s).points())}
		if size(s) >= strong {
			f.Weight = xfont.WeightBold
		}
		if !cache.Has(f) {
			return nil, fmt.Errorf("draw sheet: font %s is missing", f.Name())
		}
		l.styles[s] = text.Style{Font: f, Handler: text.Plain{Fonts: cache}}
	}
	return l, nil
}

func (l *letters) width(s size, t string) vg.Length { return l.styles[s].Width(t) }

// cut shortens a text to the room there is.
func (l *letters) cut(s size, t string, room vg.Length) string {
	if l.width(s, t) <= room {
		return t
	}
	r := []rune(t)
	for len(r) > 0 && l.width(s, string(r)+"…") > room {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}

// wrap breaks a text into lines.
func (l *letters) wrap(s size, t string, room vg.Length) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(t) {
		next := strings.TrimSpace(line + " " + word)
		if line != "" && l.width(s, next) > room {
			lines, next = append(lines, line), word
		}
		line = next
	}
	return append(lines, l.cut(s, line, room))
}

// text draws a line of text, its foot at y.
func (p *page) text(s size, c color.Color, x, y vg.Length, align text.XAlignment, t string) {
	style := p.letters.styles[s]
	style.Color, style.XAlign, style.YAlign = c, align, draw.YBottom
	p.canvas.FillText(style, vg.Point{X: x, Y: y}, t)
}

// upright draws a text that reads upwards, its middle at x, y.
func (p *page) upright(s size, c color.Color, x, y vg.Length, t string) {
	style := p.letters.styles[s]
	style.Color, style.XAlign, style.YAlign, style.Rotation = c, draw.XCenter, draw.YCenter, quarter
	p.canvas.FillText(style, vg.Point{X: x, Y: y}, t)
}

func corners(r vg.Rectangle) []vg.Point {
	return []vg.Point{r.Min, {X: r.Max.X, Y: r.Min.Y}, r.Max, {X: r.Min.X, Y: r.Max.Y}}
}
