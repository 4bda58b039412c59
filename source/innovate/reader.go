package innovate

import (
	"context"
	"fmt"
	"time"

	"dynotap/sample"
	"dynotap/source"
	"dynotap/source/innovate/isp"
)

const (
	// pause without bytes ends an ISP1 packet: at 19200 baud the longest takes
	// 8 ms, a USB adapter may hand it on in pieces 16 ms apart, and the next one
	// is 74 ms away.
	pause = 40 * time.Millisecond
	// lookAgain bounds how long a port that was looked for may be silent before
	// it is looked for again: the device may have been plugged in elsewhere.
	lookAgain = 10 * time.Second
	// reviewEvery is how often hints are looked at.
	reviewEvery = time.Second
)

// Reader is one connection of a Source.
type Reader struct {
	source *Source
	info   PortInfo
	feed   *feed
	opened int64 // session time, µs
	idle   *time.Timer
	keep   func(*isp.Packet)

	// Guarded by source.mu.
	decoder isp.Decoder
	flow    isp.FlowControl

	// Of the goroutine that reads.
	arrived  int64           // of the bytes that are being decoded
	outbox   []*sample.Batch // complete, in order
	batch    *sample.Batch   // being filled; nil: none
	marks    []mark          // where the samples of each packet of a piece lie
	times    []int64
	changes  []StatusChange
	starts   []bool // of recordings
	reviewed time.Time
}

// mark is where the samples of one packet lie.
type mark struct {
	batch    *sample.Batch
	from, to int
}

func newReader(s *Source, port Port, info PortInfo) *Reader {
	r := &Reader{
		source: s, info: info, opened: s.opts.Session.Micros(), idle: time.NewTimer(0),
		feed: newFeed(port, s.opts.Session, s.settings.Interval, s.settings.Buffer),
	}
	r.keep = r.packet
	return r
}

// Read waits for packets and emits their samples. What one Read could not emit
// the next one does. When the port is lost the error wraps source.ErrLost.
func (r *Reader) Read(ctx context.Context, emit func(*sample.Batch) error) error {
	if now := time.Now(); now.Sub(r.reviewed) >= reviewEvery {
		r.reviewed = now
		r.source.review()
	}
	if len(r.outbox) == 0 {
		if err := r.gather(ctx); err != nil {
			return err
		}
	}
	r.tell()
	for len(r.outbox) > 0 {
		if err := emit(r.outbox[0]); err != nil {
			return err
		}
		r.outbox = r.outbox[1:]
	}
	return nil
}

// gather takes in bytes until there is something to emit or to tell.
func (r *Reader) gather(ctx context.Context) error {
	for len(r.outbox) == 0 && len(r.changes) == 0 && len(r.starts) == 0 {
		if chunks := r.feed.take(); len(chunks) > 0 {
			r.decode(chunks)
			continue
		}
		if wait, limited := r.patience(); !limited {
			r.idle.Stop()
		} else if wait <= 0 {
			return fmt.Errorf("%w: nothing comes from %s, look for the device again", source.ErrLost, r.info.Name)
		} else {
			r.idle.Reset(wait)
		}
		select {
		case <-r.feed.ready:
		case <-r.idle.C:
			r.flush()
		case <-ctx.Done():
			return ctx.Err()
		case <-r.feed.done:
			if chunks := r.feed.take(); len(chunks) > 0 {
				r.decode(chunks)
				continue
			}
			return fmt.Errorf("%w: %w", source.ErrLost, r.feed.failure())
		case <-r.feed.stop:
			return fmt.Errorf("%w: %w", source.ErrLost, errClosed)
		}
	}
	return nil
}

// patience is how long to wait for bytes at most.
func (r *Reader) patience() (wait time.Duration, limited bool) {
	if r.pending() {
		return pause, true
	}
	if !r.info.Detected {
		return 0, false
	}
	_, _, last := r.feed.counts()
	silent := time.Duration(r.source.opts.Session.Micros()-max(last, r.opened)) * time.Microsecond
	return lookAgain - silent, true
}

