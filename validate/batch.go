package validate

import (
	"fmt"

	"dynotap/sample"
)

// BatchResult sums up the check of many readings. The counts are complete; the
// lists hold at most max_validation_errors issues each, and one more warning
// that says how many are not listed.
type BatchResult struct {
	Valid      bool // no reading has an error
	Checked    int
	Invalid    int
	Suspect    int
	Rejected   int
	OutOfOrder int // older than their predecessor on the same channel
	NotListed  int // issues beyond the lists
	Errors     []Issue
	Warnings   []Issue
}

// CheckBatch judges readings one after the other.
func (r Rules) CheckBatch(readings []Reading) BatchResult {
	out := BatchResult{Valid: true, Checked: len(readings)}
	list := listing{bound: r.Settings.MaxValidationErrors}
	type place struct{ source, key, provider, label string }
	last := make(map[place]int64)
	for i := range readings {
		in := &readings[i]
		one := r.CheckSample(*in)
		if !one.Valid {
			out.Invalid++
			out.Valid = false
		} else if one.Quality == sample.Suspect {
			out.Suspect++
		}
		if one.Rejected {
			out.Rejected++
		}
		list.add(one.Errors, one.Warnings)
		if !r.Settings.Enabled || in.Time < 0 || in.Time >= MaxTime {
			continue
		}
		at := place{in.Source, in.Channel.Key, in.Channel.Provider, in.Channel.Label}
		if before, ok := last[at]; ok && in.Time < before {
			out.OutOfOrder++
			late := in.issue("older than its predecessor")
			late.Field = "timestamp"
			list.add(nil, []Issue{late})
		}
		last[at] = in.Time
	}
	out.Errors, out.Warnings, out.NotListed = list.done()
	return out
}

// listing collects issues up to a bound.
type listing struct {
	bound            int
	errors, warnings []Issue
	left             int
}

func (l *listing) add(errors, warnings []Issue) {
	l.errors = l.take(l.errors, errors)
	l.warnings = l.take(l.warnings, warnings)
}

func (l *listing) take(list, more []Issue) []Issue {
	fit := min(len(more), max(0, l.bound-len(list)))
	l.left += len(more) - fit
	return append(list, more[:fit]...)
}

func (l *listing) done() (errors, warnings []Issue, left int) {
	if l.left > 0 {
		l.warnings = append(l.warnings, Issue{
			Message: fmt.Sprintf("%d more issues are not listed (max_validation_errors is %d)", l.left, l.bound), Field: "batch",
		})
	}
	return l.errors, l.warnings, l.left
}
