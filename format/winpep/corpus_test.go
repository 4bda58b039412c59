package winpep

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"dynotap/format"
)

// What a file of the corpus is made of.
var (
	codecs = []struct {
		name string
		mark string
		code encoding.Encoding
	}{
		{"utf-8", "", encoding.Nop}, {"utf-8 bom", "\ufeff", encoding.Nop}, {"cp1252", "", charmap.Windows1252}, {"latin-1", "", charmap.ISO8859_1},
		{"utf-16le bom", "", unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)}, {"utf-16be bom", "", unicode.UTF16(unicode.BigEndian, unicode.UseBOM)},
		{"utf-16le", "", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)}, {"utf-16be", "", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)},
	}
	layouts = []struct {
		name, separator, decimal, newline string
		quoted, trailing                  bool
	}{
		{"as exported", ", ", ".", "\r\n", false, true},
		{"lf", ",", ".", "\n", false, true},
		{"cr", ", ", ".", "\r", false, true},
		{"no separator behind", ", ", ".", "\n", false, false},
		{"quoted", ",", ".", "\r\n", true, false},
		{"tabs", "\t", ".", "\n", false, true},
		{"tabs and decimal comma", "\t", ",", "\r\n", false, true},
		{"semicolons and decimal comma", "; ", ",", "\r\n", false, true},
		{"quoted decimal comma", ",", ",", "\n", true, true},
	}
)

const (
	corpusRows  = 12
	corpusSpeed = "DWRT CPU:Engine RPM"
)

// corpusFile is a file before it is written, and what must come out.
type corpusFile struct {
	rows     [][]string
	want     []map[int64]float64 // by column, the first unused
	problems []string
	cut      string // put behind the last row, without a line end
}

var corpusColumns = []string{"Time", "(DWRT CPU) Engine RPM", "(DWRT CPU) Power", "(DWRT CPU) Torque", "(Motor) Öl Prüfung", "(DWRT CPU) ????????"}

func (c *corpusFile) lose(row int, columns ...int) {
	for _, column := range columns {
		delete(c.want[column], int64(row)*50)
	}
}

// at says where a problem of a row is: rows begin in line 2.
func (c *corpusFile) at(row, column int) {
	c.problems = append(c.problems, fmt.Sprintf("%d:%d", row+2, column))
}

var damages = map[string]func(c *corpusFile){
	"none": func(*corpusFile) {},
	"empty cells": func(c *corpusFile) {
		c.rows[0][1], c.rows[5][2], c.rows[7][3] = "", "", ""
		c.lose(0, 1)
		c.lose(5, 2)
		c.lose(7, 3)
	},
	"words for nothing": func(c *corpusFile) {
		c.rows[2][1], c.rows[5][2] = "nan", "---"
		c.lose(2, 1)
		c.lose(5, 2)
	},
	"bad cell": func(c *corpusFile) { c.rows[3][2] = "#ERR"; c.lose(3, 2); c.at(3, 3) },
	"bad time": func(c *corpusFile) { c.rows[3][0] = "?"; c.lose(3, 1, 2, 3, 4); c.at(3, 1) },
	"no time":  func(c *corpusFile) { c.rows[3][0] = ""; c.lose(3, 1, 2, 3, 4); c.at(3, 1) },
	"long row": func(c *corpusFile) {
		c.rows[4] = append(c.rows[4], "77")
		c.lose(4, 1, 2, 3, 4)
		c.at(4, len(corpusColumns)+1)
	},
	"short row": func(c *corpusFile) { c.rows[4] = c.rows[4][:3]; c.lose(4, 3, 4); c.at(4, 0) },
	"cut off":   func(c *corpusFile) { c.cut = "99"; c.at(corpusRows, 0) },
}

// newCorpusFile makes the file without damage. Power and torque say that the
// speed, 2.1 and more, is in thousands.
func newCorpusFile(decimal string) *corpusFile {
	c := &corpusFile{want: make([]map[int64]float64, len(corpusColumns))}
	for i := range c.want {
		c.want[i] = map[int64]float64{}
	}
	for i := range corpusRows {
		x, at := float64(i), int64(i)*50
		values := []float64{x * 0.05, 2.125 + x/8, 40.5 + x, 100.25, 5.5 - x}
		row := make([]string, len(corpusColumns))
		for column, v := range values {
			row[column] = strings.Replace(fmt.Sprintf("%g", v), ".", decimal, 1)
			c.want[column][at] = v
		}
		row[0] = strings.Replace(fmt.Sprintf("%.2f", values[0]), ".", decimal, 1)
		c.want[1][at] *= 1000
		c.rows = append(c.rows, row)
	}
	return c
}

func TestA2A8Corpus(t *testing.T) {
	t.Parallel()
	files := 0
	for _, codec := range codecs {
		for _, layout := range layouts {
			for _, damage := range slices.Sorted(maps.Keys(damages)) {
				files++
				c := newCorpusFile(layout.decimal)
				damages[damage](c)
				var out strings.Builder
				line := func(cells []string, trailing bool) {
					for i, cell := range cells {
						if i > 0 {
							out.WriteString(layout.separator)
						}
						if layout.quoted {
							cell = `"` + cell + `"`
						}
						out.WriteString(cell)
					}
					if trailing && layout.trailing {
						out.WriteString(layout.separator)
					}
					out.WriteString(layout.newline)
				}
				line(corpusColumns, true)
				for _, row := range c.rows {
					// A row that ends early has no separator behind it.
					line(row, len(row) >= len(corpusColumns))
				}
				out.WriteString(c.cut)
				file, err := codec.code.NewEncoder().String(codec.mark + out.String())
				if err != nil {
					t.Fatal(err)
				}
				if damage == "short row" {
					c.problems = []string{"6:4"} // where the row ends
				}
				checkCorpusFile(t, fmt.Sprintf("%s, %s, %s", codec.name, layout.name, damage), []byte(file), c)
			}
		}
	}
	if files < 500 {
		t.Errorf("only %d files", files)
	}
	t.Logf("%d files", files)
}

func checkCorpusFile(t *testing.T, name string, file []byte, c *corpusFile) {
	t.Helper()
	f, err := New(format.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Detect(file, "x"); got != format.ByContent {
		t.Errorf("%s: confidence %d", name, got)
	}
	k, err := read(t, file)
	if err != nil || !slices.Equal(k.problems, c.problems) {
		t.Errorf("%s: %v, problems %v, want %v", name, err, k.problems, c.problems)
		return
	}
	if len(k.channels) != len(corpusColumns)-1 {
		t.Errorf("%s: %d channels", name, len(k.channels))
	}
	for column, key := range map[int]string{1: corpusSpeed, 2: "DWRT CPU:Power", 3: "DWRT CPU:Torque", 4: "Motor:Öl Prüfung"} {
		if got := k.values[key]; !maps.Equal(got, c.want[column]) {
			t.Errorf("%s: %s is %v, want %v", name, key, got, c.want[column])
		}
	}
	if len(k.values) != 4 {
		t.Errorf("%s: values of %d channels", name, len(k.values))
	}
}
