package csv

import (
	"fmt"

	"dynotap/format"
)

// timeOrder is how the times of a run follow each other. A clock that begins anew,
// as of a logger that was started again without a header, begins another run; one
// time that is off does not, so that two rows must say it.
type timeOrder struct {
	begun       bool
	first, last int64 // time of the run's first row, and the latest so far
	line, at    int64 // of the row that may be another run's first; line 0: none
	warned      bool
}

// step is how far a clock goes back at least that begins anew, in µs, and how
// far from its first time it may do so.
const step = 1e6

// runsOn takes a row's time where the row just follows the one before.
func (o *timeOrder) runsOn(us int64) bool {
	if !o.begun || o.line > 0 || us < o.last {
		return false
	}
	o.last = us
	return true
}

// ordered takes the time of any row before its values are, and gives the time in
// the run to which the row belongs.
func (r *reader) ordered(us int64) (int64, error) {
	o := &r.order
	switch {
	case r.long != nil: // its rows may be in the order of their channels
		return us, nil
	case !o.begun:
		o.begun, o.first, o.last = true, us, us
		return us, nil
	case o.line > 0 && us >= o.at && us < o.last:
		return r.restart(us)
	case o.line > 0:
		r.wentBack()
	}
	if us >= o.last {
		o.last = us
		return us, nil
	}
	o.line, o.at = r.rows.Line(), us
	anew := (r.times.form == elapsed || r.times.form == clock) && us <= o.first+step && o.last-us > step
	if !anew || 2*len(r.plan) > format.MaxSamples {
		r.wentBack()
		return us, nil
	}
	return us, r.flush() // what follows may be another run's
}

// wentBack says that a time before others was no other run's first.
func (r *reader) wentBack() {
	if !r.order.warned {
		r.sink.Warn(fmt.Sprintf("line %d: times go back: the samples are kept and put in order", r.order.line))
	}
	r.order.warned, r.order.line = true, 0
}

// restart begins another run with the row before, whose samples wait, and the
// one in hand.
func (r *reader) restart(us int64) (int64, error) {
	o := r.order
	r.sink.Warn(fmt.Sprintf("line %d: the times begin anew: so does another run", o.line))
	if err := r.sink.Begin(r.run); err != nil {
		return 0, err
	}
	if r.times.form == clock { // counted from the run's first row
		r.times.first += o.at
		for i := range r.samples {
			r.samples[i].Time -= o.at
		}
		us, o.at = us-o.at, 0
	}
	r.order = timeOrder{begun: true, first: o.at, last: us, warned: o.warned}
	return us, nil
}
