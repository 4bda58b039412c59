// Package doctor looks for what keeps a dyno session from being recorded: the
// network and who speaks on it, clocks, serial ports, the disk. It changes
// nothing, and sends nothing but what a recording with the same settings would.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Severity is how bad a finding is.
type Severity string

// From what is as it should be to what keeps a session from being recorded.
const (
	OK      Severity = "ok"
	Info    Severity = "info"    // worth knowing, nothing to do
	Warning Severity = "warning" // samples, or their times, may suffer
	Error   Severity = "error"   // nothing will be recorded until it is mended
)

// Severities lists all, the worst first.
func Severities() []Severity { return []Severity{Error, Warning, Info, OK} }

// Finding is what one check saw.
type Finding struct {
	Check    string         `json:"check" doc:"What was looked at; docs/doctor.md lists the names."`
	Severity Severity       `json:"severity" enum:"ok,info,warning,error"`
	Found    string         `json:"found" doc:"What was seen."`
	Mend     string         `json:"mend" doc:"What to do about it; empty where there is nothing to do."`
	Details  map[string]any `json:"details" doc:"The same for programs; the keys depend on the check."`
}

// Report is all findings of one examination.
type Report struct {
	Severity Severity  `json:"severity" enum:"ok,info,warning,error" doc:"The worst of the findings."`
	Findings []Finding `json:"findings" doc:"The worst first."`
	Checked  []string  `json:"checked" doc:"What could be looked at."`
}

// Doctor makes examinations.
type Doctor struct {
	checks []*check
	limit  time.Duration
}

// check looks at one thing, or at several that are seen at once. What is as it
// should be is a finding, too; no finding means that it could not look.
type check struct {
	name string
	look func(ctx context.Context) []Finding
	busy atomic.Bool
}

const (
	// patience is how long a check may take besides the listening.
	patience = 5 * time.Second
	// grace is how long one that was told to stop may take for it: a program
	// that ended before would leave the file of the disk's check behind.
	grace = time.Second
)

// Examine runs all checks side by side. It takes the time of listening and at
// most six seconds more, and one second after ctx has ended: a check that hangs, as one of a broken disk does, is
// a finding. The error is ctx's.
func (d *Doctor) Examine(ctx context.Context) (Report, error) {
	limited, cancel := context.WithTimeout(ctx, d.limit)
	defer cancel()
	results := make([][]Finding, len(d.checks))
	var all sync.WaitGroup
	for i, c := range d.checks {
		all.Go(func() { results[i] = c.bounded(limited) })
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return Report{}, fmt.Errorf("examine: %w", err)
	}
	return newReport(slices.Concat(results...)), nil
}

// bounded gives the findings, or says that the check hangs. One that still
// hangs is not begun again.
func (c *check) bounded(ctx context.Context) []Finding {
	hangs := []Finding{{
		Check: c.name, Severity: Error, Found: "gave no answer in time, so something hangs: a disk, a network drive or a device",
		Mend: "Look whether the disk of the data directory, or the device, answers to other programs; then run dynotap doctor again.",
	}}
	if !c.busy.CompareAndSwap(false, true) {
		return hangs
	}
	done := make(chan []Finding, 1)
	go func() {
		defer c.busy.Store(false)
		done <- c.look(ctx)
	}()
	select {
	case findings := <-done:
		return findings
	case <-ctx.Done():
		select {
		case <-done:
		case <-time.After(grace):
		}
		return hangs
	}
}

func newReport(findings []Finding) Report {
	r := Report{Severity: OK, Findings: findings, Checked: []string{}}
	for i := range findings {
		f := &findings[i]
		if f.Details == nil {
			f.Details = map[string]any{}
		}
		if !slices.Contains(r.Checked, f.Check) {
			r.Checked = append(r.Checked, f.Check)
		}
	}
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.Severity.place(), b.Severity.place()) })
	if len(findings) > 0 {
		r.Severity = findings[0].Severity
	}
	return r
}

// place is 0 for the worst.
func (s Severity) place() int { return slices.Index(Severities(), s) }
