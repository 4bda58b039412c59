package sqlite_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"dynotap/queue"
	"dynotap/sample"
)

// place is where an item is.
type place string

const (
	nowhere place = "not there yet"
	waits   place = "in the queue"
	dead    place = "a dead letter"
	gone    place = "gone for good"
)

// story is what must be true of one item.
type story struct {
	id       queue.ID
	place    place
	attempts int
	effects  int
	revived  int // in which life the last time
}

// step is one change of a transaction, as a victim told it before.
type step struct {
	op, name string
	attempts int
	id       queue.ID
}

// moves are what a step does.
var moves = map[string]struct {
	from, to place
	effects  int
}{
	"put":    {nowhere, waits, 0},
	"update": {waits, waits, 0},
	"leave":  {waits, waits, 0}, // its effect failed
	"finish": {waits, gone, 1},
	"remove": {waits, gone, 0},
	"bury":   {waits, dead, 0},
	"revive": {dead, waits, 0},
	"forget": {dead, gone, 0},
}

// killer holds a directory to everything its victims ever said.
type killer struct {
	t        *testing.T
	random   *rand.Rand
	dir      string
	items    map[string]*story
	highest  uint64 // sequence number ever put
	accepted int
	lives    int               // how often a victim has opened the queue
	died     map[string]int    // kills by the phases they hit
	open     map[string]int    // phases that the victim is in, how often
	writing  map[string][]step // its transactions that are not known to be durable, by number
	// first is the last item of each class that came out for the first time
	// in this life.
	first [sample.Priorities]queue.ID
}

func newKiller(t *testing.T, random *rand.Rand) *killer {
	t.Helper()
	return &killer{t: t, random: random, dir: t.TempDir(), items: map[string]*story{}, died: map[string]int{}}
}

// begin expects a new victim.
func (k *killer) begin() { k.open, k.writing = map[string]int{}, map[string][]step{} }

func (k *killer) story(name string) *story {
	s := k.items[name]
	if s == nil {
		s = &story{place: nowhere}
		k.items[name] = s
	}
	return s
}

// hear takes in one line.
func (k *killer) hear(verb, what string) {
	name, rest, _ := strings.Cut(what, " ")
	switch verb {
	case "begin":
		k.open[what]++
		if what == atStart {
			k.lives++
			clear(k.first[:])
		}
	case "end":
		if k.open[what]--; k.open[what] == 0 {
			delete(k.open, what)
		}
	case "write":
		for word := range strings.FieldsSeq(rest) {
			k.writing[name] = append(k.writing[name], k.step(word))
		}
	case "wrote":
		for _, s := range k.writing[name] {
			k.carryOut(s)
		}
		delete(k.writing, name)
	case "accepted":
		k.accepted++
		if s := k.story(name); s.place == nowhere || s.id.String() != rest {
			k.t.Errorf("%s was accepted as %s; it is %s, its id %s", name, rest, s.place, s.id)
		}
	case "attempt":
		k.attempt(name, rest)
	default:
		to, ok := map[string]place{
			"queued>processed": gone, "queued>discarded": gone, "dead>discarded": gone, "queued>dead": dead, "dead>queued": waits,
		}[verb]
		if s := k.story(name); !ok || s.place != to {
			k.t.Errorf("the queue says %s of %s; it is %s", verb, name, s.place)
		}
	}
}

func (k *killer) step(word string) step {
	part := strings.Split(word, ":")
	if len(part) != 4 {
		k.t.Fatalf("the child wrote %q", word)
	}
	s := step{op: part[0], name: part[1], attempts: k.number(part[2])}
	var err error
	if s.id, err = queue.ParseID(part[3]); err != nil {
		k.t.Fatal(err)
	}
	return s
}

func (k *killer) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		k.t.Fatal(err)
	}
	return n
}

// carryOut changes what must be true.
func (k *killer) carryOut(do step) {
	s, move := k.story(do.name), moves[do.op]
	if s.place != move.from {
		k.t.Errorf("%s of %s, which is %s", do.op, do.name, s.place)
	}
	if do.op == "put" {
		if do.id.Sequence() <= k.highest {
			k.t.Errorf("%s got the number %d, %d was given before", do.name, do.id.Sequence(), k.highest)
		}
		s.id, k.highest = do.id, max(k.highest, do.id.Sequence())
	}
	if do.id != s.id {
		k.t.Errorf("%s of %s, whose id is %s and not %s", do.op, do.name, s.id, do.id)
	}
	s.place, s.attempts = move.to, do.attempts
	s.effects += move.effects
	if do.op == "revive" {
		s.revived = k.lives
	}
}

// attempt: an item was handed to the processor.
func (k *killer) attempt(name, attempts string) {
	s := k.story(name)
	if s.place != waits || s.attempts != k.number(attempts) {
		k.t.Errorf("%s came with %s attempts; it is %s with %d", name, attempts, s.place, s.attempts)
	}
	if s.attempts > 0 || s.revived == k.lives {
		return // it came back to its place, which others have passed
	}
	if last := &k.first[s.id.Class()]; s.id <= *last {
		k.t.Errorf("%s (%s) came after %s", name, s.id, *last)
	} else {
		*last = s.id
	}
}
