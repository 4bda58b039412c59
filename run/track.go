package run

import "math"

// openCells is how many cells of a track can wait for late samples at once.
const openCells = reorderCells + 1

// decay lets a track's weight, the number of its samples, fade within some ten
// seconds.
const decay = 0.99

// cell is the samples of one channel within a tenth of a second.
type cell struct {
	Sum         float64
	N           int64
	First, Last int64 // times, µs
}

// track is what the detector keeps of one channel.
type track struct {
	Input  Input
	Open   [openCells]cell // by cell number modulo
	Weight float64
	At     int64 // the newest cell looked at that had a sample
	Cell   cell  // that cell
}

func newTrack(in Input) *track { return &track{Input: in, At: math.MinInt64} }

func (tr *track) add(c, t int64, value float64) {
	o := &tr.Open[index(c)]
	if o.N == 0 {
		*o = cell{First: t, Last: t}
	}
	o.First, o.Last = min(o.First, t), max(o.Last, t)
	o.Sum += value
	o.N++
}

// close takes cell c over.
func (tr *track) close(c int64) {
	o := &tr.Open[index(c)]
	tr.Weight = tr.Weight*decay + float64(o.N)
	if o.N > 0 {
		tr.Cell, tr.At = *o, c
		*o = cell{}
	}
}

// forget drops everything but what the channel is.
func (tr *track) forget() { *tr = *newTrack(tr.Input) }

// fresh reports whether the track had a sample in the second before cell c.
func (tr *track) fresh(c int64) bool { return tr != nil && tr.At >= c-gapCells }

// value is the mean of the newest cell.
func (tr *track) value() float64 { return tr.Cell.Sum / float64(tr.Cell.N) }

func index(c int64) int64 { return ((c % openCells) + openCells) % openCells }
