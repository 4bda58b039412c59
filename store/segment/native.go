package segment

import (
	"math"

	"dynotap/sample"
)

// NativeCheck finds out how a channel's native values can be had back from the
// converted ones. It is cheap enough to look at every sample.
type NativeCheck struct {
	to, from     sample.Conversion
	not32, not64 bool
}

// NewNativeCheck checks the conversion from native to stored values.
func NewNativeCheck(conv sample.Conversion) NativeCheck {
	return NativeCheck{to: conv, from: conv.Invert()}
}

// See takes one native value into account.
func (n *NativeCheck) See(v float64) {
	if n.not32 && n.not64 {
		return
	}
	back := n.from.Apply(n.to.Apply(v))
	n.not64 = n.not64 || !same(back, v)
	n.not32 = n.not32 || !same(float64(float32(back)), v)
}

// Form is the cheapest exact way for all values seen.
func (n *NativeCheck) Form() Native {
	switch {
	case n.to.IsIdentity():
		return NativeSame
	case !n.not32:
		return NativeFloat32
	case !n.not64:
		return NativeFloat64
	}
	return NativeColumn
}

// same compares as numbers: the sign of a zero does not count.
func same(a, b float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b)
}

// toNative turns stored values into native ones, in place.
func (c *Channel) toNative(points []Point) {
	inverse := c.Conversion().Invert()
	switch c.Native {
	case NativeFloat32:
		for i := range points {
			points[i].Value = float64(float32(inverse.Apply(points[i].Value)))
		}
	case NativeFloat64:
		for i := range points {
			points[i].Value = inverse.Apply(points[i].Value)
		}
	case NativeSame, NativeColumn:
	}
}
