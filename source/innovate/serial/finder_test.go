package serial

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/source/innovate"
	"dynotap/source/innovate/device"
)

// bench is a System whose ports are pipes.
type bench struct {
	mu    sync.Mutex
	ports []innovate.PortInfo
	pipes map[string]*device.Pipe
	fail  map[string]error
	opens []string
}

func (b *bench) Ports() ([]innovate.PortInfo, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ports, nil
}

func (b *bench) Open(name string, _ int) (innovate.Port, error) {
	b.mu.Lock()
	b.opens = append(b.opens, name)
	pipe, err := b.pipes[name], b.fail[name]
	b.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case pipe == nil:
		return nil, &NotFoundError{Port: name}
	}
	p, _, err := pipe.Open(context.Background())
	return p, err
}

// plug puts a pipe on a port of the bench.
func (b *bench) plug(info innovate.PortInfo) *device.Pipe {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pipes == nil {
		b.pipes, b.fail = map[string]*device.Pipe{}, map[string]error{}
	}
	b.ports = append(b.ports, info)
	b.pipes[info.Name] = device.NewPipe(info.Name)
	return b.pipes[info.Name]
}

// move gives an adapter another name.
func (b *bench) move(from, to string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.ports {
		if b.ports[i].Name == from {
			b.ports[i].Name = to
		}
	}
	b.pipes[to] = b.pipes[from]
	delete(b.pipes, from)
}

func ftdi(name, serial string) innovate.PortInfo {
	return innovate.PortInfo{Name: name, USB: "0403:6001", Product: "FT232R USB UART", Serial: serial}
}

// run runs a simulated device until the test ends.
func run(t *testing.T, s device.Settings, line device.Line) {
	t.Helper()
	s.Values = func(_ time.Duration, afr []float64) {
		for i := range afr {
			afr[i] = 13.2
		}
	}
	d, err := device.New(s)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := d.Run(t.Context(), line); err != nil {
			t.Error(err)
		}
	}()
}

// chatter writes something else until the test ends.
func chatter(t *testing.T, w io.Writer, text string) {
	t.Helper()
	go func() {
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-tick.C:
				_, _ = w.Write([]byte(text))
			case <-t.Context().Done():
				tick.Stop()
				return
			}
		}
	}()
}

func TestFinderTakesThePortThatSpeaks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings device.Settings
		device   string
	}{
		"LC-2":                      {device.Settings{Model: "lc-2"}, "LC-1/LC-2"},
		"DLG-1":                     {device.Settings{Model: "dlg-1"}, "DLG-1"},
		"LM-1":                      {device.Settings{Model: "lm-1"}, "LM-1"},
		"LM-1 warming up":           {device.Settings{Model: "lm-1", Warmup: time.Minute}, "LM-1"},
		"LM-2":                      {device.Settings{Model: "lm-2"}, "LM-2 or chain with SSI-4/TC-4"},
		"DLG-1 behind flow control": {device.Settings{Model: "dlg-1", Faults: device.Faults{FlowControl: true}}, "unknown"},
		"LC-2 that loses bytes":     {device.Settings{Model: "lc-2", Faults: device.Faults{Lose: 0.05, Seed: 1}}, "LC-1/LC-2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var b bench
				b.plug(ftdi("COM3", "AAA"))                                // silent
				chatter(t, b.plug(ftdi("COM4", "BBB")), "$GPRMC,1*6A\r\n") // a GPS receiver
				b.plug(ftdi("COM5", "CCC"))
				b.fail["COM5"] = &BusyError{Port: "COM5"}
				run(t, c.settings, b.plug(ftdi("COM6", "DDD")))
				f := NewFinder(Settings{}, &b)
				p, info, err := f.Open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if info.Name != "COM6" || !info.Detected {
					t.Errorf("%+v", info)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				all, err := f.Scan(t.Context())
				if err != nil || len(all) != 4 {
					t.Fatal(all, err)
				}
				// A pseudo-terminal or a serial server's port is in no list.
				for port, want := range map[string]int{all[3].Name: 4, "elsewhere": 5} {
					named, err := NewFinder(Settings{Port: port}, f.system).Scan(t.Context())
					if err != nil || len(named) != want || want == 5 && (named[4].Name != port || named[4].Error == "") {
						t.Errorf("%s: %+v, %v", port, named, err)
					}
				}
				if all[0].Bytes != 0 || all[1].Speaks || all[1].Bytes == 0 || !all[2].Busy || !all[3].Speaks || all[3].Device != c.device {
					t.Errorf("%+v", all)
				}
			})
		})
	}
}

func TestFinderSaysWhatItHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bench
		f := NewFinder(Settings{}, &b)
		if _, _, err := f.Open(t.Context()); !errors.Is(err, ErrNoPorts) {
			t.Error(err)
		}
		b.plug(ftdi("COM3", "AAA"))
		chatter(t, b.plug(ftdi("COM4", "BBB")), "$GPRMC,1*6A\r\n")
		b.plug(ftdi("COM5", "CCC"))
		b.fail["COM5"] = &BusyError{Port: "COM5"}
		_, _, err := f.Open(t.Context())
		var none *NotHeardError
		if !errors.As(err, &none) || len(none.Ports) != 3 ||
			!strings.HasSuffix(err.Error(), "COM3 is silent; COM4 speaks something else; COM5 is in use by another program") {
			t.Error(err)
		}
		_, _, err = NewFinder(Settings{Port: "COM9"}, &b).Open(t.Context())
		if err == nil || err.Error() != "there is no serial port COM9: present are COM3 (FT232R USB UART), COM4 (FT232R USB UART), COM5 (FT232R USB UART)" {
			t.Error(err)
		}
		if _, _, err = NewFinder(Settings{Port: "COM5"}, &b).Open(t.Context()); err == nil || !strings.Contains(err.Error(), "COM5 is in use") {
			t.Error(err)
		}
	})
}

func TestFinderKnowsTheAdapterAgain(t *testing.T) {
	t.Parallel()
	for name, configured := range map[string]string{"port configured": "COM6", "port looked for": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var b bench
				b.plug(ftdi("COM3", "AAA"))
				run(t, device.Settings{Model: "lc-2"}, b.plug(ftdi("COM6", "DDD")))
				f := NewFinder(Settings{Port: configured}, &b)
				hear := func(want string) {
					t.Helper()
					b.opens = nil
					p, info, err := f.Open(t.Context())
					if err != nil || info.Name != want || info.Detected != (configured == "") {
						t.Fatalf("%+v, %v", info, err)
					}
					if n, err := p.Read(make([]byte, 64), time.Second); n == 0 || err != nil {
						t.Errorf("%d bytes, %v", n, err)
					}
					if err := p.Close(); err != nil {
						t.Error(err)
					}
				}
				hear("COM6")
				b.move("COM6", "COM11")
				hear("COM11")
				if len(b.opens) != 1 {
					t.Errorf("opened %v to find it again", b.opens)
				}
				b.move("COM11", "COM6")
				hear("COM6")
			})
		})
	}
}

// A device that was plugged into another adapter is found there, once the old
// one has stayed silent for a connection.
func TestFinderLooksElsewhereAfterSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bench
		first, second := b.plug(ftdi("COM3", "AAA")), b.plug(ftdi("COM4", "BBB"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		d, err := device.New(device.Settings{Model: "lc-2", Values: func(time.Duration, []float64) {}})
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		running.Go(func() { _ = d.Run(ctx, first) })
		f := NewFinder(Settings{}, &b)
		for _, want := range []string{"COM3", "COM3", "COM4"} {
			p, info, err := f.Open(t.Context())
			if err != nil || info.Name != want {
				t.Fatalf("%+v, %v", info, err)
			}
			if want == "COM3" && ctx.Err() == nil {
				if n, err := p.Read(make([]byte, 64), time.Second); n == 0 {
					t.Error("silent", err)
				}
				cancel()
				running.Wait()
				run(t, device.Settings{Model: "lc-2"}, second)
			}
			_ = p.Close()
		}
	})
}

func TestAdaptersAlike(t *testing.T) {
	t.Parallel()
	one, two := ftdi("COM3", "0001"), ftdi("COM4", "0001")
	plain := innovate.PortInfo{Name: "COM1"}
	for name, c := range map[string]struct {
		ports []innovate.PortInfo
		last  innovate.PortInfo
		want  string
	}{
		"first time":                   {[]innovate.PortInfo{one}, innovate.PortInfo{}, ""},
		"the same":                     {[]innovate.PortInfo{one, two}, two, "COM4"},
		"one of two alike, renamed":    {[]innovate.PortInfo{one, two}, ftdi("COM9", "0001"), ""},
		"the only one, renamed":        {[]innovate.PortInfo{one, plain}, ftdi("COM9", "0001"), "COM3"},
		"without serial number":        {[]innovate.PortInfo{ftdi("COM3", "")}, ftdi("COM9", ""), "COM3"},
		"another serial number":        {[]innovate.PortInfo{one}, ftdi("COM3", "X"), ""},
		"no USB port tells itself":     {[]innovate.PortInfo{plain}, innovate.PortInfo{Name: "COM2"}, ""},
		"adapter gone, others present": {[]innovate.PortInfo{plain}, one, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, found := findAgain(c.ports, c.last); got.Name != c.want || found != (c.want != "") {
				t.Errorf("%+v, %v", got, found)
			}
		})
	}
}

// hanging is a System whose Open does not return until it is let go.
type hanging struct {
	bench
	letGo chan struct{}
}

func (h *hanging) Open(name string, baud int) (innovate.Port, error) {
	<-h.letGo
	return h.bench.Open(name, baud)
}

func TestDriverThatHangsIsLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hanging{letGo: make(chan struct{})}
		pipe := h.plug(ftdi("COM3", "AAA"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, _, err := NewFinder(Settings{Port: "COM3"}, h).Open(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		close(h.letGo)
		synctest.Wait()
		// What opened late was closed again.
		if p, _, err := pipe.Open(t.Context()); err != nil {
			t.Error(err)
		} else {
			_ = p.Close()
		}
	})
}
