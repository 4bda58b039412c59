package csv

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"dynotap/format"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// A corpus of every encoding, delimiter, decimal sign, form of time and damage
// together, each file with what must come out of it beside.

type codec struct {
	name string
	code encoding.Encoding
	mark string
}

var codecs = []codec{
	{"utf8", encoding.Nop, ""},
	{"utf8mark", encoding.Nop, "\xef\xbb\xbf"},
	{"utf16le", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), ""},
	{"utf16lemark", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "\xff\xfe"},
	{"utf16be", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), ""},
	{"utf16bemark", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), "\xfe\xff"},
	{"cp1252", charmap.Windows1252, ""},
	{"latin1", charmap.ISO8859_1, ""},
}

// timeForm writes a time in µs after its start.
type timeForm struct {
	name, header string
	start        time.Time // zero: times count from the run's start
	write        func(at time.Time, us int64, decimal string) string
}

func layoutForm(name, header, layout string, start time.Time, relative bool) timeForm {
	f := timeForm{name: name, header: header, start: start}
	if relative {
		f.start = time.Time{}
	}
	f.write = func(_ time.Time, us int64, decimal string) string {
		s := start.Add(time.Duration(us) * time.Microsecond).Format(layout)
		if decimal == "," && !strings.Contains(layout, "T") {
			s = strings.Replace(s, ".000", ",000", 1)
			if i := strings.LastIndexByte(s, '.'); i > len("23.11.2026") {
				s = s[:i] + "," + s[i+1:]
			}
		}
		return s
	}
	return f
}

var (
	noonUTC   = time.Date(2026, 11, 23, 12, 3, 4, 500e6, time.UTC)
	lateUTC   = time.Date(2026, 11, 23, 23, 59, 59, 500e6, time.UTC)
	timeForms = []timeForm{
		{name: "s", header: "Zeit (s)", write: func(_ time.Time, us int64, decimal string) string {
			return strings.Replace(strconv.FormatFloat(float64(us)/1e6, 'f', 3, 64), ".", decimal, 1)
		}},
		{name: "ms", header: "timestamp_ms", write: func(_ time.Time, us int64, _ string) string { return strconv.FormatInt(us/1000, 10) }},
		{name: "us", header: "Time [us]", write: func(_ time.Time, us int64, _ string) string { return strconv.FormatInt(us, 10) }},
		{name: "epoch", header: "Timestamp", start: noonUTC, write: func(at time.Time, _ int64, decimal string) string {
			return strings.Replace(strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64), ".", decimal, 1)
		}},
		{name: "epochms", header: "Timestamp", start: noonUTC, write: func(at time.Time, _ int64, _ string) string {
			return strconv.FormatInt(at.UnixMilli(), 10)
		}},
		layoutForm("clock", "Uhrzeit", "15:04:05.000", noonUTC, true),
		layoutForm("midnight", "Time", "15:04:05.000", lateUTC, true),
		layoutForm("iso", "Time", "2006-01-02T15:04:05.000Z07:00", lateUTC, false),
		layoutForm("isobare", "Time", "2006-01-02 15:04:05.000", lateUTC, false),
		layoutForm("dotted", "Datum", "02.01.2006 15:04:05.000", noonUTC, false),
		layoutForm("us", "DateTime", "01/02/2006 3:04:05.000 PM", noonUTC, false),
	}
)

// damages change the cells of the file (without the header) and return where
// problems are expected: row, column.
type damage struct {
	name  string
	apply func(c *corpusFile)
}

type corpusFile struct {
	rows      [][]string // texts of the cells, the time first
	lost      map[[2]int]bool
	problems  [][2]int // row, column from 1; column 0 is the row
	preamble  []string
	units     []string
	newline   string
	truncated bool
}

func (c *corpusFile) loseRow(row int) {
	for column := range c.rows[row] {
		c.lost[[2]int{row, column}] = true
	}
}

var damages = []damage{
	{"none", func(*corpusFile) {}},
	{"badcell", func(c *corpusFile) {
		c.rows[3][2] = "#ERR"
		c.lost[[2]int{3, 2}] = true
		c.problems = append(c.problems, [2]int{3, 3})
	}},
	{"badtime", func(c *corpusFile) {
		c.rows[2][0] = "?"
		c.loseRow(2)
		c.problems = append(c.problems, [2]int{2, 1})
	}},
	{"missing", func(c *corpusFile) {
		c.rows[1][1], c.rows[4][3], c.rows[5][2] = "", "NaN", "-"
		c.lost[[2]int{1, 1}], c.lost[[2]int{4, 3}], c.lost[[2]int{5, 2}] = true, true, true
	}},
	{"longrow", func(c *corpusFile) {
		c.rows[4] = append(c.rows[4], "77")
		c.loseRow(4)
		c.problems = append(c.problems, [2]int{4, 5})
	}},
	{"shortrow", func(c *corpusFile) {
		c.rows[4] = c.rows[4][:2]
		c.lost[[2]int{4, 2}], c.lost[[2]int{4, 3}] = true, true
		c.problems = append(c.problems, [2]int{4, 3})
	}},
	{"truncated", func(c *corpusFile) {
		last := len(c.rows) - 1
		c.loseRow(last)
		c.rows[last] = c.rows[last][:2]
		c.truncated = true
		c.problems = append(c.problems, [2]int{last, 0})
	}},
	{"preamble", func(c *corpusFile) {
		c.newline = "\r\n"
		c.preamble = []string{"Prüfstand 7", "Fahrer: Jörg", "", "Notiz: schnell & gut"}
	}},
	{"units", func(c *corpusFile) {
		c.newline = "\r"
		c.units = []string{"", "1/min", "°C", ""}
	}},
}

