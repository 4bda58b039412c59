package sample

import (
	"fmt"
	"time"
)

// Sample is one reading of one channel.
type Sample struct {
	// Time is in microseconds since the Unix epoch, UTC. In a capture whose
	// time base is relative it counts from the start of the capture.
	Time int64
	// Value is in the channel's native unit, so that nothing is lost by a
	// conversion; Channel.Conversion leads to the canonical unit.
	Value float64
	// Channel is the index into the batch's channel set.
	Channel uint32
	// Quality is what validation found.
	Quality Quality
}

// Quality says how far a sample may be trusted (CONFORMANCE V4).
type Quality uint8

// The three qualities. A warning makes a sample suspect; NaN, infinity and a
// value outside its range make it bad.
const (
	Good Quality = iota
	Suspect
	Bad
)

var qualityNames = [...]string{"good", "suspect", "bad"}

// Qualities is the number of distinct qualities.
const Qualities = len(qualityNames)

// String gives the quality as it is printed and exported.
func (q Quality) String() string {
	if int(q) < len(qualityNames) {
		return qualityNames[q]
	}
	return fmt.Sprintf("quality(%d)", uint8(q))
}

// Priority orders the queue: the lower number goes first (CONFORMANCE Q1).
type Priority uint8

// The five priorities of the guide.
const (
	Critical Priority = iota
	High
	Normal
	Low
	Bulk
)

// Priorities is the number of priority classes.
const Priorities = int(Bulk) + 1

var priorityNames = [Priorities]string{"critical", "high", "normal", "low", "batch"}

// Valid reports whether p is one of the five classes.
func (p Priority) Valid() bool { return int(p) < Priorities }

// String gives the class's name in lower case: critical, high, normal, low,
// batch.
func (p Priority) String() string {
	if p.Valid() {
		return priorityNames[p]
	}
	return fmt.Sprintf("priority(%d)", uint8(p))
}

// ParsePriority reads what String prints.
func ParsePriority(name string) (Priority, error) {
	for i, n := range priorityNames {
		if n == name {
			return Priority(i), nil
		}
	}
	return 0, fmt.Errorf("unknown priority %q: use critical, high, normal, low or batch", name)
}

// Clock says where the times of a batch come from (PROTOCOLS 1.2).
type Clock uint8

const (
	// ClockArrival is the receiver's own time of arrival.
	ClockArrival Clock = iota
	// ClockPassive is the sender's timestamps, aligned by the smallest delay
	// seen; correct up to the network's constant delay.
	ClockPassive
	// ClockSynced is the sender's timestamps, aligned by answered pings.
	ClockSynced
	// ClockFile is time as written in a file.
	ClockFile
)

var clockNames = [...]string{"arrival", "passive", "synchronised", "file"}

// String gives the clock's name.
func (c Clock) String() string {
	if int(c) < len(clockNames) {
		return clockNames[c]
	}
	return fmt.Sprintf("clock(%d)", uint8(c))
}

// Micros converts t to the time scale of Sample.Time.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time converts microseconds since the epoch to a time in UTC.
func Time(us int64) time.Time { return time.UnixMicro(us).UTC() }
