package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"dynotap/channel"
	"dynotap/sample"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/klhdv"
	"dynotap/validate"
)

// validateMessages are decoded before their samples are checked, as one Read
// of a busy source does.
const validateMessages = 32

// Validate measures the way from datagrams to checked samples: decode, find
// the channel, place in time, resolve, check.
func Validate(rounds int) (Report, error) {
	line, err := newLine()
	if err != nil {
		return Report{}, err
	}
	out := make([]klhdv.Value, 0, floodValues)
	bare := func() {
		for _, datagram := range line.datagrams {
			bareDecode(out[:floodValues], datagram[klhdv.HeaderLen:])
		}
	}
	n := validateMessages * floodValues
	ours, base, ratios := paired(rounds,
		func() float64 { return rate(n, line.pass) },
		func() float64 { return rate(n, bare) })
	if line.err != nil {
		return Report{}, line.err
	}
	check := make([]float64, 0, rounds)
	for range rounds {
		check = append(check, rate(n, line.check))
	}
	report := newReport("validate", rounds)
	whole := result("decoded, normalised and validated", "samples/s", ours).against(ratios).wanted(30e6).allocating(line.pass)
	*whole.AllocsPerPacket /= validateMessages
	report.Results = []Result{
		whole,
		result("checked only", "samples/s", check),
		result("bare loop that decodes", "samples/s", base),
	}
	return report, nil
}

// line is the way of the samples without network and queue.
type line struct {
	decoder   *jetdrive.Decoder
	datagrams [][]byte
	now       int64
	seq       uint8
	stamp     uint32
	plan      *validate.Plan
	set       *sample.ChannelSet
	samples   []sample.Sample
	err       error
}

func newLine() (*line, error) {
	l := &line{decoder: jetdrive.NewDecoder(jetdrive.Settings{}, jetdrive.Options{}), now: time.Now().UnixMicro()}
	info := klhdv.ChannelInfo{Provider: "Bench"}
	for i := range floodValues {
		info.Channels = append(info.Channels, klhdv.Channel{ID: uint16(i), Name: fmt.Sprintf("Engine RPM %d", i), Unit: 8})
	}
	info.Channels[0].Name = "Engine RPM"
	for part := info.Channels; len(part) > 0; {
		n := min(len(part), klhdv.MaxChannels(mtu))
		value := klhdv.EncodeChannelInfo(nil, klhdv.ChannelInfo{Provider: info.Provider, Channels: part[:n]})
		datagram, err := l.frame(nil, klhdv.KeyChannelInfo, value)
		if err != nil {
			return nil, err
		}
		l.decoder.Handle(datagram, netip.AddrPort{}, l.now)
		part = part[n:]
	}
	values := make([]klhdv.Value, floodValues)
	for i := range values {
		values[i] = klhdv.Value{Channel: uint16(i), Value: float32(1000 + i)}
	}
	for range validateMessages {
		datagram, err := l.frame(nil, klhdv.KeyChannelValues, klhdv.EncodeValues(nil, values))
		if err != nil {
			return nil, err
		}
		l.datagrams = append(l.datagrams, datagram)
	}
	l.seq -= validateMessages // pass numbers them anew
	l.pass()
	return l, l.err
}

func (l *line) frame(dst []byte, key klhdv.Key, value []byte) ([]byte, error) {
	l.seq++
	return klhdv.AppendFrame(dst, klhdv.Header{Key: key, Host: 7, Seq: l.seq, Dest: klhdv.AllHosts}, value)
}

// pass sends the datagrams through once more, each with the next number and a
// time 1 ms on.
func (l *line) pass() {
	for _, datagram := range l.datagrams {
		l.seq++
		l.stamp++
		l.now += 1000
		datagram[5] = l.seq
		for at := klhdv.HeaderLen; at < len(datagram); at += klhdv.ValueLen {
			datagram[at+2], datagram[at+3] = byte(l.stamp), byte(l.stamp>>8)
			datagram[at+4], datagram[at+5] = byte(l.stamp>>16), byte(l.stamp>>24)
		}
		l.decoder.Handle(datagram, netip.AddrPort{}, l.now)
	}
	checked := 0
	for b := l.decoder.Next(); b != nil; b = l.decoder.Next() {
		if l.plan == nil {
			resolver, err := channel.NewResolver(nil)
			if err != nil {
				l.err = err
				return
			}
			l.set = resolver.ResolveSet(b.Set)
			l.plan = validate.Compile(l.set, validate.DefaultSettings(), validate.DefaultRanges())
		}
		var found validate.Counts
		kept := l.plan.Check(b.Samples, &found)
		checked += len(kept)
		l.samples = append(l.samples[:0], kept...)
		l.decoder.Recycle(b)
	}
	if checked != validateMessages*floodValues {
		l.err = errors.Join(l.err, fmt.Errorf("%d of %d samples passed", checked, validateMessages*floodValues))
	}
}

// check checks the samples of the last pass again.
func (l *line) check() {
	var found validate.Counts
	l.samples = l.plan.Check(l.samples, &found)
}
