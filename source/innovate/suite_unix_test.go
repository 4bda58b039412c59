//go:build linux || darwin

package innovate_test

import (
	"context"
	"testing"
	"time"

	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/innovate"
	"dynotap/source/innovate/device"
	"dynotap/source/innovate/serial"
	"dynotap/source/sourcetest"
)

// adapter is a System with one USB adapter, whose port is wherever the
// pseudo-terminal is at present.
type adapter struct{ pty *device.PTY }

func (a adapter) Ports() ([]innovate.PortInfo, error) {
	path := a.pty.Path()
	if path == "" {
		return nil, nil
	}
	return []innovate.PortInfo{{Name: path, USB: "0403:6001", Serial: "AB0CDE12"}}, nil
}

func (adapter) Open(name string, baud int) (innovate.Port, error) { return serial.Open(name, baud) }

func newPTY(t *testing.T) *device.PTY {
	t.Helper()
	pty, err := device.NewPTY(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pty.Close() })
	return pty
}

// The port that is configured goes and comes back under another name, since
// meanwhile somebody else took its own.
func TestSuiteOverAPseudoTerminal(t *testing.T) { // not parallel: the suite looks for goroutines left behind
	sourcetest.Run(t, func(t *testing.T) sourcetest.Device {
		t.Helper()
		pty := newPTY(t)
		return &renamed{sender: newSender(t, pty, serial.NewFinder(serial.Settings{Port: pty.Path()}, adapter{pty}))}
	})
}

type renamed struct{ *sender }

func (r *renamed) Return(tb testing.TB) {
	tb.Helper()
	other, err := device.NewPTY(nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = other.Close() })
	r.sender.Return(tb)
}

// A device that sends by its own clock is found, read, unplugged and found
// again, all over real terminals.
func TestDeviceIsFoundAndFoundAgain(t *testing.T) {
	t.Parallel()
	pty := newPTY(t)
	d, err := device.New(device.Settings{Model: "lc-2", Values: func(_ time.Duration, afr []float64) { afr[0] = 12.8 }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx, pty) }()
	defer func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	src, err := innovate.New(innovate.Settings{}, innovate.Options{Opener: serial.NewFinder(serial.Settings{}, adapter{pty})})
	if err != nil {
		t.Fatal(err)
	}
	settings := source.DefaultSettings()
	settings.ReconnectDelay = 50 * time.Millisecond
	arrived := make(chan sample.Batch, 1)
	sup, err := source.NewSupervisor(src, source.Options{
		Name: "innovate", Settings: settings,
		Accept: func(_ context.Context, b *sample.Batch) error {
			select {
			case arrived <- *b:
			default:
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sup.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case b := <-arrived:
			if name := b.Set.Channels()[b.Samples[0].Channel].Label; name != "wideband_1_status" {
				t.Errorf("first sample is of %s", name)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("nothing comes: %+v", src.Status())
		}
		pty.Unplug()
		if err := pty.Plug(); err != nil {
			t.Fatal(err)
		}
		for len(arrived) > 0 {
			<-arrived
		}
	}
	if err := sup.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
