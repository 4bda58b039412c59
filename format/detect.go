package format

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Named is a format with the name that people see and give.
type Named struct {
	Name   string
	Format Format
}

// Errors of Choose.
var (
	// ErrUnknown: no format knows the file.
	ErrUnknown = errors.New("no format knows this file")
	// ErrAmbiguous: several formats are equally sure.
	ErrAmbiguous = errors.New("several formats know this file")
)

// Choose gives the format that is surest of a file, by its first HeadSize
// bytes and its name. Its errors are ErrUnknown and ErrAmbiguous, with what
// was tried (CONFORMANCE A1).
func Choose(list []Named, head []byte, name string) (Named, Confidence, error) {
	var best []Named
	var most Confidence
	for _, f := range list {
		c := f.Format.Detect(head, name)
		if c > most {
			best, most = best[:0], c
		}
		if c == most && c > No {
			best = append(best, f)
		}
	}
	switch len(best) {
	case 1:
		return best[0], most, nil
	case 0:
		return Named{}, No, fmt.Errorf("%w: tried %s; export it as text or CSV from the program that wrote it", ErrUnknown, names(list))
	}
	return Named{}, most, fmt.Errorf("%w: %s", ErrAmbiguous, names(best))
}

func names(list []Named) string {
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = f.Name
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