func (r *Reader) pending() bool {
	r.source.mu.Lock()
	defer r.source.mu.Unlock()
	return r.decoder.Pending()
}

// decode decodes pieces of the stream and puts what they give into the outbox.
func (r *Reader) decode(chunks []chunk) {
	r.source.mu.Lock()
	defer r.source.mu.Unlock()
	for _, c := range chunks {
		if r.arrived > 0 && c.at-r.arrived >= pause.Microseconds() {
			r.decoder.Flush(r.keep)
			r.stamp()
		}
		r.arrived = c.at
		r.decoder.Feed(c.data, r.keep)
		r.flow.Look(c.data, r.decoder.Counters())
		r.stamp()
	}
	r.ship()
}

// flush ends a packet that nothing follows.
func (r *Reader) flush() {
	r.source.mu.Lock()
	defer r.source.mu.Unlock()
	r.decoder.Flush(r.keep)
	r.stamp()
	r.ship()
}

// packet takes in one packet. Called with source.mu held.
func (r *Reader) packet(p *isp.Packet) {
	if p.Answer {
		return
	}
	s := r.source
	set := s.mapper.set
	if !s.mapper.adopt(p) {
		r.marks = append(r.marks, mark{}) // it was sent all the same, so the clock counts it
		return
	}
	s.protocol = p.Protocol
	if s.mapper.set != set || r.batch == nil {
		r.ship()
		r.batch = &sample.Batch{
			Source: s.settings.Name, Set: s.mapper.set, Priority: sample.High,
			Received: r.arrived, Clock: sample.ClockArrival,
		}
		if s.phase.settled() {
			r.batch.Clock = sample.ClockPassive
		}
	}
	from := len(r.batch.Samples)
	r.batch.Samples = s.mapper.samples(r.batch.Samples, p)
	r.marks = append(r.marks, mark{r.batch, from, len(r.batch.Samples)})
	r.look(p)
}

// look follows what the device says of itself. Called with source.mu held.
func (r *Reader) look(p *isp.Packet) {
	s := r.source
	for i := range p.Sensors {
		if change, changed := s.sensors[i].see(i+1, &p.Sensors[i], r.arrived); changed && s.settings.reads(i+1) {
			r.changes = append(r.changes, change)
		}
	}
	if len(p.Aux) == s.mapper.shape.aux {
		s.aux = s.aux[:0]
		for _, a := range p.Aux {
			s.aux = append(s.aux, a.Volts())
		}
	}
	if s.recording.see(p.Recording) {
		r.starts = append(r.starts, p.Recording)
	}
}

// stamp gives the packets that have arrived together their times. Called with
// source.mu held.
func (r *Reader) stamp() {
	if len(r.marks) == 0 {
		return
	}
	r.times = r.source.phase.stamp(r.times, r.arrived, len(r.marks))
	for i, m := range r.marks {
		if m.batch == nil {
			continue
		}
		for k := m.from; k < m.to; k++ {
			m.batch.Samples[k].Time = r.times[i]
		}
	}
	clear(r.marks)
	r.marks = r.marks[:0]
}

// ship puts the batch that was filled into the outbox.
func (r *Reader) ship() {
	if r.batch != nil && len(r.batch.Samples) > 0 {
		r.outbox = append(r.outbox, r.batch)
	}
	r.batch = nil
}

// tell reports what changed.
func (r *Reader) tell() {
	for _, c := range r.changes {
		r.source.opts.Status(c)
	}
	for _, started := range r.starts {
		r.source.opts.Recording(started, r.arrived)
	}
	r.changes, r.starts = r.changes[:0], r.starts[:0]
}

// BytesReceived is what came in since Open.
func (r *Reader) BytesReceived() int64 {
	received, _, _ := r.feed.counts()
	return int64(received)
}

// Close closes the port.
func (r *Reader) Close() error {
	err := r.feed.close()
	r.idle.Stop()
	r.source.closed(r)
	return err
}
