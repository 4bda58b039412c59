package powervision

import (
	"archive/zip"
	"bytes"
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
		{"utf-8", "", encoding.Nop}, {"utf-8 bom", "\ufeff", encoding.Nop}, {"cp1252", "", charmap.Windows1252},
		{"utf-16le bom", "", unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)}, {"utf-16be bom", "", unicode.UTF16(unicode.BigEndian, unicode.UseBOM)},
		{"utf-16le", "", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)},
	}
	layouts = []struct{ name, delimiter, decimal, newline string }{
		{"as it is", ",", ".", "\r\n"}, {"lf", ",", ".", "\n"}, {"cr", ",", ".", "\r"},
		{"semicolons and decimal comma", ";", ",", "\r\n"}, {"tabs", "\t", ".", "\n"}, {"tabs and decimal comma", "\t", ",", "\n"},
	}
	containers = map[string]func(t *testing.T, file string) []byte{
		"text": func(_ *testing.T, file string) []byte { return []byte(file) },
		"gzip": func(t *testing.T, file string) []byte { t.Helper(); return gzipped(t, file) },
		"zip": func(t *testing.T, file string) []byte {
			t.Helper()
			var out bytes.Buffer
			w := zip.NewWriter(&out)
			for name, content := range map[string]string{"readme.txt": "Dynojet", "log": file} {
				f, err := w.Create(name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.Write([]byte(content)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		},
	}
	// Each damage is rows that are put behind the good ones, which begin in line
	// 8, and where problems are expected; the decimal sign is written ~, the
	// delimiter |.
	damages = map[string]struct {
		rows     string
		problems []string
	}{
		"none":           {"", nil},
		"missing":        {"90|0|\n91|0|--\n92|7|nan\n\n", []string{"15:3"}}, // nan is no hexadecimal number
		"bad value":      {"90|0|x\n", []string{"13:3"}},
		"bad time":       {"x|0|1\n", []string{"13:1"}},
		"unknown signal": {"90|3|1\n", []string{"13:2"}},
		"too few":        {"90|0\n", []string{"13:0"}},
		"too many":       {"90|0|1|2\n", []string{"13:4"}},
		"not hex":        {"90|7|2~5\n", []string{"13:3"}},
		"cut in a value": {"90|0|10", []string{"13:0"}},
		"cut in a time":  {"9", []string{"13:0"}},
	}
)

const corpusHead = `"Dynojet Power Vision Log File"
"Format:"|"Pro-XY CSV 1.0.0"
0|"J1850"|"12"|"RPM"|"rpm"|"Drehzahl, gefiltert"|"#ff0000"
1|"J1850"|"13"|"Öl"|"°C"|"Front wideband"|"#00ff00"
7|"J1850"|"14"|"Raw"|""|"Raw value"|"#0000ff"

"Time(ms)"|"Signal"|"Value"
0|0|1000
20|1|93~25
20|7|26
40|7|26D
45~5|0|1010~5
`

func TestA2A8Corpus(t *testing.T) {
	t.Parallel()
	want := []string{"0 RPM 1000", "20000 Öl 93.25", "20000 Raw 38", "40000 Raw 621", "45500 RPM 1010.5"}
	files := 0
	for _, codec := range codecs {
		for _, layout := range layouts {
			for _, damage := range slices.Sorted(maps.Keys(damages)) {
				for _, container := range slices.Sorted(maps.Keys(containers)) {
					files++
					d := damages[damage]
					plain := strings.NewReplacer("|", layout.delimiter, "~", layout.decimal, "\n", layout.newline).Replace(corpusHead + d.rows)
					encoded, err := codec.code.NewEncoder().String(codec.mark + plain)
					if err != nil {
						t.Fatal(err)
					}
					file := containers[container](t, encoded)
					name := fmt.Sprintf("%s, %s, %s, %s", codec.name, layout.name, damage, container)
					if c := New(format.Settings{}).Detect(file, "a.pvlog"); c != format.Signature {
						t.Errorf("%s: confidence %d", name, c)
					}
					k, err := read(t, file)
					if err != nil || !slices.Equal(k.values, want) || !slices.Equal(k.problems, d.problems) {
						t.Errorf("%s: %v, %v, problems %v, want %v", name, err, k.values, k.problems, d.problems)
					}
					if len(k.channels) != 3 || k.channels[1].NativeUnit != "°C" {
						t.Errorf("%s: %+v", name, k.channels)
					}
				}
			}
		}
	}
	t.Logf("%d files", files)
}
