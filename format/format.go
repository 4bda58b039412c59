// Package format turns files into runs: the interface that every format
// implements and the detection that chooses one by the content. The formats
// themselves have a folder each; app/formats.go lists them.
package format

import (
	"context"
	"fmt"
	"io"
	"time"

	"dynotap/sample"
)

// HeadSize is how much of a file's beginning Detect sees, in bytes.
const HeadSize = 64 << 10

// Confidence is how sure a format is that a file is its own, 0 to 100.
type Confidence uint8

// The confidences that formats give. Content counts before the name
// (CONFORMANCE A1): ByName alone never wins against a format that knows the
// content.
const (
	No        Confidence = 0
	ByName    Confidence = 20  // nothing but the name's ending says so
	ByShape   Confidence = 60  // the content reads like it
	ByContent Confidence = 80  // the content has what only this format has
	Signature Confidence = 100 // the content begins with the format's own mark
)

// Format turns one file into runs. It is immutable and safe for concurrent use;
// what the user set (time zone, stoichiometric ratio) it was made with.
type Format interface {
	// Detect looks at the first HeadSize bytes (the whole of a smaller file) and
	// the name of a file. It never fails and never panics.
	Detect(head []byte, name string) Confidence
	// Read hands the runs of the file to the sink, one after the other, in
	// bounded memory whatever the size. The same content gives the same calls in
	// the same order. A part that cannot be read is a Problem, and the rest is
	// read; an error means that nothing more can be had from the file (*Error
	// says where), that the sink wants no more, or that ctx ended.
	Read(ctx context.Context, r io.ReaderAt, size int64, sink RunSink) error
}

// Run is what a file says of one of its runs before the samples come.
type Run struct {
	// Name is the run's own name in the file; empty where it has none.
	Name string
	// Dated says that times count from the Unix epoch; otherwise they count from
	// the start of the run (DESIGN decision 8).
	Dated bool
	// Notes are lines of the file's head worth keeping (vehicle, operator,
	// preamble), as they stand.
	Notes []string
	// Facts are what the file says about the run in numbers of its own, such as
	// correction_factor.
	Facts map[string]string
}

// RunSink takes the runs of one file. Its methods are called by one goroutine.
type RunSink interface {
	// Begin ends the run before and starts the next.
	Begin(run Run) error
	// Batch takes samples of the run that was begun, at most MaxSamples, in the
	// order of the file. The format fills in Set, Clock (sample.ClockFile) and
	// Samples, in native units; the sink the rest. The batch and its samples are
	// the format's again when the call returns; a Set is never changed.
	Batch(b *sample.Batch) error
	// Problem takes what was rejected.
	Problem(p Problem)
	// Warn takes what a user should know of the file although nothing was lost,
	// as a sentence.
	Warn(text string)
}

// MaxSamples is how many samples a batch of a file has at most.
const MaxSamples = 16 << 10

// Problem is one place of a file that gave no sample.
type Problem struct {
	// Line counts from 1; 0 in files that have no lines.
	Line int64 `json:"line"`
	// Column is the number of the cell in its line, from 1; 0 is the line as a
	// whole.
	Column int `json:"column"`
	// Message says what is wrong and, where it helps, how to mend it. In files
	// without lines it names the byte.
	Message string `json:"message"`
}

// Problems counts all problems of a file and keeps the first hundred
// (CONFORMANCE A2).
type Problems struct {
	Kept  []Problem
	Count int64
}

const keptProblems = 100

// Add counts p.
func (p *Problems) Add(problem Problem) {
	if p.Count++; len(p.Kept) < keptProblems {
		p.Kept = append(p.Kept, problem)
	}
}

// Error is why a file, or the rest of it, cannot be read.
type Error struct {
	Line   int64 // from 1; 0: Offset counts
	Offset int64 // byte, from 0
	Err    error
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("byte %d: %v", e.Offset, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Settings are what the user set that formats need; a format is made with
// them.
type Settings struct {
	// Zone is where wall times without a zone belong.
	Zone *time.Location
	// Stoichiometric is the AFR of lambda 1.
	Stoichiometric float64
	// Columns maps headers of generic tables to canonical names, on top of the
	// aliases.
	Columns map[string]string
}
