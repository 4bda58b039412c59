package csv

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"dynotap/format"
	"dynotap/sample"
)

// taken is what a sink got, for comparing.
type taken struct {
	runs     []format.Run
	labels   []string
	units    []sample.Unit
	names    []string
	samples  [][]sample.Sample // by run
	problems []format.Problem
	warnings []string
	largest  int
}

func (k *taken) Begin(run format.Run) error {
	k.runs = append(k.runs, run)
	k.samples = append(k.samples, nil)
	return nil
}

func (k *taken) Batch(b *sample.Batch) error {
	if len(k.runs) == 0 || b.Clock != sample.ClockFile || len(b.Samples) == 0 {
		return errors.New("a batch that breaks the contract")
	}
	k.largest = max(k.largest, len(b.Samples))
	k.labels, k.units, k.names = nil, nil, nil
	for _, c := range b.Set.Channels() {
		k.labels, k.units, k.names = append(k.labels, c.Label), append(k.units, c.NativeUnit), append(k.names, c.Name)
	}
	at := len(k.runs) - 1
	k.samples[at] = append(k.samples[at], b.Samples...)
	return nil
}

func (k *taken) Problem(p format.Problem) { k.problems = append(k.problems, p) }
func (k *taken) Warn(text string)         { k.warnings = append(k.warnings, text) }

// values prints the samples of all runs: time in ms, label, value.
func (k *taken) values() []string {
	var out []string
	for i, run := range k.samples {
		if i > 0 {
			out = append(out, "run")
		}
		for _, s := range run {
			out = append(out, fmt.Sprintf("%g %s %g", float64(s.Time)/1000, k.labels[s.Channel], s.Value))
		}
	}
	return out
}

func (k *taken) places() []string {
	var out []string
	for _, p := range k.problems {
		out = append(out, fmt.Sprintf("%d:%d", p.Line, p.Column))
	}
	return out
}

func readFile(t *testing.T, file []byte, s format.Settings) (*taken, error) {
	t.Helper()
	k := &taken{}
	err := New(s).Read(t.Context(), bytes.NewReader(file), int64(len(file)), k)
	return k, err
}

func mustRead(t *testing.T, file string, s format.Settings) *taken {
	t.Helper()
	k, err := readFile(t, []byte(file), s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func expect[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s\ngot  %v\nwant %v", what, got, want)
	}
}

func contains(list []string, part string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, part) })
}

func sortedFacts(run format.Run) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(run.Facts)) {
		out = append(out, k+"="+run.Facts[k])
	}
	return out
}
