package innovate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/innovate"
	"dynotap/source/innovate/device"
	"dynotap/source/innovate/isp"
)

func TestRecordingFlag(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		off := encode(r, isp.Packet{Sensors: []isp.Sensor{lc(isp.Lambda, 400)}})
		on := encode(r, isp.Packet{Recording: true, Sensors: []isp.Sensor{lc(isp.Lambda, 400)}})
		r.send(off, on, off, on, on)
		if len(r.starts) != 0 {
			r.Error("a single packet starts a recording")
		}
		r.send(on, on, on)
		if !r.source.Status().Recording {
			r.Error("not recording")
		}
		r.send(off, off, off, off)
		if fmt.Sprint(r.starts) != "[true false]" {
			r.Error(r.starts)
		}
	})
}

func TestAnswersToCommandsAreNoSamples(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		r.send(encode(r, isp.Packet{Answer: true, Reply: []byte("LC-2")}))
		if len(r.batches) != 0 || r.source.Status().Counters.Packets != 1 {
			r.Errorf("%d batches", len(r.batches))
		}
	})
}

func TestWhatCouldNotBeEmittedComesAgain(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		p := encode(r, isp.Packet{Sensors: []isp.Sensor{lc(isp.Lambda, 400)}})
		if _, err := r.pipe.Write(p); err != nil {
			r.Fatal(err)
		}
		err := r.reader.Read(r.Context(), func(*sample.Batch) error { return errRefused })
		if !errors.Is(err, errRefused) {
			r.Error(err)
		}
		r.readFor(time.Second)
		if len(r.values("wideband_1_afr")) != 1 {
			r.Errorf("%d batches", len(r.batches))
		}
	})
}

func TestBufferIsBoundedAndCounted(t *testing.T) {
	inBubble(t, innovate.Settings{Buffer: 60}, func(r *rig) {
		p := encode(r, isp.Packet{Sensors: []isp.Sensor{lc(isp.Lambda, 400)}})
		for range 25 { // nobody reads meanwhile
			if _, err := r.pipe.Write(p); err != nil {
				r.Fatal(err)
			}
			time.Sleep(device.Period)
		}
		synctest.Wait()
		r.readFor(time.Second)
		if n := len(r.values("wideband_1_afr")); n != 10 {
			r.Errorf("%d packets", n)
		}
		if s := r.source.Status(); s.Overflow != 90 || r.hints() != innovate.HintOverflow {
			r.Errorf("%d bytes, %s", s.Overflow, r.hints())
		}
		// They arrived at the device's pace, whenever they were read.
		times := r.times("wideband_1_afr")
		if d := times[9] - times[0]; d < 9*81_800 || d > 9*82_000 {
			r.Errorf("%d µs", d)
		}
	})
}

func TestCountsGoOnOverConnections(t *testing.T) {
	inBubble(t, innovate.Settings{}, func(r *rig) {
		p := encode(r, isp.Packet{Sensors: []isp.Sensor{lc(isp.Lambda, 400)}})
		r.send(p, p)
		first := r.batches[0].Set
		r.pipe.Unplug()
		err := r.reader.Read(r.Context(), r.keep)
		if !errors.Is(err, source.ErrLost) {
			r.Error(err)
		}
		_ = r.reader.Close()
		if s := r.source.Status(); s.Port != nil || s.Counters.Packets != 2 || len(s.Hints) != 0 {
			r.Errorf("%+v", s)
		}
		if _, err := r.source.Open(r.Context()); err == nil {
			r.Error("opened what is unplugged")
		}
		if err := r.pipe.Plug(); err != nil {
			r.Fatal(err)
		}
		r.open()
		r.send(p)
		if s := r.source.Status(); s.Counters.Packets != 3 || r.batches[len(r.batches)-1].Set != first {
			r.Errorf("%+v", s)
		}
		if c, ok := r.reader.(source.ByteCounter); !ok || c.BytesReceived() != 6 {
			r.Error("bytes of this connection")
		}
	})
}

// silentPort is a driver that hangs in Read, whatever happens.
type silentPort struct{ letGo chan struct{} }

func (p silentPort) Read([]byte, time.Duration) (int, error) {
	<-p.letGo
	return 0, errRefused
}

func (silentPort) Close() error { return nil }

func (p silentPort) Open(context.Context) (innovate.Port, innovate.PortInfo, error) {
	return p, innovate.PortInfo{Name: "COM6"}, nil
}

// patient is a pipe that remembers how long it was told to wait.
type patient struct {
	innovate.Port
	waits map[time.Duration]bool
}

func (p patient) Read(b []byte, wait time.Duration) (int, error) {
	p.waits[wait] = true
	return p.Port.Read(b, wait)
}

type patientOpener struct {
	*device.Pipe
	waits map[time.Duration]bool
}

func (o patientOpener) Open(ctx context.Context) (innovate.Port, innovate.PortInfo, error) {
	p, info, err := o.Pipe.Open(ctx)
	return patient{p, o.waits}, info, err
}

func TestIntervalIsHowLongALookTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for set, want := range map[time.Duration]time.Duration{0: innovate.DefaultInterval, time.Hour: time.Hour} {
			waits := map[time.Duration]bool{}
			src, err := innovate.New(innovate.Settings{Interval: set}, innovate.Options{Opener: patientOpener{device.NewPipe("COM5"), waits}})
			if err != nil {
				t.Fatal(err)
			}
			r, err := src.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			began := time.Now()
			if err := r.Close(); err != nil || time.Since(began) > time.Second {
				t.Errorf("closed after %v: %v", time.Since(began), err)
			}
			if len(waits) != 1 || !waits[want] {
				t.Errorf("looks of %v", waits)
			}
		}
	})
}

func TestC8CloseEndsADriverThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		driver := silentPort{make(chan struct{})}
		defer close(driver.letGo)
		src, err := innovate.New(innovate.Settings{}, innovate.Options{Opener: driver})
		if err != nil {
			t.Fatal(err)
		}
		r, err := src.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		read := make(chan error, 1)
		go func() { read <- r.Read(t.Context(), func(*sample.Batch) error { return nil }) }()
		synctest.Wait()
		began := time.Now()
		if err := r.Close(); err != nil || time.Since(began) > time.Second {
			t.Error(err, time.Since(began))
		}
		if err := <-read; !errors.Is(err, source.ErrLost) {
			t.Error(err)
		}
	})
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]innovate.Settings{
		"device":        {Device: "LC-3"},
		"sensor":        {Read: []int{0}},
		"sensor number": {Sensors: map[int]innovate.Sensor{128: {}}},
		"multiplier":    {Sensors: map[int]innovate.Sensor{1: {Multiplier: -1}}},
		"fuel":          {Sensors: map[int]innovate.Sensor{1: {Stoichiometric: 0.5}}},
		"place":         {Sensors: map[int]innovate.Sensor{1: {Place: "left"}}},
		"two at front":  {Sensors: map[int]innovate.Sensor{1: {Place: "front"}, 2: {Place: "front"}}},
		"warm-up":       {WarmupTimeout: -1},
		"free air":      {FreeAirAFR: -1},
		"interval":      {Interval: -1},
		"buffer":        {Buffer: -1},
	} {
		if _, err := innovate.New(s, innovate.Options{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for text, want := range map[string]innovate.Device{"": innovate.Auto, "auto": innovate.Auto, "dlg-1": innovate.DLG1, "LM-2": innovate.LM2} {
		if got, err := innovate.ParseDevice(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
