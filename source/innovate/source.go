package innovate

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"dynotap/internal/clock"
	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/innovate/isp"
)

// Options are what a source works with; Opener is needed.
type Options struct {
	Opener  Opener
	Logger  *slog.Logger
	Session *clock.Session
	// Status is called when a sensor begins to say something else, Recording
	// when the device begins or ends its own log; both from Read, before the
	// batches of that unit of work are emitted.
	Status    func(StatusChange)
	Recording func(started bool, at int64)
}

// Source is one device or chain on one port. What it knows of the chain
// outlives its connections. It is safe for concurrent use.
type Source struct {
	settings Settings
	opts     Options

	mu        sync.Mutex
	reader    *Reader // the newest; nil before the first
	open      bool    // the newest is open
	mapper    mapper
	phase     phase
	sensors   [MaxSensors]watched
	aux       []float64
	protocol  isp.Protocol
	recording steady
	former    isp.Counters    // of closed connections
	overflow  uint64          // of closed connections
	hinted    map[string]bool // hints that were logged and hold on
}

// steady is a flag that changes when enough packets in a row say so.
type steady struct {
	on      bool
	against int
}

func (s *steady) see(on bool) (changed bool) {
	if on == s.on {
		s.against = 0
		return false
	}
	if s.against++; s.against < confirmAfter {
		return false
	}
	s.on, s.against = on, 0
	return true
}

// New makes a source that has no connection yet. The error names what is wrong
// with the settings.
func New(settings Settings, opts Options) (*Source, error) {
	if err := settings.Validate(); err != nil {
		return nil, fmt.Errorf("innovate: %w", err)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Session == nil {
		opts.Session = clock.New()
	}
	if opts.Status == nil {
		opts.Status = func(StatusChange) {}
	}
	if opts.Recording == nil {
		opts.Recording = func(bool, int64) {}
	}
	s := &Source{settings: settings.withDefaults(), opts: opts, hinted: map[string]bool{}}
	s.mapper.settings = &s.settings
	return s, nil
}

// Open opens the port.
func (s *Source) Open(ctx context.Context) (source.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	port, info, err := s.opts.Opener.Open(ctx)
	if err != nil {
		return nil, err
	}
	s.opts.Logger.Debug("port open", "port", info.Name, "adapter", info.Product)
	r := newReader(s, port, info)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader, s.open = r, true
	s.phase = phase{given: s.phase.given, begun: s.phase.begun}
	return r, nil
}

// closed takes over the counts of a reader.
func (s *Source) closed(r *Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r != s.reader || !s.open {
		return
	}
	s.open = false
	s.former.Add(r.decoder.Counters())
	_, dropped, _ := r.feed.counts()
	s.overflow += dropped
}

// Status gives everything about the source at this moment.
func (s *Source) Status() Status {
	now := s.opts.Session.Micros()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Status{
		Protocol: s.protocol.String(), Device: identify(s.protocol, &s.mapper.shape), Recording: s.recording.on,
		Counters: s.former, Overflow: s.overflow, Unsettled: s.mapper.unsettled,
		Sensors: []SensorStatus{}, Aux: append([]float64{}, s.aux...), Hints: s.hints(now),
	}
	if s.settings.Device != Auto && s.settings.Device.couldBe(s.protocol, &s.mapper.shape) {
		out.Device = string(s.settings.Device)
	}
	if s.open {
		info := s.reader.info
		out.Port = &info
		out.Counters.Add(s.reader.decoder.Counters())
		_, dropped, last := s.reader.feed.counts()
		out.Overflow += dropped
		if last > 0 {
			at := sample.Time(last)
			out.LastByte = &at
		}
	}
	for i := range s.mapper.shape.sensors {
		if s.settings.reads(i + 1) {
			out.Sensors = append(out.Sensors, s.sensors[i].status(i+1, &s.settings))
		}
	}
	return out
}

// hints says what is wrong at present. Called with mu held.
func (s *Source) hints(now int64) []Hint {
	out := []Hint{}
	if !s.open {
		return out
	}
	r := s.reader
	received, dropped, last := r.feed.counts()
	switch silent := time.Duration(now-max(last, r.opened)) * time.Microsecond; {
	case silent <= silentAfter:
	case received == 0:
		out = append(out, Hint{HintSilent, fmt.Sprintf(
			"nothing comes from %s: is the device on, and is this its port?", r.info.Name)})
	default:
		out = append(out, Hint{HintSilent, fmt.Sprintf(
			"nothing has come from %s for %v: is the device still on?", r.info.Name, silent.Round(time.Second))})
	}
	out = append(out, streamHints(r.decoder.Counters(), r.flow.Damage())...)
	if dropped > 0 {
		out = append(out, Hint{HintOverflow, fmt.Sprintf(
			"%d bytes were dropped because the queue took no more: raise buffer_size or look at the queue", dropped)})
	}
	if s.mapper.set != nil && !s.settings.Device.couldBe(s.protocol, &s.mapper.shape) {
		out = append(out, Hint{HintDevice, fmt.Sprintf(
			"device_type is %s, and what speaks is %s", s.settings.Device, identify(s.protocol, &s.mapper.shape))})
	}
	for i := range s.mapper.shape.sensors {
		if n := i + 1; s.settings.reads(n) && s.sensors[i].known {
			if text := s.sensors[i].hint(n, &s.settings, now); text != "" {
				out = append(out, Hint{fmt.Sprintf("%s_%d", HintSensor, n), text})
			}
		}
	}
	return out
}

// review logs each hint once, when it begins to hold.
func (s *Source) review() {
	now := s.opts.Session.Micros()
	s.mu.Lock()
	hints := s.hints(now)
	var fresh []Hint
	holds := make(map[string]bool, len(hints))
	for _, h := range hints {
		if holds[h.Code] = true; !s.hinted[h.Code] {
			fresh = append(fresh, h)
		}
	}
	s.hinted = holds
	s.mu.Unlock()
	for _, h := range fresh {
		s.opts.Logger.Warn(h.Text, "hint", h.Code)
	}
}
