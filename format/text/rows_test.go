package text

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// shown prints rows as "line: cell|cell", with ! behind the line of a row that
// has no end and + behind that of a long one.
func shown(r *Rows) []string {
	var out []string
	for r.Next() {
		mark := ""
		if !r.Ended() {
			mark += "!"
		}
		if r.Long() {
			mark += "+"
			out = append(out, fmt.Sprintf("%d%s", r.Line(), mark))
			continue
		}
		out = append(out, fmt.Sprintf("%d%s: %s", r.Line(), mark, bytes.Join(r.Cells(), []byte("|"))))
	}
	return out
}

func TestA2Rows(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxRow+10)
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"one line without an end", "a,b", []string{"1!: a|b"}},
		{"LF", "a,b\n1,2\n", []string{"1: a|b", "2: 1|2"}},
		{"CR LF", "a,b\r\n1,2\r\n", []string{"1: a|b", "2: 1|2"}},
		{"CR", "a,b\r1,2\r", []string{"1: a|b", "2: 1|2"}},
		{"all three, the last without", "a\nb\r\nc\rd", []string{"1: a", "2: b", "3: c", "4!: d"}},
		{"empty lines", "a\n\n\r\nb", []string{"1: a", "2: ", "3: ", "4!: b"}},
		{"empty cells", ",a,,b,\n", []string{"1: |a||b|"}},
		{"blanks", " a , b\x00,c  d \n", []string{"1: a|b|c  d"}},
		{"quotes", "\"a\", \"b,c\" ,\"d\"\"e\"\n", []string{"1: a|b,c|d\"e"}},
		{"a quote inside", "a\"b,5\" pipe\n", []string{"1: a\"b|5\" pipe"}},
		{"a line end in quotes", "a,\"b\nc\",d\n1,2,3\n", []string{"1: a|b\nc|d", "3: 1|2|3"}},
		{"two cells over lines", "\"a\r\nb\",\"c\n\nd\"\nx\n", []string{"1: a\r\nb|c\n\nd", "5: x"}},
		{"escaped quotes over lines", "\"a\"\"\n\"\"b\",c\nx", []string{"1: a\"\n\"b|c", "3!: x"}},
		{"a quote never closed", "\"a,b\n1,2\n3,4\n", []string{"1: \"a|b", "2: 1|2", "3: 3|4"}},
		{"a lost quote among quotes", "\"1\",\"2,\"3\"\n\"4\",\"5\",\"6\"\n", []string{"1: 1|\"2|3", "2: 4|5|6"}},
		{"a lost quote at the line's end", "\"1\",\"2\n\"3\",\"4\"\n", []string{"1: 1|\"2", "2: 3|4"}},
		{"cut inside quotes", "\"1\",\"2\"\n\"3\",\"4", []string{"1: 1|2", "2!: 3|\"4"}},
		{"more behind a quote", "\"a\"b,c\n", []string{"1: \"a\"b|c"}},
		{"too long", "a\n" + long + "\nb\n", []string{"1: a", "2!+", "3: b"}},
		{"too long, CR LF", long + "\r\nb\r\n", []string{"1!+", "2: b"}},
		{"too long at the end", "a\n" + long, []string{"1: a", "2!+"}},
		{"a quote over too much", "a,\"b\n" + strings.Repeat("1,2\n", MaxRow/4), append([]string{"1: a|\"b"}, rowsOf("1|2", 2, MaxRow/4)...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := shown(NewRows(strings.NewReader(c.text), ',')); !slices.Equal(got, c.want) {
				t.Errorf("got  %.40q\nwant %.40q", first(got), first(c.want))
			}
			if got := shown(NewRows(iotest.HalfReader(strings.NewReader(c.text)), ',')); !slices.Equal(got, c.want) {
				t.Errorf("in halves: got  %.40q\nwant %.40q", first(got), first(c.want))
			}
			if len(c.text) < 100 {
				if got := shown(NewRows(iotest.OneByteReader(strings.NewReader(c.text)), ',')); !slices.Equal(got, c.want) {
					t.Errorf("by bytes: got  %q\nwant %q", got, c.want)
				}
			}
		})
	}
}

func first(rows []string) []string { return rows[:min(len(rows), 8)] }

func rowsOf(cells string, first, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%d: %s", first+i, cells)
	}
	return out
}

// What is written with quotes comes back, wherever the reader cuts it.
func TestA2WrittenRowsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringMatching("[a-z0-9,;\"\r\n]{0,6}")
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, 2, 5), 1, 8).Draw(t, "rows")
		delimiter := rapid.SampledFrom([]byte(",;\t|")).Draw(t, "delimiter")
		var file strings.Builder
		for _, row := range rows {
			for i, c := range row {
				if i > 0 {
					file.WriteByte(delimiter)
				}
				file.WriteString("\"" + strings.ReplaceAll(c, "\"", "\"\"") + "\"")
			}
			file.WriteString(rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "end"))
		}
		r := NewRows(iotest.OneByteReader(strings.NewReader(file.String())), delimiter)
		for _, row := range rows {
			if !r.Next() {
				t.Fatalf("a row is missing of %q", file.String())
			}
			got := r.Cells()
			if len(got) != len(row) {
				t.Fatalf("%q, want %q", got, row)
			}
			for i := range row {
				if string(got[i]) != row[i] {
					t.Fatalf("%q, want %q", got, row)
				}
			}
		}
		if r.Next() || r.Err() != nil {
			t.Fatalf("more rows, or %v", r.Err())
		}
	})
}

func TestA8ReadErrorEndsTheRows(t *testing.T) {
	t.Parallel()
	r := NewRows(io.MultiReader(strings.NewReader("a\nb\nc"), iotest.ErrReader(io.ErrUnexpectedEOF)), ',')
	if got := shown(r); r.Err() == nil || len(got) < 2 {
		t.Errorf("%q, %v", got, r.Err())
	}
	if stuck := NewRows(nothing{}, ','); stuck.Next() || stuck.Err() == nil {
		t.Error("a reader that gives nothing: no error")
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

// A line of 300 MB is read in the memory of one row.
func TestA8LineWithoutEndIsBounded(t *testing.T) {
	t.Parallel()
	r := NewRows(io.MultiReader(io.LimitReader(endless('x'), 300<<20), strings.NewReader("\nb\n")), ',')
	got := shown(r)
	if !slices.Equal(got, []string{"1!+", "2: b"}) {
		t.Errorf("%q", got)
	}
	if len(r.buf) > MaxRow {
		t.Errorf("a buffer of %d bytes", len(r.buf))
	}
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}
