package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"dynotap/format/pcap"
	"dynotap/source/jetdrive"
	"dynotap/source/jetdrive/klhdv"
)

func (n network) conn(t *testing.T) jetdrive.ConnSettings {
	t.Helper()
	return jetdrive.ConnSettings{Group: netip.MustParseAddr(n.group), Port: uint16(n.port), Interface: loopback}
}

// capturing writes the network to a file until the function it gives is
// called.
func capturing(t *testing.T, n network, listeners int) (path string, end func() jetdrive.ConnCounters) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "capture.pcapng")
	file, err := createFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	type outcome struct {
		counts jetdrive.ConnCounters
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		counts, err := capture(ctx, n.conn(t), file, "dynotap test")
		done <- outcome{counts, errors.Join(err, file.Close())}
	}()
	awaitListeners(t, n, listeners)
	return path, func() jetdrive.ConnCounters {
		cancel()
		o := <-done
		if o.err != nil {
			t.Fatal(o.err)
		}
		return o.counts
	}
}

// decoded is what `decode jetdrive --json` says of a capture.
func decoded(t *testing.T, n network, path string) networkDecoding {
	t.Helper()
	report, code := decodeCommand(t, n, path)
	if code != exitDone {
		t.Fatalf("decode ended with %d", code)
	}
	return report
}

// soFar is the same of a capture that still grows, and may end anywhere.
func soFar(t *testing.T, n network, path string) networkDecoding {
	t.Helper()
	report, _ := decodeCommand(t, n, path)
	return report
}

func decodeCommand(t *testing.T, n network, path string) (report networkDecoding, code int) {
	t.Helper()
	var out bytes.Buffer
	code = execute(t.Context(), []string{"decode", "jetdrive", "--json", "--port", strconv.Itoa(n.port), path}, Program{Stdout: &out, Stderr: io.Discard})
	if err := json.Unmarshal(out.Bytes(), &report); err != nil && code != exitFailed {
		t.Fatalf("decode printed %q: %v", out.String(), err)
	}
	return report, code
}

// TestCaptureReplayDecode captures an independent provider, plays the capture
// on another network, and captures that: all three hold the same.
func TestCaptureReplayDecode(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	heard := listenWire(t, n)
	path, end := capturing(t, n, 2)
	startPeer(t, n, "provider", 3, "--rate", "50", "--channels", "12", "--garbage").wait()
	await(t, "the last sample is written", func() bool { return matches(soFar(t, n, path), heard) })
	counts := end()
	first := decoded(t, n, path)
	if uint64(first.Datagrams) != counts.Datagrams || first.Samples == 0 || first.Error != nil {
		t.Errorf("captured %d datagrams, decoded %d with %d samples, error %v", counts.Datagrams, first.Datagrams, first.Samples, first.Error)
	}
	if !matches(first, heard) || len(first.Providers) == 0 || len(first.Providers[0].Channels) != 12 {
		t.Errorf("decoded %+v", first.Providers)
	}

	other := newNetwork(t)
	again, stop := capturing(t, other, 1)
	r := replay{speed: 0}
	if err := playInto(t, &r, other, relabelled(t, path, other)); err != nil {
		t.Fatal(err)
	}
	await(t, "the replay is written", func() bool { return soFar(t, other, again).Datagrams == r.sent })
	stop()
	second := decoded(t, other, again)
	if r.sent == 0 || r.unsafe == 0 || r.sent != second.Datagrams || r.sent+r.unsafe+r.forbidden != first.Datagrams {
		t.Errorf("replayed %+v of %d, captured %d", r, first.Datagrams, second.Datagrams)
	}
	if got, want := content(second), content(first); got != want {
		t.Errorf("replayed content\n%s\nwant\n%s", got, want)
	}
}

// matches says whether each channel has as many samples as were on the wire.
func matches(d networkDecoding, heard *wire) bool {
	same := d.Samples > 0
	for _, p := range d.Providers {
		for _, c := range p.Channels {
			same = same && int64(len(heard.of(uint16(p.HostID))[uint16(c.ID)])) == c.Samples
		}
	}
	return same
}

// content is what a decoding says of channels.
func content(d networkDecoding) string {
	var b strings.Builder
	for _, p := range d.Providers[:1] { // the others spoke rubbish, which is not played
		for _, c := range p.Channels {
			fmt.Fprintln(&b, p.HostID, c.Key, c.Name, c.Unit, c.Samples, *c.Min, *c.Max, *c.Last)
		}
	}
	return b.String()
}

// relabelled is a capture as if it had been made on another network.
func relabelled(t *testing.T, path string, n network) []byte {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	in, err := pcap.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := pcap.NewWriter(&out, "", "")
	for err == nil {
		var d pcap.Datagram
		if d, err = in.Next(); err == nil {
			d.To = netip.AddrPortFrom(netip.MustParseAddr(n.group), uint16(n.port))
			err = w.Write(d)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func playInto(t *testing.T, r *replay, n network, file []byte) error {
	t.Helper()
	in, err := pcap.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return r.run(t.Context(), n.conn(t), in)
}

// TestReplayNeverSendsLoadControl plays a capture of a vendor's program that
// works the brake: of all that nothing is sent.
func TestReplayNeverSendsLoadControl(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	path, end := capturing(t, n, 1)
	var file bytes.Buffer
	w, err := pcap.NewWriter(&file, "", "")
	if err != nil {
		t.Fatal(err)
	}
	for i, message := range []struct {
		key   klhdv.Key
		value []byte
	}{
		{klhdv.KeyRequestLoadControl, []byte{1, 0, 0, 0, 0, 0}},
		{klhdv.KeyRequestBrake, []byte{1}},
		{klhdv.KeyClearChannelInfo, nil},
	} {
		data, err := klhdv.AppendFrame(nil, klhdv.Header{Key: message.key, Host: 7, Seq: uint8(i), Dest: klhdv.AllHosts}, message.value)
		if err != nil {
			t.Fatal(err)
		}
		to := netip.AddrPortFrom(netip.MustParseAddr(n.group), uint16(n.port))
		if err := w.Write(pcap.Datagram{At: time.Unix(int64(i), 0), From: to, To: to, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	r := replay{speed: 1e6}
	if err := playInto(t, &r, n, file.Bytes()); err != nil || r.sent != 1 || r.forbidden != 2 {
		t.Errorf("sent %d, refused %d, %v", r.sent, r.forbidden, err)
	}
	await(t, "the replay is written", func() bool { return soFar(t, n, path).Datagrams > 0 })
	if counts := end(); counts.Datagrams != 1 {
		t.Errorf("%d datagrams on the wire", counts.Datagrams)
	}
}
