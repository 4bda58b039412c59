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
	atForget     = "forget"
	atClear      = "clear"
	atCheckpoint = "checkpoint"
	atShutdown   = "shutdown"
)

// victim does everything a queue can do until it is killed, and says so: what
// it writes about an item it writes after the fact. Each item is its own
// source, so that the queue's observer tells of it by name.
type victim struct {
	dir string
	out io.Writer // lines of a pipe: each is written whole
	db  *db.DB
	q   *queue.Queue
	// named counts items by producer and class.
	named [victimProducers][sample.Priorities]int
}

const (
	victimQueue     = 400 // items
	victimProducers = 3
)

// die is the child's main function.
func die(dir string) {
	v := &victim{dir: dir, out: os.Stdout}
	for ctx := context.Background(); ; {
		v.phase(atStart, func() { v.start(ctx) })
		ctx, end := context.WithTimeout(ctx, time.Duration(40+rand.IntN(80))*time.Millisecond)
		var producers sync.WaitGroup
		for i := range victimProducers {
			producers.Go(func() { v.produce(ctx, i) })
		}
		v.operate(ctx)
		end()
		v.phase(atShutdown, func() {
			v.must(v.q.Stop(context.Background()))
			producers.Wait()
			v.must(v.db.Close())
		})
	}
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
	settings.MaxRetries, settings.RetryInitial, settings.RetryMax = 2, time.Millisecond, 2*time.Millisecond
	v.q, err = queue.New(sqlite.New(v.db), settings, queue.Options{Observer: v.observe})
	v.must(err)
	v.must(v.q.Start(ctx, v.process))
}

// observe tells what has become durable.
func (v *victim) observe(e queue.Event) {
	if e.From != queue.Nowhere {
		v.say(e.From.String()+">"+e.To.String(), e.Source)
	}
}

// process decides by the name what becomes of an item.
func (v *victim) process(_ context.Context, items []queue.Item) []queue.Result {
	v.say("begin", atProcess)
	results := make([]queue.Result, len(items))
	dies := false
	for i := range items {
		name := nameOf(items[i].Payload)
		v.say("attempt", fmt.Sprintf("%s %d", name, items[i].Attempts))
		switch fate := fateOf(name); {
		case fate == 0:
			results[i], dies = queue.Result{Kind: queue.Rejected, Reason: "no"}, true
		case fate == 1, fate == 2 && items[i].Attempts == 0:
			results[i] = queue.Result{Kind: queue.Retry, Err: errors.New("not now")}
			dies = dies || items[i].Attempts == 2
		default:
			results[i].Effect = effect(name)
		}
	}
	if dies {
		v.say("begin", atDeath)
	}
	return results
}

// fateOf is 0: rejected, 1: fails always, 2: fails once, otherwise done.
func fateOf(name string) uint32 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, name)
	return h.Sum32() % 8
}

// produce enqueues items of all classes, single ones and groups. Their names
// count within producer and class.
func (v *victim) produce(ctx context.Context, producer int) {
	counts := &v.named[producer]
	for ctx.Err() == nil {
		group := make([]queue.Item, 1)
		if rand.IntN(3) == 0 {
			group = make([]queue.Item, 1+rand.IntN(40))
		}
		names := make([]string, len(group))
		for i := range group {
			class := rand.IntN(sample.Priorities)
			counts[class]++
			names[i] = fmt.Sprintf("%d-%d-%d-%d", os.Getpid(), producer, class, counts[class])
			group[i] = queue.Item{
				Source: names[i], Priority: sample.Priority(class), Samples: 1, Payload: payloadOf(names[i]),
				Metadata: map[string]string{"name": names[i]},
			}
		}
		v.say("begin", atEnqueue)
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
func (v *victim) operate(ctx context.Context) {
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
		switch rand.IntN(10) {
		case 0, 1:
			v.phase(atRetry, func() { v.bearFull(v.one(all, v.q.Revive)) })
		case 2:
			v.phase(atRetry, func() {
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
			v.phase(atCheckpoint, func() { checkpoints(raw) })
		}
	}
}

// checkpoints makes many, while others write: each by itself is short. Busy is
// no failure.
func checkpoints(raw *sqlite3.Conn) {
	modes := []sqlite3.CheckpointMode{sqlite3.CHECKPOINT_PASSIVE, sqlite3.CHECKPOINT_RESTART, sqlite3.CHECKPOINT_TRUNCATE}
	for began := time.Now(); time.Since(began) < 3*time.Millisecond; {
		_, _, _ = raw.WALCheckpoint("main", modes[rand.IntN(len(modes))])
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
