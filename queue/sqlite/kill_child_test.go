package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/queue/sqlite"
	"dynotap/sample"
)

// The phases in which a child is killed. Each is announced before and after.
const (
	atStart      = "start"
	atEnqueue    = "enqueue"
	atProcess    = "process"
	atDeath      = "dead-letter"
	atRetry      = "retry"
	atRevive     = "revive"
	atForget     = "forget"
	atClear      = "clear"
	atCheckpoint = "checkpoint"
	atShutdown   = "shutdown"
)

// victim does everything a queue can do until it is killed, and says so: what
// it writes about an item it writes after the fact. Each item is its own
// source, so that the queue's observer tells of it by name.
type victim struct {
	dir   string
	seed  uint64
	lives uint64    // how often it has opened the queue
	out   io.Writer // lines of a pipe: each is written whole
	db    *db.DB
	q     *queue.Queue
	// named counts items by producer and class.
	named  [victimProducers][sample.Priorities]int
	inHand []string // the phases of the batch that is being processed
	writes atomic.Uint64
}

const (
	victimQueue     = 400 // items
	victimProducers = 3
)

// die is the child's main function.
func die(dir string, seed uint64) {
	v := &victim{dir: dir, seed: seed, out: os.Stdout}
	for ctx := context.Background(); ; v.lives++ {
		v.phase(atStart, func() { v.start(ctx) })
		random := v.random(victimProducers)
		ctx, end := context.WithTimeout(ctx, time.Duration(40+random.IntN(80))*time.Millisecond)
		var producers sync.WaitGroup
		for i := range victimProducers {
			producers.Go(func() { v.produce(ctx, i) })
		}
		v.operate(ctx, random)
		end()
		v.phase(atShutdown, func() {
			v.must(v.q.Stop(context.Background()))
			producers.Wait()
			v.must(v.db.Close())
		})
	}
}

// random is the chance of one goroutine in this life.
func (v *victim) random(goroutine uint64) *rand.Rand {
	return rand.New(rand.NewPCG(v.seed, v.lives<<8|goroutine))
}

func (v *victim) say(verb, what string) {
	if _, err := io.WriteString(v.out, verb+" "+what+"\n"); err != nil {
		os.Exit(3) // nobody listens any more
	}
}

func (v *victim) must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(2)
	}
}

func (v *victim) phase(name string, do func()) {
	v.say("begin", name)
	do()
	v.say("end", name)
}

func (v *victim) start(ctx context.Context) {
	var err error
	v.db, err = db.Open(ctx, v.dir, db.Options{Fsync: true})
	v.must(err)
	settings := queue.Defaults()
	settings.MaxSize, settings.DropOnFull = victimQueue, false
	settings.BatchSize, settings.FlushInterval = 20, time.Millisecond
	settings.MaxRetries, settings.RetryInitial, settings.RetryMax = victimRetries, time.Millisecond, 2*time.Millisecond
	v.q, err = queue.New(teller{sqlite.New(v.db), v}, settings, queue.Options{Observer: v.observe})
	v.must(err)
	v.must(v.q.Start(ctx, v.process))
}

// observe tells what has become durable.
func (v *victim) observe(e queue.Event) {
	if e.From != queue.Nowhere {
		v.say(e.From.String()+">"+e.To.String(), e.Source)
	}
}

// teller tells of every transaction, before it and when it is durable.
type teller struct {
	*sqlite.Driver
	v *victim
}

func (d teller) Apply(ctx context.Context, changes []queue.Change) error {
	return d.tell(changes, func() error { return d.Driver.Apply(ctx, changes) })
}

// ApplyEffects ends what process began.
func (d teller) ApplyEffects(ctx context.Context, changes []queue.Change) error {
	err := d.tell(changes, func() error { return d.Driver.ApplyEffects(ctx, changes) })
	for _, phase := range d.v.inHand {
		d.v.say("end", phase)
	}
	d.v.inHand = d.v.inHand[:0]
	return err
}

func (d teller) tell(changes []queue.Change, do func() error) error {
	number := fmt.Sprint(d.v.writes.Add(1))
	var line strings.Builder
	line.WriteString(number)
	for i := range changes {
		it := changes[i].Item
		fmt.Fprintf(&line, " %s:%s:%d:%s", opOf(&changes[i]), it.Source, it.Attempts, it.ID)
	}
	d.v.say("write", line.String())
	err := do()
	d.v.must(err)
	d.v.say("wrote", number)
	return err
}

func opOf(c *queue.Change) string {
	if c.Op == queue.Remove && c.Effect != nil {
		if fateOf(c.Item.Source) == faulty && c.Item.Attempts == 0 {
			return "leave"
		}
		return "finish"
	}
	return [...]string{queue.Put: "put", queue.Update: "update", queue.Remove: "remove", queue.Bury: "bury", queue.Revive: "revive", queue.Forget: "forget"}[c.Op]
}

// What becomes of an item; every other number: it is done.
const (
	hopeless = iota // rejected
	tried           // fails always
	late            // fails once
	faulty          // its effect fails once
	fates    = 9
)

const victimRetries = 2

// fateOf is decided by the name.
func fateOf(name string) uint32 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, name)
	return h.Sum32() % fates
}

