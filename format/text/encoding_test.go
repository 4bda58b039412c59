package text

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

func encoded(t *testing.T, e encoding.Encoding, s string) []byte {
	t.Helper()
	out, err := e.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestA2Encodings(t *testing.T) {
	t.Parallel()
	const table = "Zeit (s);Temperatur °C;Prüfer\r\n0,5;90,25;Jörg\r\n"
	const quotes = "Time,Temp °C,Driver’s note €\n0.5,90.25,“fast”\n"
	le, be := unicode.LittleEndian, unicode.BigEndian
	for _, c := range []struct {
		name string
		file []byte
		want string
		enc  Encoding
	}{
		{"ASCII", []byte("a,b\n1,2\n"), "a,b\n1,2\n", UTF8},
		{"empty", nil, "", UTF8},
		{"one byte", []byte("a"), "a", UTF8},
		{"UTF-8", []byte(table), table, UTF8},
		{"UTF-8 with a mark", []byte("\ufeff" + table), table, UTF8},
		{"UTF-8 with a damaged byte", []byte(table + "\xff"), table + "\xff", UTF8},
		{"UTF-16 LE with a mark", encoded(t, unicode.UTF16(le, unicode.UseBOM), table), table, UTF16LE},
		{"UTF-16 BE with a mark", encoded(t, unicode.UTF16(be, unicode.UseBOM), table), table, UTF16BE},
		{"UTF-16 LE", encoded(t, unicode.UTF16(le, unicode.IgnoreBOM), table), table, UTF16LE},
		{"UTF-16 BE", encoded(t, unicode.UTF16(be, unicode.IgnoreBOM), table), table, UTF16BE},
		{"UTF-16 LE cut in a character", encoded(t, unicode.UTF16(le, unicode.UseBOM), "ab\n")[:7], "ab\ufffd", UTF16LE},
		{"CP1252", encoded(t, charmap.Windows1252, quotes), quotes, CP1252},
		{"Latin-1 or CP1252", encoded(t, charmap.ISO8859_1, table), table, CP1252},
		{"Latin-1 alone", append(encoded(t, charmap.ISO8859_1, table), 0x81), table + "\u0081", Latin1},
		{"a NUL in ASCII", []byte("a,b\n1,\x002\n"), "a,b\n1,\x002\n", UTF8},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, enc, err := Open(bytes.NewReader(c.file), int64(len(c.file)))
			if err != nil || enc != c.enc {
				t.Fatalf("encoding %v, %v, want %v", enc, err, c.enc)
			}
			got, err := io.ReadAll(iotest.OneByteReader(r))
			if err != nil || string(got) != c.want {
				t.Errorf("%q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestA2UTF8CutAtTheHeadsEnd(t *testing.T) {
	t.Parallel()
	file := []byte(strings.Repeat("x", headSize-1) + "°C\n")
	if _, enc, err := Open(bytes.NewReader(file), int64(len(file))); enc != UTF8 || err != nil {
		t.Errorf("%v, %v", enc, err)
	}
}

func TestA1HeadIsTextOrNothing(t *testing.T) {
	t.Parallel()
	binary, holes := make([]byte, 1000), strings.Repeat("\x00", 1000)
	for i := range binary {
		binary[i] = byte(i * 7)
	}
	for name, c := range map[string]struct {
		head []byte
		want string
	}{
		"text":   {[]byte("\ufeffa,b\r\n"), "a,b\r\n"},
		"UTF-16": {encoded(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "ab\n"), "ab\n"},
		"binary": {binary, ""},
		"zeros":  {make([]byte, 100), ""},
		"a hole": {[]byte("a,b\n" + holes), "a,b\n" + holes},
	} {
		if got := Head(c.head); string(got) != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestA8UnreadableFileIsAnError(t *testing.T) {
	t.Parallel()
	if _, _, err := Open(badReader{}, 10); err == nil {
		t.Error("no error")
	}
}

type badReader struct{}

func (badReader) ReadAt([]byte, int64) (int, error) { return 0, iotest.ErrTimeout }
