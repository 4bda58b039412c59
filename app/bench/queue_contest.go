package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"dynotap/sample"
)

// work is what is timed.
type work int

const (
	enqueue work = iota
	dequeue      // lease and settle: gone for good, also from the disk
	move         // the same, and stored as a chunk in the same transaction
	works
)

var workNames = [works]string{"enqueue", "dequeue", "move to chunk"}

// keeper keeps items in one way: as the queue does, as a bare loop over the
// same engine, or as a plain file. It works in groups, each durable before the
// next.
type keeper interface {
	put() error
	take(w work) error // dequeue or move
	tidy() error       // removes what was moved; not timed
	close() error
}

// contest is one setting under which keepers are compared.
type contest struct {
	payload, group int
	moves          bool // measure move too
	mixed          bool // priorities in turn
	least          time.Duration
	row            int // items put before they are taken, at least
}

func (c contest) works() []work {
	if c.moves {
		return []work{enqueue, dequeue, move}
	}
	return []work{enqueue, dequeue}
}

// cycle is how many groups are put before they are taken: enough that the
// clock does not count, few enough that nothing grows.
func (c contest) cycle() int { return max(4, c.row/c.group) }

// tally is what one keeper has done in a round.
type tally struct {
	took   [works]time.Duration
	groups [works]int
}

// run puts and takes in turn, until each work has taken so long in this round.
func (c contest) run(k keeper, t *tally, least time.Duration) error {
	runtime.GC() // each pays for its own garbage
	for !c.enough(t, least) {
		taking := dequeue
		if c.moves && t.took[move] < t.took[dequeue] {
			taking = move
		}
		put, err := timed(c.cycle(), k.put)
		if err != nil {
			return err
		}
		taken, err := timed(c.cycle(), func() error { return k.take(taking) })
		if err != nil {
			return err
		}
		if err := k.tidy(); err != nil {
			return err
		}
		t.took[enqueue] += put
		t.groups[enqueue] += c.cycle()
		t.took[taking] += taken
		t.groups[taking] += c.cycle()
	}
	return nil
}

// patience bounds a round by all that is done in it: what takes next to no
// time beside another work is then timed for less.
const patience = 4

func (c contest) enough(t *tally, least time.Duration) bool {
	var all time.Duration
	enough := true
	for _, w := range c.works() {
		all += t.took[w]
		enough = enough && t.took[w] >= least
	}
	return enough || all >= patience*least && t.took[dequeue] > 0
}

// rate gives items/s.
func (t *tally) rate(w work, group int) float64 {
	return float64(t.groups[w]*group) / t.took[w].Seconds()
}

func timed(n int, do func() error) (time.Duration, error) {
	start := time.Now()
	for range n {
		if err := do(); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// mostChunks are kept until they are tidied away.
func (c contest) mostChunks() int { return 32 * c.row }

// priority of the item at a place in its group.
func (c contest) priority(at int) sample.Priority {
	if c.mixed {
		return sample.Priority(at % sample.Priorities)
	}
	return sample.Normal
}

func (c contest) body() []byte { return bytes.Repeat([]byte{7}, c.payload) }

// errMissing says that what was put and what was taken do not add up: no
// figure would mean anything.
var errMissing = errors.New("items are missing")

func expect(what string, got, want int) error {
	if got != want {
		return fmt.Errorf("%w: %d of %d %s", errMissing, got, want, what)
	}
	return nil
}

// fileKeeper appends to plain files and flushes them after each group: the
// least that a disk must do for the same promise.
type fileKeeper struct {
	contest
	items, gone, chunks *os.File
	group, ids, read    []byte
	written, taken      int64
}

const (
	// fileHeader is id and length before each item.
	fileHeader = 12
	// fileMost bounds the files.
	fileMost = 256 << 20
)

func (b *queueBench) openFile(c contest) (keeper, error) {
	if b.backend == MemoryBackend {
		return nil, nil
	}
	dir, err := b.place()
	if err != nil {
		return nil, err
	}
	k := &fileKeeper{contest: c}
	for _, f := range []struct {
		name string
		file **os.File
	}{{"items", &k.items}, {"gone", &k.gone}, {"chunks", &k.chunks}} {
		if *f.file, err = os.OpenFile(dir+"/"+f.name, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
			return nil, errors.Join(err, k.close())
		}
	}
	item := append(make([]byte, fileHeader), c.body()...)
	k.group = bytes.Repeat(item, c.group)
	k.ids = make([]byte, 8*c.group)
	k.read = make([]byte, len(k.group))
	return k, nil
}

func (k *fileKeeper) put() error {
	k.written += int64(len(k.group))
	return appendDurably(k.items, k.group)
}

// take reads the group back and writes down that it is gone; a moved group
// carries the ids along.
func (k *fileKeeper) take(w work) error {
	if _, err := k.items.ReadAt(k.read, k.taken); err != nil {
		return err
	}
	k.taken += int64(len(k.read))
	if w == move {
		return appendDurably(k.chunks, k.read)
	}
	return appendDurably(k.gone, k.ids)
}

func (k *fileKeeper) tidy() error {
	if k.written < fileMost {
		return nil
	}
	k.written, k.taken = 0, 0
	return errors.Join(k.items.Truncate(0), k.gone.Truncate(0), k.chunks.Truncate(0))
}

func (k *fileKeeper) close() error {
	var errs []error
	for _, f := range []*os.File{k.items, k.gone, k.chunks} {
		if f != nil {
			errs = append(errs, f.Close(), os.Remove(f.Name()))
		}
	}
	return errors.Join(errs...)
}

func appendDurably(f *os.File, data []byte) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	return syncData(f)
}
