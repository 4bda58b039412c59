package format_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"dynotap/format"
)

type sure format.Confidence

func (s sure) Detect([]byte, string) format.Confidence { return format.Confidence(s) }

func (sure) Read(context.Context, io.ReaderAt, int64, format.RunSink) error { return nil }

func TestA1Choose(t *testing.T) {
	for _, test := range []struct {
		name string
		list map[string]format.Confidence
		want string
		err  error
		says string
	}{
		{"the surest", map[string]format.Confidence{"csv": format.ByShape, "winpep": format.ByContent}, "winpep", nil, ""},
		{"content before name", map[string]format.Confidence{"wp8": format.ByName, "csv": format.ByShape}, "csv", nil, ""},
		{"nobody", map[string]format.Confidence{"csv": format.No, "wp8": format.No}, "", format.ErrUnknown, "tried csv, wp8"},
		{"two", map[string]format.Confidence{"csv": format.ByShape, "msl": format.ByShape, "wp8": format.No}, "", format.ErrAmbiguous, "csv, msl"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var list []format.Named
			for name, c := range test.list {
				list = append(list, format.Named{Name: name, Format: sure(c)})
			}
			got, c, err := format.Choose(list, nil, "file")
			if got.Name != test.want || !errors.Is(err, test.err) || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q, %v", got.Name, err)
			}
			if err == nil && c != test.list[test.want] {
				t.Errorf("confidence %d", c)
			}
		})
	}
}

func TestA2ProblemsAreCountedAndTheFirstHundredKept(t *testing.T) {
	var p format.Problems
	for i := range 250 {
		p.Add(format.Problem{Line: int64(i + 1)})
	}
	if p.Count != 250 || len(p.Kept) != 100 || p.Kept[99].Line != 100 {
		t.Errorf("%d counted, %d kept", p.Count, len(p.Kept))
	}
}
