package imports

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/winpep"
	"dynotap/internal/db"
	"dynotap/store"
	"dynotap/validate"
)

// BenchmarkExportOf250kB imports a WinPEP export of 105 channels and 250 kB into
// an open data directory, each time another one.
func BenchmarkExportOf250kB(b *testing.B) {
	var head, row strings.Builder
	head.WriteString("Time, ")
	for c := range 105 {
		fmt.Fprintf(&head, "(DWRT CPU) Channel %d, ", c)
		fmt.Fprintf(&row, "%d.%03d, ", 100+c, c)
	}
	var text bytes.Buffer
	text.WriteString(head.String() + "\n")
	for i := 0; text.Len() < 250_000; i++ {
		fmt.Fprintf(&text, "%.2f, %s\n", float64(i)/20, row.String())
	}
	dir := b.TempDir()
	d, err := db.Open(b.Context(), dir, db.Options{Fsync: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	s, err := store.Open(b.Context(), d, dir, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		b.Fatal(err)
	}
	pep, err := winpep.New(format.Settings{})
	if err != nil {
		b.Fatal(err)
	}
	im := New(Options{
		DB: d, Store: s, Dir: dir, Formats: []format.Named{{Name: "winpep", Format: pep}}, Resolver: resolver,
		Ranges: validate.DefaultRanges(), Now: func() int64 { return 1 },
		Validation: func(string) validate.Settings { return validate.Settings{Enabled: true} },
	})
	b.SetBytes(int64(text.Len()))
	n := 0
	for b.Loop() {
		n++
		content := fmt.Appendf(bytes.Clone(text.Bytes()), "%d, %d\n", 1000+n, n)
		if report, err := im.Import(b.Context(), "a.txt", bytes.NewReader(content), How{}); err != nil || len(report.Runs) != 1 {
			b.Fatal(err, report)
		}
	}
}
