package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/queue/sqlite"
)

const (
	victimDir = "DYNOTAP_QUEUE_CHILD_DIR"
	// killsWanted is the environment's number of kills; see make kills.
	killsWanted = "DYNOTAP_KILLS"
	usualKills  = 200
	killLanes   = 4 // directories that are killed side by side
)

// TestQ12Q13Kill kills a process that uses the queue, at random points of all
// it does. What it wrote to its pipe is what it may be held to.
func TestQ12Q13Kill(t *testing.T) {
	if dir := os.Getenv(victimDir); dir != "" {
		die(dir)
	}
	t.Parallel()
	kills := usualKills
	if text := os.Getenv(killsWanted); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil || kills < killLanes {
			t.Fatalf("%s=%q: a number of at least %d is wanted", killsWanted, text, killLanes)
		}
	}
	lanes := make([]*killer, killLanes)
	t.Run("lanes", func(t *testing.T) {
		for i := range lanes {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				lanes[i] = newKiller(t)
				lanes[i].run((kills + i) / killLanes)
			})
		}
	})
	died, items := map[string]int{}, 0
	for _, k := range lanes {
		items += len(k.items)
		for phase, n := range k.died {
			died[phase] += n
		}
	}
	for _, phase := range phases() {
		if died[phase] == 0 {
			t.Errorf("no kill hit the phase %s", phase)
		}
	}
	t.Logf("%d kills over %d items, by the phases they hit: %v", kills, items, died)
}

func phases() []string {
	return []string{atEnqueue, atProcess, atDeath, atRetry, atForget, atClear, atCheckpoint, atShutdown, atStart}
}

// story is what is known of one item.
type story struct {
	id       queue.ID // 0: not told
	accepted bool
	attempts int
	told     string // the last move: "", queued>processed, queued>dead, dead>queued, ...
	gone     bool   // for good: it must not come back
}

// killer holds a directory and everything its victims ever said.
type killer struct {
	t       *testing.T
	dir     string
	items   map[string]*story
	ids     map[queue.ID]string
	highest uint64          // sequence number ever seen
	open    map[string]bool // phases that the last victim was in
	died    map[string]int  // kills by the phases they hit
}

func newKiller(t *testing.T) *killer {
	t.Helper()
	return &killer{t: t, dir: t.TempDir(), items: map[string]*story{}, ids: map[queue.ID]string{}, died: map[string]int{}}
}

func (k *killer) run(kills int) {
	for i := range kills {
		k.kill(phases()[i%len(phases())])
		k.check()
	}
	k.finish()
}

// kill starts a victim and kills it a moment after it has begun a phase.
func (k *killer) kill(phase string) {
	t := k.t
	cmd := exec.Command(os.Args[0], "-test.run=^TestQ12Q13Kill$")
	cmd.Env = append(os.Environ(), victimDir+"="+k.dir)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }).Stop() // it hangs: the phase is never hit
	before := k.highest
	k.open = map[string]bool{}
	left := 1 + rand.IntN(4) // the first times are too alike
	if phase == atStart {
		left = 1
	}
	in := bufio.NewReader(pipe)
	for {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // half a line was never said
		}
		if err != nil {
			t.Fatal(err)
		}
		verb, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		k.hear(verb, what, before)
		if verb == "begin" && what == phase {
			if left--; left == 0 {
				after := time.Duration(rand.IntN([]int{30, 300, 3000}[rand.IntN(3)])) * time.Microsecond
				time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			}
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() == 2 {
		t.Fatalf("the child ended by itself: %v", err)
	}
	if left > 0 {
		t.Errorf("the phase %s was not reached", phase)
	}
	for name := range k.open {
		k.died[name]++
	}
}

// hear takes in one line.
func (k *killer) hear(verb, what string, before uint64) {
	name, rest, _ := strings.Cut(what, " ")
	switch verb {
	case "begin":
		k.open[what] = true
		return
	case "end":
		delete(k.open, what)
		return
	}
	s := k.items[name]
	if s == nil {
		s = new(story)
		k.items[name] = s
	}
	switch verb {
	case "accepted":
		id, err := queue.ParseID(rest)
		if err != nil {
			k.t.Fatal(err)
		}
		s.accepted = true
		k.identify(name, id)
		if id.Sequence() <= before {
			k.t.Errorf("%s got the id %s, numbers up to %d were seen before", name, id, before)
		}
	case "attempt":
		n, err := strconv.Atoi(rest)
		if err != nil {
			k.t.Fatal(err)
		}
		switch {
		case s.gone || s.told == "queued>processed":
			k.t.Errorf("%s was processed again after it was %s", name, s.told)
		case n < s.attempts:
			k.t.Errorf("%s has %d attempts, it had %d", name, n, s.attempts)
		}
		s.attempts = n
	default:
		s.told = verb
		s.gone = s.gone || strings.HasSuffix(verb, ">processed") || strings.HasSuffix(verb, ">discarded")
		if verb == "dead>queued" {
			s.attempts = 0
		}
		if verb == "queued>dropped" {
			k.t.Errorf("%s was dropped", name)
		}
	}
}

func (k *killer) identify(name string, id queue.ID) {
	s := k.items[name]
	if s.id != 0 && s.id != id {
		k.t.Errorf("%s is %s, it was %s", name, id, s.id)
	}
	if other, ok := k.ids[id]; ok && other != name {
		k.t.Errorf("%s has the id of %s", name, other)
	}
	s.id, k.ids[id] = id, name
	k.highest = max(k.highest, id.Sequence())
}