func (v *victim) process(_ context.Context, items []queue.Item) []queue.Result {
	phases := map[string]bool{atProcess: true}
	results := make([]queue.Result, len(items))
	for i := range items {
		name, attempts := nameOf(items[i].Payload), items[i].Attempts
		v.say("attempt", fmt.Sprintf("%s %d", name, attempts))
		fate := fateOf(name)
		switch {
		case fate == hopeless:
			results[i] = queue.Result{Kind: queue.Rejected, Reason: "no"}
			phases[atDeath] = true
		case fate == tried, fate == late && attempts == 0:
			results[i] = queue.Result{Kind: queue.Retry, Err: errors.New("not now")}
			phases[map[bool]string{false: atRetry, true: atDeath}[attempts == victimRetries]] = true
		case fate == faulty && attempts == 0:
			results[i].Effect = func(tx *db.Tx) error { return errors.Join(effect(name)(tx), errors.New("failed")) }
		default:
			results[i].Effect = effect(name)
		}
	}
	for phase := range phases {
		v.say("begin", phase)
		v.inHand = append(v.inHand, phase)
	}
	return results
}

// produce enqueues items of all classes, single ones and groups. Their names
// count within producer and class.
func (v *victim) produce(ctx context.Context, producer int) {
	random := v.random(uint64(producer))
	counts := &v.named[producer]
	for ctx.Err() == nil {
		group := make([]queue.Item, 1)
		if random.IntN(3) == 0 {
			group = make([]queue.Item, 1+random.IntN(40))
		}
		names := make([]string, len(group))
		for i := range group {
			class := random.IntN(sample.Priorities)
			counts[class]++
			names[i] = fmt.Sprintf("%d-%d-%d-%d", os.Getpid(), producer, class, counts[class])
			group[i] = queue.Item{
				Source: names[i], Priority: sample.Priority(class), Samples: 1, Payload: payloadOf(names[i]),
				Metadata: map[string]string{"name": names[i]},
			}
		}
		v.phase(atEnqueue, func() { v.enqueue(ctx, group, names) })
	}
}

func (v *victim) enqueue(ctx context.Context, group []queue.Item, names []string) {
	var ids []queue.ID
	var err error
	if len(group) == 1 {
		ids = make([]queue.ID, 1)
		ids[0], err = v.q.Enqueue(ctx, group[0])
	} else {
		ids, err = v.q.EnqueueAll(ctx, group)
	}
	if err != nil && ctx.Err() == nil {
		v.must(err)
	}
	for i, id := range ids {
		if id != 0 {
			v.say("accepted", names[i]+" "+id.String())
		}
	}
}

// payloadOf is as long as its name says, mostly short.
func payloadOf(name string) []byte {
	length := 20 + int(fateOf(name+"?"))*30
	if fateOf(name+"!") == 0 {
		length = 3000
	}
	return []byte(name + " " + strings.Repeat(name, length/len(name)+1))
}

// operate does what users and the database do besides.
func (v *victim) operate(ctx context.Context, random *rand.Rand) {
	raw, err := sqlite3.Open(filepath.Join(v.dir, db.FileName))
	v.must(err)
	defer func() {
		if err := raw.Close(); err != nil {
			v.must(fmt.Errorf("close the second connection: %w", err))
		}
	}()
	v.must(raw.BusyTimeout(time.Second))
	all := context.Background()
	for ctx.Err() == nil {
		switch random.IntN(10) {
		case 0, 1:
			v.phase(atRevive, func() { v.bearFull(v.one(all, v.q.Revive)) })
		case 2:
			v.phase(atRevive, func() {
				_, err := v.q.ReviveAll(all, queue.Filter{Reason: queue.ReasonExhausted})
				v.bearFull(err)
			})
		case 3:
			v.phase(atForget, func() { v.must(v.one(all, v.q.Forget)) })
		case 4:
			v.phase(atForget, func() {
				_, err := v.q.ForgetAll(all, queue.Filter{Reason: "no"})
				v.must(err)
			})
		case 5:
			v.phase(atClear, func() {
				_, err := v.q.Clear(all)
				v.must(err)
			})
		default:
			v.phase(atCheckpoint, func() { checkpoints(raw, random) })
		}
	}
}

// checkpoints makes many, while others write: each by itself is short. Busy is
// no failure.
func checkpoints(raw *sqlite3.Conn, random *rand.Rand) {
	modes := []sqlite3.CheckpointMode{sqlite3.CHECKPOINT_PASSIVE, sqlite3.CHECKPOINT_RESTART, sqlite3.CHECKPOINT_TRUNCATE}
	for began := time.Now(); time.Since(began) < 3*time.Millisecond; {
		_, _, _ = raw.WALCheckpoint("main", modes[random.IntN(len(modes))])
	}
}

// one does something with the oldest dead letter, if there is any.
func (v *victim) one(ctx context.Context, do func(context.Context, queue.ID) error) error {
	letters, err := v.q.DeadLetters(ctx, queue.Filter{}, 0, 1)
	if err != nil || len(letters) == 0 {
		return err
	}
	return do(ctx, letters[0].ID)
}

func (v *victim) bearFull(err error) {
	if !errors.Is(err, queue.ErrFull) {
		v.must(err)
	}
}
