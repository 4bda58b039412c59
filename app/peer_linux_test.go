package app

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dynotap/source/jetdrive"
)

const peerName = "Python Dyno"

// TestPeerFaults is the acceptance test of the spine: the real program beside
// an independent provider that loses, reorders and repeats, and an independent
// client that counts.
func TestPeerFaults(t *testing.T) {
	for seed := 1; seed <= 5; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			comparePeer(t, "--loss", "0.05", "--reorder", "0.02", "--dup", "0.01", "--seed", strconv.Itoa(seed))
		})
	}
	for _, test := range []struct {
		name string
		args []string
	}{
		{"clock wraps", []string{"--wrap-ts"}},
		{"garbage", []string{"--garbage"}},
		{"clock far off", []string{"--clock-offset-ms", "123456789"}},
		{"list changes", []string{"--change-at", "8"}},
		{"bare", []string{"--bare"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			comparePeer(t, append(test.args, "--seed", "7")...)
		})
	}
}

// comparePeer records one provider's twenty seconds and holds every figure
// against the passive client's.
func comparePeer(t *testing.T, faults ...string) {
	t.Helper()
	n := newNetwork(t)
	in := startInstance(t, n)
	raw := listenWire(t, n)
	watcher := startPeer(t, n, "client", 25, "--passive")
	awaitListeners(t, n, 3)
	provider := startPeer(t, n, "provider", 20, append([]string{"--rate", "50", "--channels", "60"}, faults...)...)

	looks := in.watchSum()
	sent := provider.wait()
	heard := watcher.wait()
	if n := looks(); n < 50 {
		t.Errorf("looked at the sum %d times only", n)
	}
	want := only(t, heard, sent.Host)
	got := in.provider(peerName)
	if int64(got.Values) != want.Values || int64(got.Lost) != want.Dropped || int64(got.Reordered) != want.Late || int64(got.Duplicate) != want.Duplicate {
		t.Errorf("values, lost, reordered, duplicate: %d %d %d %d, the independent client's are %d %d %d %d",
			got.Values, got.Lost, got.Reordered, got.Duplicate, want.Values, want.Dropped, want.Late, want.Duplicate)
	}
	await(t, "everything is stored", func() bool { return in.balanced()["jetdrive"].Queued == 0 })
	account := in.balanced()["jetdrive"]
	if account.Dropped != 0 {
		t.Errorf("dropped %d: %v", account.Dropped, account.DroppedBy)
	}
	in.stop()
	rows := of(in.export(), peerName)
	if int64(len(rows)) != want.Values {
		t.Errorf("exported %d samples of %d", len(rows), want.Values)
	}
	wire := raw.of(hostNumber(t, sent.Host))
	compareChannels(t, rows, want, wire)
	compareTimes(t, rows, wire)
}

func hostNumber(t *testing.T, text string) uint16 {
	t.Helper()
	var id jetdrive.HostID
	if err := id.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return uint16(id)
}

// idOf is the channel id within a key, provider/id/generation.
func idOf(t *testing.T, key string) uint16 {
	t.Helper()
	parts := strings.Split(key, "/")
	id, err := strconv.ParseUint(parts[len(parts)-2], 10, 16)
	if err != nil {
		t.Fatalf("key %q: %v", key, err)
	}
	return uint16(id)
}

// only gives what the client heard of one host.
func only(t *testing.T, heard peerReport, host string) peerRemote {
	t.Helper()
	remote, ok := heard.Remotes[host]
	if !ok || remote.Values == 0 {
		t.Fatalf("the client did not hear %s: %v", host, heard.Remotes)
	}
	return remote
}

// shownUnits is how the units of the wire are shown, and the factor to it.
var shownUnits = map[string]struct {
	unit          string
	scale, offset float64
}{
	"kW": {"hp", 1 / 0.74569987158227, 0}, "N·m": {"ft·lb", 1 / 1.3558179483314, 0}, "N": {"lbf", 1 / 4.4482216152605, 0},
	"kph": {"mph", 1 / 1.609344, 0}, "°C": {"°F", 1.8, 32}, "RPM": {"rpm", 1, 0}, "rpm/kph": {"rpm/(km/h)", 1, 0},
	"kph/s": {"(km/h)/s", 1, 0}, "kg/hr": {"kg/h", 1, 0}, "Lambda": {"lambda", 1, 0},
}

