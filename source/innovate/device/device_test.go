package device

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/source/innovate"
	"dynotap/source/innovate/isp"
)

// recorder is a Line that remembers what came when.
type recorder struct {
	mu      sync.Mutex
	pieces  [][]byte
	at      []time.Time
	plugged []bool
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pieces = append(r.pieces, slices.Clone(b))
	r.at = append(r.at, time.Now())
	return len(b), nil
}

func (r *recorder) Unplug()     { r.plugged = append(r.plugged, false) }
func (r *recorder) Plug() error { r.plugged = append(r.plugged, true); return nil }

func rich(_ time.Duration, afr []float64) {
	for i := range afr {
		afr[i] = 12.6 + float64(i)
	}
}

// send runs a device for a time.
func send(t *testing.T, s Settings, span time.Duration) (*recorder, Counts) {
	t.Helper()
	d, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	r := new(recorder)
	if err := d.Run(ctx, r); err != nil {
		t.Fatal(err)
	}
	return r, d.Counts()
}

// decoded counts the packets by protocol and calls each for them.
func decoded(stream []byte, each func(*isp.Packet)) isp.Counters {
	var d isp.Decoder
	d.Feed(stream, each)
	d.End(each)
	return d.Counters()
}

func TestModels(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings     Settings
		protocol     isp.Protocol
		sensors, aux int
	}{
		"DLG-1":         {Settings{Model: "DLG-1"}, isp.ISP2, 2, 0},
		"LC-1":          {Settings{Model: "lc-1"}, isp.ISP2, 1, 0},
		"LC-2":          {Settings{Model: "lc-2"}, isp.ISP2, 1, 0},
		"four LC-2":     {Settings{Model: "lc-2", Sensors: 4}, isp.ISP2, 4, 0},
		"LM-1":          {Settings{Model: "lm-1"}, isp.ISP1, 1, 5},
		"LM-2":          {Settings{Model: "lm-2"}, isp.ISP2, 1, 4},
		"LC-2, ethanol": {Settings{Model: "lc-2", Stoichiometric: 9.0}, isp.ISP2, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c.settings.Values = rich
				c.settings.Aux = func(_ time.Duration, volts []float64) { volts[len(volts)-1] = 5 }
				if c.aux == 0 {
					c.settings.Aux = nil
				}
				r, counts := send(t, c.settings, time.Minute)
				packets := 0
				got := decoded(slices.Concat(r.pieces...), func(p *isp.Packet) {
					packets++
					if p.Protocol != c.protocol || len(p.Sensors) != c.sensors || len(p.Aux) != c.aux {
						t.Fatalf("%+v", p)
					}
					for i, s := range p.Sensors {
						if afr, ok := s.AFR(); !ok || math.Abs(afr-12.6-float64(i)) > 0.01 {
							t.Fatalf("AFR %v", afr)
						}
						if v, ok := s.Battery(); ok != s.LM1 || ok && math.Abs(v-13.8) > 0.05 {
							t.Fatalf("battery %v", v)
						}
					}
					if c.aux > 0 && (p.Aux[c.aux-1].Volts() != 5 || p.Aux[0].Volts() != 0) {
						t.Fatalf("%+v", p.Aux)
					}
				})
				// One at 0 and one each 81.92 ms.
				if packets != 733 || counts != (Counts{Packets: 733}) || got.BytesSkipped != 0 {
					t.Errorf("%d packets, %+v, %+v", packets, counts, got)
				}
				for i := range r.at {
					if i > 0 && r.at[i].Sub(r.at[i-1]) != Period {
						t.Fatalf("packet %d comes %v after the one before", i, r.at[i].Sub(r.at[i-1]))
					}
				}
			})
		})
	}
}

func TestFreeAir(t *testing.T) {
	t.Parallel()
	d, err := New(Settings{Model: "dlg-1", Values: func(_ time.Duration, afr []float64) { afr[0], afr[1] = math.NaN(), 0 }})
	if err != nil {
		t.Fatal(err)
	}
	var r recorder
	if err := d.Send(&r, 0); err != nil || string(r.pieces[0]) != "\xB2\x84\x47\x13\x01\x51\x47\x13\x01\x51" {
		t.Errorf("% X, %v", r.pieces, err)
	}
}

