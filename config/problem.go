package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Problem is one thing wrong with a configuration, and where.
type Problem struct {
	// File, Line and Column say where in a file, counted from 1, the column
	// in characters. All three are empty for the environment and flags; Line
	// is 0 where a file could not be read at all.
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Variable is the environment variable, or "flag".
	Variable string `json:"variable,omitempty"`
	// Setting is the path of the setting, empty for broken JSON.
	Setting string `json:"setting,omitempty"`
	// Message is one sentence without the place.
	Message string `json:"message"`
}

// String is the problem on one line, the place first: file:line:column as
// editors understand it.
func (p Problem) String() string {
	switch {
	case p.Line > 0:
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	case p.File != "":
		return p.File + ": " + p.Message
	case p.Variable != "":
		return p.Variable + ": " + p.Message
	}
	return p.Message
}

// InvalidError is what Load returns for a configuration that cannot be
// obeyed: all its problems, those of the file first, in order of place.
type InvalidError struct {
	Problems []Problem
	// More counts problems beyond those listed.
	More int
}

// Error lists the problems, one a line.
func (e *InvalidError) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more problems", e.More))
	}
	return strings.Join(lines, "\n")
}

// maxProblems bounds what is listed.
const maxProblems = 50

func invalid(problems []Problem) *InvalidError {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			strings.Compare(a.Variable, b.Variable), // files have none and come first
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	n := min(len(problems), maxProblems)
	return &InvalidError{Problems: problems[:n:n], More: len(problems) - n}
}

// layer is one of the places values come from; the higher wins.
type layer uint8

const (
	fromDefault layer = iota
	fromPreset
	fromFile
	fromEnvironment
	fromFlag
)

// origin is where one value comes from.
type origin struct {
	layer layer
	// name is the preset, file or variable.
	name         string
	line, column int
}

func (o origin) String() string {
	switch o.layer {
	case fromPreset:
		return "preset " + o.name
	case fromFile:
		if o.name == "" {
			return "unsaved"
		}
		return fmt.Sprintf("%s:%d", o.name, o.line)
	case fromEnvironment:
		return "env " + o.name
	case fromFlag:
		return "flag"
	}
	return "default"
}

func (o origin) problem(at path, message string) Problem {
	p := Problem{Setting: at.String(), Message: message}
	switch o.layer {
	case fromFile:
		p.File, p.Line, p.Column = o.name, o.line, o.column
	case fromEnvironment:
		p.Variable = o.name
	case fromFlag:
		p.Variable = "flag"
	}
	return p
}

// nearest is the candidate most like name, and how far away it is; case and
// the kind of dash are ignored. Candidates are tried in order.
func nearest(name string, candidates []string) (best string, distance int) {
	const limit = 80
	plain := func(s string) string {
		if r := []rune(s); len(r) > limit {
			s = string(r[:limit])
		}
		return strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(s))
	}
	for _, c := range candidates {
		if d := levenshtein.ComputeDistance(plain(name), plain(c)); best == "" || d < distance {
			best, distance = c, d
		}
	}
	return best, distance
}

// suggest ends a message about an unknown name with the nearest known one.
func suggest(name string, candidates []string) string {
	best, distance := nearest(name, candidates)
	switch {
	case best == "":
		return ""
	case distance <= max(2, len(best)/3), name != "" && strings.HasPrefix(best, name):
		return fmt.Sprintf(": did you mean %q?", best)
	}
	return fmt.Sprintf(": the nearest known one is %q", best)
}
