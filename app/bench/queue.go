package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The backends of the queue that are measured.
const (
	MemoryBackend = "memory"
	SQLiteBackend = "sqlite"
)

// QueueOptions say what Queue measures.
type QueueOptions struct {
	Backend string // MemoryBackend or SQLiteBackend
	Dir     string // the files go into a new directory below it; "": the system's temporary directory
	Rounds  int
	// Quick looks only whether everything can be measured: its figures mean
	// nothing.
	Quick bool
}

// extent is how much is done; the figures hang on nothing but its being
// enough.
type extent struct {
	round     time.Duration // least time of each work in a round
	cycle     int           // items put before they are taken, at least
	groups    []int
	payloads  []int
	few, many int // waiting items, between which the rates are compared
	reuse     int // items put into the drained file
	offer     time.Duration
}

func (o QueueOptions) extent() extent {
	if o.Quick {
		return extent{
			round: time.Millisecond, cycle: 32, groups: []int{1, targetGroup}, payloads: []int{smallPayload},
			few: 300, many: 6000, reuse: 1000, offer: 50 * time.Millisecond,
		}
	}
	return extent{
		round: 200 * time.Millisecond, cycle: 256, groups: []int{1, 32, targetGroup, 1024}, payloads: []int{smallPayload, 1700},
		few: 1000, many: 1_000_000, reuse: 200_000, offer: 1500 * time.Millisecond,
	}
}

const (
	smallPayload = 200
	// targetGroup is the group that the ratios' target is about.
	targetGroup = 256
	// bareTarget is the least ratio to the bare loop over the same engine.
	bareTarget = 0.7
	// memoryTarget is items/s into and out of the memory backend.
	memoryTarget = 2e6
)

// Queue measures the queue over one of its backends: enqueue, dequeue and
// move, each beside a bare loop over the same engine and a plain file in turn,
// then many producers, latency under an offered load, and a million waiting
// items. The directory that it made is removed.
func Queue(opts QueueOptions) (_ Report, err error) {
	report := newReport("queue", opts.Rounds)
	report.Backend = opts.Backend
	if opts.Backend != MemoryBackend && opts.Backend != SQLiteBackend {
		return report, fmt.Errorf("there is no backend %q", opts.Backend)
	}
	dir, err := os.MkdirTemp(opts.Dir, "dynotap-bench-")
	if err != nil {
		return report, fmt.Errorf("make a directory for the files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &queueBench{backend: opts.Backend, dir: dir, rounds: opts.Rounds, extent: opts.extent()}
	parts := []func() ([]Result, error){b.many, b.table, b.allocations}
	if opts.Backend == SQLiteBackend {
		parts = []func() ([]Result, error){b.million, b.table, b.producers, b.latency}
		if report.Directory, err = filepath.Abs(filepath.Dir(dir)); err != nil {
			return report, err
		}
		report.FileSystem, report.Note = fileSystem(dir)
	}
	if opts.Quick {
		report.Note = "a trial: these figures mean nothing"
	}
	for _, part := range parts {
		results, err := part()
		report.Results = append(report.Results, results...)
		if err != nil {
			return report, err
		}
	}
	for i := range report.Results {
		report.Results[i].judge()
	}
	return report, nil
}

// queueBench measures one backend.
type queueBench struct {
	backend string
	dir     string
	rounds  int
	made    int // directories
	extent
}

// place makes a new directory for one keeper.
func (b *queueBench) place() (string, error) {
	b.made++
	dir := filepath.Join(b.dir, fmt.Sprintf("%03d", b.made))
	return dir, os.Mkdir(dir, 0o700)
}

// table measures each work for each payload and group.
func (b *queueBench) table() ([]Result, error) {
	var results []Result
	for _, payload := range b.payloads {
		for _, group := range b.groups {
			r, err := b.compare(contest{payload: payload, group: group, moves: b.moved(group)})
			results = append(results, r...)
			if err != nil {
				return results, err
			}
		}
		r, err := b.compare(contest{payload: payload, group: targetGroup, mixed: true})
		results = append(results, r...)
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

// moved: a processor is handed some hundred items at most.
func (b *queueBench) moved(group int) bool {
	return b.backend == SQLiteBackend && group > 1 && group <= targetGroup
}

// turns is how often the keepers take turns in a round, so that what disturbs
// the machine disturbs all of them.
const turns = 4

// compare runs the keepers in turn.
func (b *queueBench) compare(c contest) (results []Result, err error) {
	c.least, c.row = b.round, b.cycle
	keepers, err := b.open(c)
	defer func() {
		for _, k := range keepers {
			err = errors.Join(err, k.close())
		}
	}()
	if err != nil {
		return nil, err
	}
	var rates [works][3][]float64 // by work, keeper and round
	for round := range b.rounds + 1 {
		tallies := make([]tally, len(keepers))
		for part := range turns {
			for i, k := range keepers {
				if err := c.run(k, &tallies[i], c.least*time.Duration(part+1)/turns); err != nil {
					return nil, fmt.Errorf("group of %d items of %d bytes: %w", c.group, c.payload, err)
				}
			}
			if round == 0 {
				break // it only warms
			}
		}
		for i := range tallies {
			for _, w := range c.works() {
				if round > 0 {
					rates[w][i] = append(rates[w][i], tallies[i].rate(w, c.group))
				}
			}
		}
	}
	for _, w := range c.works() {
		results = append(results, b.row(c, w, rates[w]))
	}
	return results, nil
}

// open gives the queue, the bare loop and, where there is a disk, the plain
// file.
func (b *queueBench) open(c contest) (keepers []keeper, err error) {
	for _, open := range []func(contest) (keeper, error){b.openQueue, b.openBare, b.openFile} {
		k, err := open(c)
		if err != nil {
			return keepers, err
		}
		if k != nil {
			keepers = append(keepers, k)
		}
	}
	return keepers, nil
}

func (b *queueBench) row(c contest, w work, rates [3][]float64) Result {
	ours, bare, file := rates[0], rates[1], rates[2]
	name := workNames[w]
	if c.mixed {
		name += ", mixed priorities"
	}
	r := beside(result(name, "items/s", ours), ours, bare)
	r.Group, r.PayloadBytes = c.group, c.payload
	if len(file) > 0 {
		r.FileMedian, r.RatioToFile = medianOf(file), medianOf(ratios(ours, file))
	}
	switch {
	case c.mixed:
	case b.backend == MemoryBackend && c.payload == smallPayload:
		r = r.wanted(memoryTarget)
	case b.backend == SQLiteBackend && c.group == targetGroup:
		least := bareTarget
		r.RatioTarget = &least
	}
	return r
}

// ratios of the rounds.
func ratios(ours, others []float64) []float64 {
	out := make([]float64, 0, len(others))
	for i := range others {
		out = append(out, ours[i]/others[i])
	}
	return out
}

// beside adds what the bare loop reached in the same rounds.
func beside(r Result, ours, bare []float64) Result {
	r = r.against(ratios(ours, bare))
	r.BareMedian = medianOf(bare)
	return r
}
