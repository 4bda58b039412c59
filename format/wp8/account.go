package wp8

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"dynotap/format"
	"dynotap/sample"
)

// account hands over what proved itself and says what did not.
type account struct {
	*walk
	size int64
	sink format.RunSink

	proven  map[uint64]*candidate
	lengths map[uint64]int
	strange int   // candidates of channels that the file does not list
	decoded int64 // bytes of series
}

func (a *account) report() error {
	if a.damage != "" {
		a.problem(a.damage)
	}
	a.prove()
	if a.twice > 0 {
		a.sink.Warn(fmt.Sprintf("%d channels are described a second time otherwise: the first description counts", a.twice))
	}
	if a.unlisted > 0 {
		a.problem(fmt.Sprintf("the file lists %d channels more than the %d that are read", a.unlisted, maxChannels))
	}
	if a.unlooked > 0 {
		a.problem(fmt.Sprintf("%d more messages may be samples and were not looked at", a.unlooked))
	}
	if a.strange > 0 {
		a.sink.Warn(fmt.Sprintf("%d messages may be samples of channels that the file does not list: they were left out", a.strange))
	}
	if a.opaque > 0 {
		a.sink.Warn(fmt.Sprintf("%d fields of %d bytes in all are neither text nor messages and were not decoded, the largest of %d bytes at byte %d", a.opaque, a.opaqueBytes, a.largest, a.largestAt))
	}
	if len(a.proven) == 0 {
		if len(a.order) > 0 {
			a.sink.Warn("the file lists " + a.names(300))
		}
		return &format.Error{Err: fmt.Errorf("the file lists %s: %w", a.names(8), errSeries)}
	}
	return a.give()
}

func (a *account) problem(message string) { a.sink.Problem(format.Problem{Message: message}) }

// prove finds out which candidates are samples. A shape of which more than a
// quarter cannot be samples proves none; two series that claim the same channel
// prove neither.
func (a *account) prove() {
	failed := make([]error, len(a.candidates))
	tried, good := map[shape]int{}, map[shape]int{}
	a.lengths = map[uint64]int{}
	lengths := make([]int, len(a.candidates))
	for i := range a.candidates {
		c := &a.candidates[i]
		if a.channels[c.id] == nil {
			continue
		}
		times, _, err := c.series()
		if failed[i] = err; errors.Is(err, errContainer) {
			continue
		}
		tried[c.shape]++
		if err == nil {
			good[c.shape]++
			lengths[i] = len(times)
		}
	}
	claims := map[uint64]int{}
	for i := range a.candidates {
		c := &a.candidates[i]
		if failed[i] == nil && 4*good[c.shape] < 3*tried[c.shape] {
			failed[i] = errOthers
		}
		if failed[i] == nil {
			claims[c.id]++
		}
	}
	a.proven = map[uint64]*candidate{}
	for i := range a.candidates {
		c := &a.candidates[i]
		err := failed[i]
		if err == nil && claims[c.id] > 1 {
			err = errTwice
		}
		switch d := a.channels[c.id]; {
		case d == nil:
			if _, _, err := c.series(); err == nil {
				a.strange++
			}
		case errors.Is(err, errContainer):
		case err != nil:
			a.problem(fmt.Sprintf("byte %d: %d bytes that may be samples of channel %d (%.80s) were left out: %v", c.at, len(c.message), c.id, strings.ToValidUTF8(d.name, "?"), err))
		default:
			a.proven[c.id], a.lengths[c.id] = c, lengths[i]
			a.decoded += int64(len(c.message))
		}
	}
}

// give hands over the run.
func (a *account) give() error {
	run := format.Run{Notes: a.inventory(), Facts: map[string]string{
		"channels_described": strconv.Itoa(len(a.order)), "channels_decoded": strconv.Itoa(len(a.proven)),
		"bytes_total": strconv.FormatInt(a.size, 10), "bytes_of_series": strconv.FormatInt(a.decoded, 10),
	}}
	if err := a.sink.Begin(run); err != nil {
		return err
	}
	a.sink.Warn("the times of the samples are taken as seconds, by the size of their steps: no description of the file says so")
	if missing := len(a.order) - len(a.proven); missing > 0 {
		a.sink.Warn(fmt.Sprintf("%d of %d channels have no series that proves itself (a channel's id, times that ascend and as many finite values): they are listed without values", missing, len(a.order)))
	}
	out := format.NewBatches(a.sink, a.set())
	for at, id := range a.order {
		c := a.proven[id]
		if c == nil {
			continue
		}
		times, values, err := c.series()
		if err != nil {
			return &format.Error{Offset: c.at, Err: err}
		}
		for i, t := range times {
			if err := out.Add(sample.Sample{Time: int64(math.Round(t * 1e6)), Value: values[i], Channel: uint32(at)}); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// inventory lists the channels, a line each.
func (a *account) inventory() []string {
	const most = 1000
	out := make([]string, 0, min(len(a.order), most))
	for _, id := range a.order[:min(len(a.order), most)] {
		d := a.channels[id]
		parts := slices.DeleteFunc([]string{d.units, d.device, d.category}, func(s string) bool { return s == "" })
		said := "no samples decoded"
		if n := a.lengths[id]; n > 0 {
			said = fmt.Sprintf("%d samples", n)
		}
		out = append(out, fmt.Sprintf("channel %d: %s (%s): %s", id, d.name, strings.Join(parts, ", "), said))
	}
	if more := len(a.order) - most; more > 0 {
		out = append(out, fmt.Sprintf("and %d channels more", more))
	}
	return out
}

// names says how many channels there are and what the first are called.
func (a *account) names(shown int) string {
	list := make([]string, 0, shown)
	for _, id := range a.order[:min(len(a.order), shown)] {
		list = append(list, a.channels[id].name)
	}
	out := fmt.Sprintf("%d channels", len(a.order))
	switch {
	case len(a.order) > shown:
		out += " (" + strings.Join(list, ", ") + " ...)"
	case len(list) > 0:
		out += " (" + strings.Join(list, ", ") + ")"
	}
	return out
}

func (a *account) set() *sample.ChannelSet {
	out := make([]sample.Channel, 0, len(a.order))
	for _, id := range a.order {
		d := a.channels[id]
		device := d.device
		if device == "" {
			device = provider
		}
		unit, ok := sample.ParseUnit(d.units)
		if !ok {
			unit = sample.Unit(d.units)
		}
		out = append(out, sample.Channel{
			Key: sample.ChannelKey(device, uint32(id), 0), Provider: device, ID: uint32(id), Label: d.name, NativeUnit: unit,
		})
	}
	return sample.NewChannelSet(provider, out)
}