// found is a row as a restart finds it.
type found struct {
	id       queue.ID
	dead     bool
	attempts int
}

// check looks at the directory as a restart finds it.
func (k *killer) check() {
	t := k.t
	d, err := db.Open(t.Context(), k.dir, db.Options{Fsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := sound(t.Context(), d); err != nil {
		t.Errorf("killed in %v: %v", k.open, err)
	}
	rows := k.rows(d)
	_, effects := keptAndDone(t, d)
	for name, row := range rows {
		k.judgeRow(name, row, effects[name])
	}
	for name, n := range effects {
		if n > 1 {
			t.Errorf("%s took effect %d times", name, n)
		}
		if k.items[name] == nil {
			k.items[name] = new(story) // told too late
		}
		k.items[name].gone = true
	}
	for name, s := range k.items {
		if _, there := rows[name]; !there {
			k.judgeAbsent(name, s, effects[name])
		}
	}
	k.inOrder(rows)
	if t.Failed() {
		t.Fatalf("killed in %v", k.open)
	}
}

func (k *killer) rows(d *db.DB) map[string]found {
	rows := map[string]found{}
	err := d.Read(k.t.Context(), func(c *db.Conn) error {
		for i, table := range []string{"queue", "dead_letters"} {
			err := c.Query(`SELECT id, attempts, payload, metadata FROM `+table, func(s *sqlite3.Stmt) error {
				payload := s.ColumnBlob(2, nil)
				name := nameOf(payload)
				if string(payload) != string(payloadOf(name)) || !strings.Contains(s.ColumnText(3), `"`+name+`"`) {
					k.t.Errorf("%s has another content: %q, %s", name, payload, s.ColumnText(3))
				}
				rows[name] = found{queue.ID(s.ColumnInt64(0)), i == 1, s.ColumnInt(1)}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return rows
}

// judgeRow holds what is there against what was said.
func (k *killer) judgeRow(name string, row found, effects int) {
	t, s := k.t, k.items[name]
	if s == nil { // accepted, and killed before it could say so
		s = new(story)
		k.items[name] = s
	}
	s.accepted = true
	k.identify(name, row.id)
	switch {
	case s.gone:
		t.Errorf("%s is there again after it was %s", name, s.told)
	case effects > 0:
		t.Errorf("%s is there and took effect", name)
	case s.told == "queued>dead" && !row.dead && !k.open[atRetry]:
		t.Errorf("%s was dead and nobody revived it", name)
	case s.told != "queued>dead" && row.attempts < s.attempts:
		t.Errorf("%s has %d attempts, it had %d", name, row.attempts, s.attempts)
	}
	s.attempts = row.attempts
	s.told = map[bool]string{false: "", true: "queued>dead"}[row.dead]
}

// judgeAbsent asks why an item is not there.
func (k *killer) judgeAbsent(name string, s *story, effects int) {
	switch told := s.told; {
	case effects > 0:
		if strings.HasSuffix(told, ">discarded") {
			k.t.Errorf("%s took effect and was %s", name, told)
		}
	case strings.HasSuffix(told, ">processed"):
		k.t.Errorf("%s was settled without its effect", name)
	case s.gone, !s.accepted:
	case told == "queued>dead" && k.open[atForget]:
	case told != "queued>dead" && k.open[atClear]:
	default:
		k.t.Errorf("%s (last: %q) is lost", name, told)
	}
	s.gone = true
}

// inOrder checks that in each class a producer's items are in its order.
func (k *killer) inOrder(rows map[string]found) {
	byID := make([]string, 0, len(rows))
	for name := range rows {
		byID = append(byID, name)
	}
	slices.SortFunc(byID, func(a, b string) int { return int(int64(rows[a].id) - int64(rows[b].id)) })
	last := map[string]int{}
	for _, name := range byID {
		cut := strings.LastIndexByte(name, '-')
		line, number := name[:cut], 0
		if _, err := fmt.Sscan(name[cut+1:], &number); err != nil {
			k.t.Fatal(err)
		}
		if number <= last[line] {
			k.t.Errorf("%s comes after number %d", name, last[line])
		}
		last[line] = number
	}
}

// finish takes out what is left, which comes in the order of the ids.
func (k *killer) finish() {
	t := k.t
	d, err := db.Open(t.Context(), k.dir, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rows := k.rows(d)
	settings := queue.Defaults()
	settings.MaxSize = 10 * victimQueue
	q, err := queue.New(sqlite.New(d), settings, queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var order []queue.ID
	if _, err := q.Drain(t.Context(), func(_ context.Context, items []queue.Item) []queue.Result {
		for i := range items {
			name := nameOf(items[i].Payload)
			if row, ok := rows[name]; !ok || row.dead || row.id != items[i].ID || row.attempts != items[i].Attempts ||
				items[i].Source != name || items[i].Priority != row.id.Class() || items[i].Metadata["name"] != name {
				t.Errorf("came out: %+v, row %+v", items[i], row)
			}
			delete(rows, name)
			order = append(order, items[i].ID)
		}
		return make([]queue.Result, len(items))
	}, -1); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(order) {
		t.Error("the rest came out of order")
	}
	for name, row := range rows {
		if !row.dead {
			t.Errorf("%s did not come out", name)
		}
	}
}
