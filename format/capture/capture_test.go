package capture

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"dynotap/format"
	"dynotap/format/pcap"
	"dynotap/sample"
	"dynotap/source/jetdrive/klhdv"
)

const port = 22344

type taken struct {
	tb       testing.TB
	runs     []format.Run
	values   []string
	warnings []string
}

func (k *taken) Begin(r format.Run) error { k.runs = append(k.runs, r); return nil }
func (k *taken) Batch(b *sample.Batch) error {
	if b.Clock != sample.ClockFile || len(b.Samples) == 0 || len(b.Samples) > format.MaxSamples {
		k.tb.Errorf("a batch of %d samples", len(b.Samples))
	}
	list := b.Set.Channels()
	for _, s := range b.Samples {
		k.values = append(k.values, fmt.Sprintf("%s %d %g", list[s.Channel].Label, s.Time, s.Value))
	}
	return nil
}
func (k *taken) Problem(p format.Problem) { k.tb.Errorf("problem %+v", p) }
func (k *taken) Warn(text string)         { k.warnings = append(k.warnings, text) }

func read(tb testing.TB, file []byte) (*taken, error) {
	tb.Helper()
	k := &taken{tb: tb}
	return k, New(port).Read(tb.Context(), bytes.NewReader(file), int64(len(file)), k)
}

// captured is a capture of messages, 50 ms apart.
func captured(tb testing.TB, to uint16, messages ...[]byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := pcap.NewWriter(&out, "test", "")
	if err != nil {
		tb.Fatal(err)
	}
	for i, m := range messages {
		err := w.Write(pcap.Datagram{
			At:   time.Date(2026, 1, 2, 3, 4, 5, i*50_000_000, time.UTC),
			From: netip.MustParseAddrPort("192.0.2.7:40000"), To: netip.AddrPortFrom(netip.MustParseAddr("224.0.2.10"), to), Data: m,
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// messages are those of a provider that names its channel and sends n
// values.
func messages(tb testing.TB, n int) (out [][]byte) {
	tb.Helper()
	frame := func(key klhdv.Key, value []byte) {
		m, err := klhdv.AppendFrame(nil, klhdv.Header{Key: key, Host: 7, Seq: uint8(len(out)), Dest: klhdv.AllHosts}, value)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, m)
	}
	rpm, _ := klhdv.UnitCode(sample.RPM)
	frame(klhdv.KeyChannelInfo, klhdv.EncodeChannelInfo(nil, klhdv.ChannelInfo{Provider: "Dyno", Channels: []klhdv.Channel{{ID: 1, Name: "Engine RPM", Unit: rpm}}}))
	for i := range n {
		frame(klhdv.KeyChannelValues, klhdv.EncodeValues(nil, []klhdv.Value{{Channel: 1, Stamp: uint32(1000 + 50*i), Value: float32(900 + i)}}))
	}
	return out
}

func TestACaptureIsASessionAndAlwaysTheSame(t *testing.T) {
	t.Parallel()
	file := captured(t, port, messages(t, 20)...)
	if c := New(port).Detect(file, "x.csv"); c != format.Signature {
		t.Errorf("confidence %d", c)
	}
	k, err := read(t, file)
	if err != nil || len(k.runs) != 1 || !k.runs[0].Dated || len(k.values) != 20 || len(k.warnings) != 0 {
		t.Fatalf("%v, %v, %d values, %q", err, k.runs, len(k.values), k.warnings)
	}
	if !strings.HasPrefix(k.values[0], "Engine RPM 17673230") || !strings.HasSuffix(k.values[19], " 919") {
		t.Errorf("%q to %q", k.values[0], k.values[19])
	}
	again, err := read(t, file)
	if err != nil || !slices.Equal(again.values, k.values) {
		t.Errorf("%v, %v", err, again.values)
	}
}

func TestWhatGivesNoSampleIsSaid(t *testing.T) {
	t.Parallel()
	_, err := read(t, captured(t, 9, messages(t, 3)...))
	if err == nil || !strings.Contains(err.Error(), "JETDRIVE port 22344 (there are some to 224.0.2.10:9)") {
		t.Error(err)
	}
	k, err := read(t, captured(t, port, append(messages(t, 3), []byte{1, 2, 3})...))
	if err != nil || len(k.values) != 3 || len(k.warnings) != 1 || !strings.Contains(k.warnings[0], "1 messages are malformed") {
		t.Errorf("%v, %v, %q", err, k.values, k.warnings)
	}
	file := captured(t, port, messages(t, 20)...)
	k, err = read(t, file[:len(file)-20])
	var located *format.Error
	if !errors.As(err, &located) || len(k.values) != 19 {
		t.Errorf("%v, %d values", err, len(k.values))
	}
	if New(port).Detect([]byte("time,rpm\n"), "x.pcap") != format.No {
		t.Error("a table is taken for a capture")
	}
}

func TestA8AnyByteMayBeDamaged(t *testing.T) {
	t.Parallel()
	file := captured(t, port, messages(t, 3)...)
	for i := range file {
		for bit := range 8 {
			damaged := slices.Clone(file)
			damaged[i] ^= 1 << bit
			_, _ = read(t, damaged) // it may fail, and must not panic
		}
	}
}

func FuzzCapture(f *testing.F) {
	f.Add(captured(f, port, messages(f, 3)...))
	f.Fuzz(func(t *testing.T, file []byte) {
		New(port).Detect(file, "x")
		_, _ = read(t, file)
	})
}