// compareChannels holds counts, units and the newest value of each channel
// against the client's.
func compareChannels(t *testing.T, rows []exported, want peerRemote, wire map[uint16][]reading) {
	t.Helper()
	byID := map[string][]exported{}
	for _, r := range rows {
		id := strconv.Itoa(int(idOf(t, r.Channel)))
		byID[id] = append(byID[id], r)
	}
	for id, c := range want.Channels {
		got := byID[id]
		if int64(len(got)) != c.Count {
			t.Errorf("channel %s %q has %d samples, not %d", id, c.Name, len(got), c.Count)
			continue
		}
		if len(got) == 0 {
			continue
		}
		shown, converted := shownUnits[c.Unit]
		if !converted {
			shown.unit, shown.scale = c.Unit, 1
		}
		last := got[len(got)-1]
		native, ok := c.Last.(float64)
		if last.Unit != shown.unit {
			t.Errorf("channel %s %q in %q is shown in %q, not %q", id, c.Name, c.Unit, last.Unit, shown.unit)
		} else if value := native*shown.scale + shown.offset; ok && !newest(got, wire[idOf(t, last.Channel)], value) {
			t.Errorf("channel %s %q: the newest value is not %v %s", id, c.Name, value, last.Unit)
		}
	}
	if len(byID) != len(want.Channels) {
		t.Errorf("%d channels, not %d", len(byID), len(want.Channels))
	}
}

// newest reports whether the row of a channel's newest reading has a value. The
// independent client does not count what came late, that is after a message of
// a later number, even where that was of another kind. A sender that was held up
// gives several messages the same millisecond, of which any may stand there.
func newest(rows []exported, wire []reading, value float64) bool {
	at, older := -1, 0
	for i, r := range wire {
		if !r.late && (at < 0 || int32(r.stamp-wire[at].stamp) >= 0) {
			at = i
		}
	}
	if at < 0 || len(wire) != len(rows) {
		return false
	}
	for _, r := range wire {
		if int32(r.stamp-wire[at].stamp) < 0 {
			older++
		}
	}
	inOrder := slices.SortedStableFunc(slices.Values(rows), func(a, b exported) int { return a.Time.Compare(b.Time) })
	return slices.ContainsFunc(inOrder, func(r exported) bool {
		return r.Time.Equal(inOrder[older].Time) && (r.Value == nil || math.Abs(*r.Value-value) <= 1e-6*math.Abs(value))
	})
}

// compareTimes holds sample times against what came over the wire: the
// differences are those of the provider's timestamps exactly, no sample is
// there twice, and 99 % lie within -5 and +20 ms of their arrival. How much
// longer a message was under way than the quickest one (held back on purpose,
// or by a busy machine) is the sender's and is taken off its arrival.
func compareTimes(t *testing.T, rows []exported, wire map[uint16][]reading) {
	t.Helper()
	times := map[uint16][]int64{}
	for _, r := range rows {
		id := idOf(t, r.Channel)
		times[id] = append(times[id], r.Time.UnixMicro())
	}
	near, prompt, all := 0, 0, 0
	for id, got := range times {
		readings := wire[id]
		slices.Sort(got)
		if len(got) != len(readings) {
			t.Errorf("channel %d: %d times, the wire carried %d", id, len(got), len(readings))
			continue
		}
		first := readings[0].stamp
		since := func(r reading) int64 { return int64(int32(r.stamp-first)) * 1000 }
		slices.SortStableFunc(readings, func(a, b reading) int { return cmp.Compare(since(a), since(b)) })
		quickest := int64(math.MaxInt64)
		for _, r := range readings {
			quickest = min(quickest, r.arrived-since(r))
		}
		for i := range got {
			if i > 0 && got[i]-got[i-1] != since(readings[i])-since(readings[i-1]) {
				t.Fatalf("channel %d, sample %d: %d us after the one before, the provider says %d us", id, i,
					got[i]-got[i-1], since(readings[i])-since(readings[i-1]))
			}
			all++
			near += within(got[i] - since(readings[i]) - quickest)
			prompt += within(got[i] - readings[i].arrived)
		}
	}
	t.Logf("of %d samples %d lie within -5 and +20 ms of their arrival, %d of it without the sender's delay", all, prompt, near)
	if near*100 < all*99 {
		t.Errorf("only %d of %d samples lie within -5 and +20 ms of their arrival", near, all)
	}
}

func within(us int64) int {
	if us >= -5_000 && us <= 20_000 {
		return 1
	}
	return 0
}