const corpusRows = 12

// corpusStride keeps the corpus short: it has no factor in common with the
// number of encodings, delimiters, forms or damages, so that every two of them
// still meet.
const corpusStride = 5

// build writes one file and says what must come out of it.
func build(t *testing.T, enc codec, delimiter, decimal string, form timeForm, d damage, quoted bool) (file []byte, want []string, problems []string) {
	t.Helper()
	c := corpusFile{lost: map[[2]int]bool{}, newline: "\n"}
	header := []string{form.header, "Drehzahl", "Öltemperatur (°C)", "λ"}
	if enc.name == "cp1252" || enc.name == "latin1" {
		header[3] = "Gemisch"
	}
	values := make([][4]float64, corpusRows)
	for i := range values {
		us := int64(i) * 125_000
		at := form.start.Add(time.Duration(us) * time.Microsecond)
		values[i] = [4]float64{float64(us), float64(1000 + 37*i), 80.5 + float64(i)/4, 0.85 + float64(i)/1000}
		row := []string{form.write(at, us, decimal)}
		for _, v := range values[i][1:] {
			row = append(row, strings.Replace(strconv.FormatFloat(v, 'f', -1, 64), ".", decimal, 1))
		}
		c.rows = append(c.rows, row)
	}
	d.apply(&c)
	text, first := c.text(header, delimiter, quoted)
	encoded, err := enc.code.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		us := v[0]
		if !form.start.IsZero() {
			us += float64(form.start.UnixMicro())
		}
		for column := 1; column < len(header); column++ {
			if !c.lost[[2]int{i, column}] {
				want = append(want, fmt.Sprintf("%g %s %g", us/1000, header[column], v[column]))
			}
		}
	}
	for _, p := range c.problems {
		problems = append(problems, fmt.Sprintf("%d:%d", first+p[0], p[1]))
	}
	return append([]byte(enc.mark), encoded...), want, problems
}

// text gives the file as text and the line of the first row.
func (c *corpusFile) text(header []string, delimiter string, quoted bool) (text string, first int) {
	var out strings.Builder
	line := func(cells []string) {
		for i, cell := range cells {
			if i > 0 {
				out.WriteString(delimiter)
			}
			if quoted {
				cell = `"` + cell + `"`
			}
			out.WriteString(cell)
		}
		out.WriteString(c.newline)
		first++
	}
	for _, p := range c.preamble {
		out.WriteString(p + c.newline)
		first++
	}
	line(header)
	if c.units != nil {
		line(c.units)
	}
	first++
	at := first
	for _, row := range c.rows {
		line(row)
	}
	text = out.String()
	if c.truncated {
		text = strings.TrimSuffix(text, c.newline)
		if quoted {
			text = strings.TrimSuffix(text, `"`)
		}
	}
	return text, at
}

func TestA2A8Corpus(t *testing.T) {
	t.Parallel()
	files := 0
	for _, enc := range codecs {
		for _, delimiter := range []string{",", ";", "\t", "|"} {
			for _, decimal := range []string{".", ","} {
				for _, form := range timeForms {
					for _, d := range damages {
						if files++; files%corpusStride != 0 {
							continue
						}
						quoted := delimiter == decimal || files%3 == 0
						file, want, problems := build(t, enc, delimiter, decimal, form, d, quoted)
						name := fmt.Sprintf("%s %q %q %s %s quoted=%v", enc.name, delimiter, decimal, form.name, d.name, quoted)
						checkCorpusFile(t, name, file, want, problems, d)
						if t.Failed() {
							t.Logf("%s:\n%q", name, file)
							return
						}
					}
				}
			}
		}
	}
	if files /= corpusStride; files < 300 {
		t.Errorf("only %d files", files)
	}
	t.Logf("%d files", files)
}

func checkCorpusFile(t *testing.T, name string, file []byte, want, problems []string, d damage) {
	t.Helper()
	f := New(format.Settings{})
	if c := f.Detect(file, "x"); c != format.ByShape {
		t.Errorf("%s: confidence %d", name, c)
	}
	k, err := readFile(t, file, format.Settings{})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	expect(t, name, k.values(), want)
	if d.name == "truncated" { // at the row, or at the cell that the cut left open
		if len(k.problems) != 1 || !strings.HasPrefix(k.places()[0], strings.TrimSuffix(problems[0], "0")) {
			t.Errorf("%s: problems %v", name, k.problems)
		}
		return
	}
	expect(t, name+": problems", k.places(), problems)
	if d.name == "preamble" && len(k.runs[0].Notes) != 3 {
		t.Errorf("%s: notes %q", name, k.runs[0].Notes)
	}
	if d.name == "units" && (k.units[0] != "rpm" || k.units[1] != "°C") {
		t.Errorf("%s: units %q", name, k.units)
	}
}
