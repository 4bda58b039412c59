package validate

import (
	"fmt"

	"dynotap/sample"
)

// Reason is why a sample is not good.
type Reason uint8

// NaN to Above make a sample bad, Low to Marked suspect or bad. Strict rejects
// what would be kept otherwise. A sample with a wrong timestamp or channel
// cannot be placed anywhere, so it is always rejected.
const (
	NaN       Reason = iota // not a number
	Infinite                // also one that becomes infinite in its canonical unit
	Below                   // under the minimum
	Above                   // over the maximum
	Low                     // under the warning bound
	High                    // over the warning bound
	Marked                  // the source itself doubted it
	Strict                  // rejected by strict_mode alone
	Timestamp               // negative or absurd
	Channel                 // not in the channel set
	// Reasons is the number of reasons.
	Reasons = int(Channel) + 1
)

var reasonNames = [Reasons]string{
	"nan", "infinite", "below", "above", "low", "high", "marked", "strict", "timestamp", "channel",
}

// String gives the reason as statistics show it.
func (r Reason) String() string {
	if int(r) < Reasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Counts is what a check found, in samples. Unchecked, Good, Suspect, Bad and
// the sum of Rejected together are all samples that came in.
type Counts struct {
	Unchecked uint64 // validation is off
	Good      uint64
	Suspect   uint64
	Bad       uint64 // kept all the same
	// Flagged is Suspect and Bad by reason.
	Flagged [Reasons]uint64
	// Rejected samples were dropped (samples_failed).
	Rejected [Reasons]uint64
	// OutOfOrder samples are older than their predecessor on the same channel.
	// They are contained in the other counts.
	OutOfOrder uint64
	// First is one that was not good, for messages; valid where Troubled.
	First struct {
		Sample sample.Sample // as it came in
		Reason Reason
	}
}

// Failed is the number of rejected samples.
func (n *Counts) Failed() uint64 {
	var sum uint64
	for _, r := range n.Rejected {
		sum += r
	}
	return sum
}

// Troubled reports whether anything was not good.
func (n *Counts) Troubled() bool { return n.Suspect+n.Bad+n.Failed() > 0 }

// Add adds what another check found.
func (n *Counts) Add(o *Counts) {
	if !n.Troubled() {
		n.First = o.First
	}
	n.Unchecked += o.Unchecked
	n.Good += o.Good
	n.Suspect += o.Suspect
	n.Bad += o.Bad
	n.OutOfOrder += o.OutOfOrder
	for i := range Reasons {
		n.Flagged[i] += o.Flagged[i]
		n.Rejected[i] += o.Rejected[i]
	}
}

// note counts one sample that is not good.
func (n *Counts) note(s *sample.Sample, why Reason, v verdict) {
	if !n.Troubled() {
		n.First.Sample, n.First.Reason = *s, why
	}
	switch {
	case v.rejected:
		n.Rejected[v.reason]++
	case v.quality == sample.Suspect:
		n.Suspect++
		n.Flagged[v.reason]++
	default:
		n.Bad++
		n.Flagged[v.reason]++
	}
}
