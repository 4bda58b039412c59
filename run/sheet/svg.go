package sheet

import (
	"fmt"
	"io"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// measured is an SVG in which every text has the width that it was laid out
// with, whatever font the viewer has: few have the one that was measured.
type measured struct {
	*vgsvg.Canvas
	widths []vg.Length
}

// FillString draws a text and notes its width.
func (m *measured) FillString(f font.Face, at vg.Point, text string) {
	m.widths = append(m.widths, f.Width(text))
	m.Canvas.FillString(f, at, text)
}

// write writes the picture, naming fonts of the same widths besides.
func (m *measured) write(w io.Writer) error {
	var plain strings.Builder
	if _, err := m.WriteTo(&plain); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	var out strings.Builder
	parts := strings.Split(plain.String(), "<text ")
	out.WriteString(parts[0])
	for i, part := range parts[1:] {
		fmt.Fprintf(&out, `<text textLength="%.5g" lengthAdjust="spacingAndGlyphs" `, m.widths[i].Points())
		out.WriteString(part)
	}
	named := strings.ReplaceAll(out.String(), "font-family:"+fontFamily+";", "font-family:'"+fontFamily+"',Arial,Helvetica,sans-serif;")
	if _, err := io.WriteString(w, named); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	return nil
}
