package text

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"dynotap/sample"

	"pgregory.net/rapid"
)

func TestV6Numbers(t *testing.T) {
	t.Parallel()
	point, comma := Numbers{Decimal: '.'}, Numbers{Decimal: ','}
	grouped, groupedComma := Numbers{'.', true}, Numbers{',', true}
	for _, c := range []struct {
		cell string
		in   Numbers
		want float64
		kind Kind
	}{
		{"3500.5", point, 3500.5, Number},
		{" 3500 ", point, 3500, Number},
		{"0", point, 0, Number},
		{"-0.25", point, -0.25, Number},
		{"+7", point, 7, Number},
		{".5", point, .5, Number},
		{"5.", point, 5, Number},
		{"1.5e3", point, 1500, Number},
		{"1E-3", point, .001, Number},
		{"123456789012345678", point, 123456789012345678, Number},
		{"0.30000000000000004", point, 0.30000000000000004, Number},
		{"inf", point, math.Inf(1), Number},
		{"-Infinity", point, math.Inf(-1), Number},
		{"1,5", comma, 1.5, Number},
		{"-1,5e2", comma, -150, Number},
		{"1.5", comma, 0, Garbage},
		{"1,5", point, 0, Garbage},
		{"1,234.5", point, 1234.5, Number},
		{"1.234,5", comma, 1234.5, Number},
		{"1,234,567", point, 1234567, Number},
		{"-12,345,678.25", point, -12345678.25, Number},
		{"1,234", point, 0, Garbage},
		{"1,234", grouped, 1234, Number},
		{"1.234", groupedComma, 1234, Number},
		{"0,123", grouped, 0, Garbage},
		{"12,34", grouped, 0, Garbage},
		{"1234,567", grouped, 0, Garbage},
		{"1,234,56", grouped, 0, Garbage},
		{"1.5,234", point, 0, Garbage},
		{"1,234 567", point, 0, Garbage},
		{"1 234,5", comma, 1234.5, Number},
		{"1\u00a0234\u00a0567", point, 1234567, Number},
		{"1\u202f234", point, 1234, Number},
		{"1'234.5", point, 1234.5, Number},
		{",123", point, 0, Garbage},
		{"1,234e5", grouped, 0, Garbage},
		{"1_000", point, 0, Garbage},
		{"0x1p-2", point, 0, Garbage},
		{"1e999", point, 0, Garbage},
		{"1.2.3", point, 0, Garbage},
		{"--5", point, 0, Garbage},
		{"5-", point, 0, Garbage},
		{"e5", point, 0, Garbage},
		{"12 V", point, 0, Garbage},
		{"hello", point, 0, Garbage},
		{".", point, 0, Garbage},
		{strings.Repeat("9", 2000), point, 0, Garbage},
		{"", point, 0, Missing},
		{"  ", point, 0, Missing},
		{"-", point, 0, Missing},
		{"---", point, 0, Missing},
		{"NaN", point, 0, Missing},
		{"NULL", point, 0, Missing},
		{"None", point, 0, Missing},
	} {
		if v, kind := c.in.Parse([]byte(c.cell)); v != c.want || kind != c.kind {
			t.Errorf("%q: %v, kind %d, want %v, kind %d", c.cell, v, kind, c.want, c.kind)
		}
	}
}

// checkLikeStrconv holds every way to read a number against strconv.
func checkLikeStrconv(t interface{ Fatalf(string, ...any) }, s string) {
	want, err := strconv.ParseFloat(s, 64)
	if strings.ContainsAny(s, "xXpP_nN") || len(s) > maxNumber {
		return // hexadecimal, words and a thousand digits are not numbers of a log
	}
	same := func(v float64) bool { return math.Float64bits(v) == math.Float64bits(want) }
	v, kind := Numbers{Decimal: '.'}.Parse([]byte(s))
	if (kind == Number) != (err == nil) && !strings.ContainsAny(s, ", '\u00a0\u202f\t\x00") || kind == Number && err == nil && !same(v) {
		t.Fatalf("%q: %v, kind %d; strconv %v, %v", s, v, kind, want, err)
	}
	if v, n, ok := (Numbers{Decimal: '.'}).Prefix([]byte(s+",7"), ','); ok && (n != len(s) || err != nil || !same(v)) && !strings.Contains(s, ",") {
		t.Fatalf("prefix of %q: %v, %d; strconv %v, %v", s, v, n, want, err)
	}
	if strings.Contains(s, ",") || err != nil {
		return
	}
	if v, kind := (Numbers{Decimal: ','}).Parse([]byte(strings.ReplaceAll(s, ".", ","))); kind != Number || !same(v) {
		t.Fatalf("%q with a comma: %v, kind %d; strconv %v", s, v, kind, want)
	}
}

func TestNumbersAreThoseOfStrconv(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[+-]?[0-9]{0,18}(\.[0-9]{0,18})?([eE][+-]?[0-9]{1,3})?`).Draw(t, "number")
		checkLikeStrconv(t, s)
		v := rapid.Float64().Draw(t, "value")
		for _, format := range []byte("efg") {
			checkLikeStrconv(t, strconv.FormatFloat(v, format, rapid.IntRange(-1, 20).Draw(t, "digits"), 64))
		}
	})
}

func FuzzNumbersAreThoseOfStrconv(f *testing.F) {
	for _, s := range []string{"1.5", "-0", "9007199254740993", "123456789012345", "1e22", "0.000000000000001", "1,234.5", "5.", ".e1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkLikeStrconv(t, s) })
}

func TestCellsCostNoAllocation(t *testing.T) {
	row := "1.5,2,-3.25,\"4.5\",nan,,1e3,0.30000000000000004\n"
	r := NewRows(strings.NewReader(strings.Repeat(row, 3000)), ',')
	r.Next()
	r.Cells()
	n := Numbers{Decimal: '.'}
	if per := testing.AllocsPerRun(1000, func() {
		r.Next()
		for _, c := range r.Cells() {
			n.Parse(c)
		}
	}); per > 0 {
		t.Errorf("%v allocations a row", per)
	}
}

func TestUnitsOfARow(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]sample.Unit{
		"rpm": sample.RPM, "[kPa]": sample.Kilopascal, "(deg F)": sample.Fahrenheit, " km/h ": sample.KilometrePerHour,
		"(km/h)/s": sample.KilometreHourSecond, "": sample.NoUnit, "[]": sample.NoUnit, "--": sample.NoUnit, "mV": "mV",
	} {
		if got := Unit(cell); got != want {
			t.Errorf("%q: %q, want %q", cell, got, want)
		}
	}
}