func TestWarmsUpFirst(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"lc-2", "lm-1"} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, _ := send(t, Settings{Model: model, Values: rich, Warmup: 10 * time.Second}, 20*time.Second)
				warming, last := 0, -1.0
				decoded(slices.Concat(r.pieces...), func(p *isp.Packet) {
					s := p.Sensors[0]
					switch v, _ := s.Percent(); s.Function {
					case isp.WarmingUp:
						if v < last || v > 100 || warming < int(last) {
							t.Errorf("%v %% after %v", v, last)
						}
						last = v
						warming++
					case isp.Lambda:
						if last < 99 {
							t.Errorf("lambda at %v %%", last)
						}
					default:
						t.Errorf("%v", s.Function)
					}
				})
				if warming != 123 {
					t.Errorf("%d packets of warming up", warming)
				}
			})
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const span = 10 * time.Minute
	for name, c := range map[string]struct {
		faults string
		check  func(t *testing.T, r *recorder, c Counts, d isp.Counters)
	}{
		"lost bytes": {"lose=0.01,seed=3", func(t *testing.T, _ *recorder, c Counts, d isp.Counters) {
			t.Helper()
			if c.Damaged < 500 || c.Damaged > 900 || d.Packets < c.Packets || d.Packets > c.Packets+20 {
				t.Errorf("%+v, %+v", c, d)
			}
		}},
		"bytes inserted and changed": {"insert=0.01,flip=0.01,seed=3", func(t *testing.T, _ *recorder, c Counts, d isp.Counters) {
			t.Helper()
			if c.Damaged < 1000 || d.Packets < c.Packets {
				t.Errorf("%+v, %+v", c, d)
			}
		}},
		"flow control": {"xonxoff", func(t *testing.T, r *recorder, c Counts, d isp.Counters) {
			t.Helper()
			all := slices.Concat(r.pieces...)
			if c.Packets != 0 || d.Packets != 0 || bytes.ContainsAny(all, "\x11\x13") {
				t.Errorf("%+v, %+v", c, d)
			}
		}},
		"latency": {"latency=16ms", func(t *testing.T, r *recorder, _ Counts, _ isp.Counters) {
			t.Helper()
			for i, at := range r.at {
				if d := at.Sub(r.at[0]); d%(16*time.Millisecond) != 0 || d < time.Duration(i)*Period {
					t.Fatalf("packet %d after %v", i, d)
				}
			}
		}},
		"silence": {"silence=30s/5s", func(t *testing.T, r *recorder, c Counts, _ isp.Counters) {
			t.Helper()
			gaps := 0
			for i := 1; i < len(r.at); i++ {
				if r.at[i].Sub(r.at[i-1]) > 4*time.Second {
					gaps++
				}
			}
			if gaps != 19 || c.Withheld < 1100 || c.Withheld > 1300 || len(r.plugged) != 0 {
				t.Errorf("%d gaps, %+v", gaps, c)
			}
		}},
		"unplugged": {"unplug=60s/3s", func(t *testing.T, r *recorder, c Counts, _ isp.Counters) {
			t.Helper()
			if len(r.plugged) != 19 || r.plugged[0] || !r.plugged[1] || c.Withheld < 300 {
				t.Errorf("%v, %+v", r.plugged, c)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, err := ParseFaults(c.faults)
				if err != nil {
					t.Fatal(err)
				}
				r, counts := send(t, Settings{Model: "dlg-1", Values: rich, Faults: f}, span)
				c.check(t, r, counts, decoded(slices.Concat(r.pieces...), func(*isp.Packet) {}))
			})
		})
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Settings{
		"model":        {Model: "lc-3", Values: rich},
		"no values":    {Model: "lc-2"},
		"two LM-1":     {Model: "lm-1", Sensors: 2, Values: rich},
		"33 sensors":   {Model: "lc-2", Sensors: 33, Values: rich},
		"warm-up":      {Model: "lc-2", Warmup: -1, Values: rich},
		"fuel":         {Model: "lc-2", Stoichiometric: 30, Values: rich},
		"share":        {Model: "lc-2", Values: rich, Faults: Faults{Lose: 1.5}},
		"no share":     {Model: "lc-2", Values: rich, Faults: Faults{Flip: math.NaN()}},
		"unplugged":    {Model: "lc-2", Values: rich, Faults: Faults{UnplugEvery: 1, UnplugFor: 1}},
		"much latency": {Model: "lc-2", Values: rich, Faults: Faults{Latency: time.Second}},
	} {
		if _, err := New(s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, text := range []string{"lose", "lose=x", "loose=1", "silence=5s", "silence=x/1s", "unplug=5s/y", "latency=5", "seed=-1", "lose=2"} {
		if _, err := ParseFaults(text); err == nil {
			t.Errorf("%q: accepted", text)
		}
	}
	got, err := ParseFaults("lose=0.1, insert=0.2,flip=0.3,xonxoff,latency=16ms,silence=30s/5s,unplug=60s/3s,seed=7")
	want := Faults{
		Lose: 0.1, Insert: 0.2, Flip: 0.3, FlowControl: true, Latency: 16 * time.Millisecond, Seed: 7,
		SilentEvery: 30 * time.Second, SilentFor: 5 * time.Second, UnplugEvery: time.Minute, UnplugFor: 3 * time.Second,
	}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := New(Settings{Model: "lc-3", Values: rich}); err == nil || !strings.Contains(err.Error(), "lm-2") {
		t.Error(err)
	}
}

func TestPipe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pipe := NewPipe("pipe")
		if n, err := pipe.Write([]byte("nobody")); n != 6 || err != nil {
			t.Error(n, err)
		}
		open := func() innovate.Port {
			p, info, err := pipe.Open(t.Context())
			if err != nil || info.Name != "pipe" {
				t.Fatal(info, err)
			}
			return p
		}
		p := open()
		if _, _, err := pipe.Open(t.Context()); err == nil {
			t.Error("opened twice")
		}
		began, buf := time.Now(), make([]byte, 8192)
		if n, err := p.Read(buf, time.Second); n != 0 || err != nil || time.Since(began) != time.Second {
			t.Error(n, err, time.Since(began))
		}
		go func() { _, _ = pipe.Write(make([]byte, 5000)) }()
		if n, err := p.Read(buf, time.Minute); n != pipeBuffer || err != nil {
			t.Error(n, err)
		}
		go func() { pipe.Unplug() }()
		if n, err := p.Read(buf, time.Minute); n != 0 || err == nil {
			t.Error(n, err)
		}
		if _, _, err := pipe.Open(t.Context()); err == nil {
			t.Error("opened while unplugged")
		}
		if err := pipe.Plug(); err != nil {
			t.Error(err)
		}
		q := open()
		_ = p.Close()
		if _, err := pipe.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		if n, err := q.Read(buf, time.Second); n != 1 || err != nil {
			t.Error("the old end closed the new one", n, err)
		}
		go func() { _ = q.Close() }()
		if n, err := q.Read(buf, time.Minute); n != 0 || err == nil {
			t.Error(n, err)
		}
	})
}
