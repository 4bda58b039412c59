package store

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"

	"dynotap/sample"
)

const (
	// spooledBytes is what a sample takes in a spool: time, value, quality.
	spooledBytes = 8 + 8 + 1
	// spoolMemory is about what a spool holds in memory, all channels together.
	spoolMemory = 4 << 20
	// smallestBlock and largestBlock bound what of one channel lies together in
	// the file, in samples.
	smallestBlock, largestBlock = 64, 4096
)

// spool sorts samples by channel in a temporary file: each channel has blocks
// of its own, so that one pass over the chunks does for all channels and
// little is in memory. The file lives for a second or so and is never synced.
type spool struct {
	file   *os.File
	end    int64
	block  int // bytes
	lanes  []lane
	buffer []byte
}

// lane is one channel's share.
type lane struct {
	blocks  []int64 // where in the file its full blocks begin
	pending []byte
}

func newSpool(path string, channels int) (*spool, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create temporary file: %w", err)
	}
	samples := spoolMemory / spooledBytes / max(1, channels)
	s := &spool{file: file, lanes: make([]lane, channels)}
	s.block = min(max(samples, smallestBlock), largestBlock) * spooledBytes
	s.buffer = make([]byte, s.block)
	return s, nil
}

func (s *spool) add(channel int, sm *sample.Sample) error {
	l := &s.lanes[channel]
	if l.pending == nil {
		l.pending = make([]byte, 0, s.block)
	}
	l.pending = binary.LittleEndian.AppendUint64(l.pending, uint64(sm.Time))
	l.pending = binary.LittleEndian.AppendUint64(l.pending, math.Float64bits(sm.Value))
	l.pending = append(l.pending, byte(sm.Quality))
	if len(l.pending) < s.block {
		return nil
	}
	if _, err := s.file.WriteAt(l.pending, s.end); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	l.blocks = append(l.blocks, s.end)
	s.end += int64(len(l.pending))
	l.pending = l.pending[:0]
	return nil
}

// load appends a channel's samples at the times from <= t <= to to points, in
// the order in which they were added.
func (s *spool) load(channel int, from, to int64, points []Point) ([]Point, error) {
	l := &s.lanes[channel]
	for _, at := range l.blocks {
		if _, err := s.file.ReadAt(s.buffer, at); err != nil {
			return points, fmt.Errorf("read temporary file: %w", err)
		}
		points = appendSpooled(points, s.buffer, from, to)
	}
	return appendSpooled(points, l.pending, from, to), nil
}

func appendSpooled(points []Point, block []byte, from, to int64) []Point {
	for ; len(block) >= spooledBytes; block = block[spooledBytes:] {
		at := int64(binary.LittleEndian.Uint64(block))
		if at < from || at > to {
			continue
		}
		points = append(points, Point{
			Time: at, Value: math.Float64frombits(binary.LittleEndian.Uint64(block[8:])), Quality: sample.Quality(block[16]),
		})
	}
	return points
}

// remove ends the spool.
func (s *spool) remove() {
	_ = s.file.Close() // its content is of no more use
	_ = os.Remove(s.file.Name())
}
