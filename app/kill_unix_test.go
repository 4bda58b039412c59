//go:build unix

package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"dynotap/internal/db"
	"dynotap/queue"
)

const programKills = 24

// The moments in which the program is killed, in turn.
const (
	whileOperated = iota
	whileItStops
	underLoad
	whileItStarts
	moments
)

// crashes are the programs that were killed.
type crashes struct {
	said   map[int64]bool // by number: accepted, or only tried
	starts time.Duration  // how long one took at least until its first sample; 0: not known
	hit    [moments]int   // kills that came when they were meant to
	faults spoilt
}

// TestQ13ProgramKill kills the whole program twenty-four times: while it
// starts, works under load and an operator's hands, and stops. What it had
// accepted is stored in the end, once, also what had become a dead letter; but
// not what the operator deleted.
func TestQ13ProgramKill(t *testing.T) {
	t.Parallel()
	in := &instance{t: t, dir: t.TempDir()}
	c := &crashes{said: map[int64]bool{}, faults: spoilt{}}
	for i := range programKills {
		c.kill(in, i)
		c.faults.spoil(t, in.dir)
	}
	in.settle("what is left is delivered")
	deleted := c.faults.mend(t, in.dir)
	in.dynotap("dead-letters", "retry", "--all")
	in.settle("what was mended is delivered")
	stored := map[int64]int{}
	for _, session := range in.runs("session") {
		for _, row := range in.exportRun(session.ID) {
			stored[int64(*row.Value)]++
		}
	}
	accepted := 0
	for n := range deleted {
		if stored[n] != 0 {
			t.Errorf("number %d was deleted and is stored", n)
		}
		delete(c.said, n)
	}
	for n, ok := range c.said {
		if ok {
			accepted++
		}
		if stored[n] > 1 || ok && stored[n] == 0 {
			t.Errorf("number %d (accepted: %v) is stored %d times", n, ok, stored[n])
		}
	}
	for n := range stored {
		if _, tried := c.said[n]; !tried {
			t.Errorf("number %d was never sent", n)
		}
	}
	if len(c.faults) == 0 || accepted == 0 || slices.Contains(c.hit[:], 0) {
		t.Errorf("%d accepted, %d batches spoilt, killed %v", accepted, len(c.faults), c.hit)
	}
	t.Logf("killed %v (operated, stopping, loaded, starting): %d numbers accepted, %d stored, %d batches spoilt, %d numbers deleted",
		c.hit, accepted, len(stored), len(c.faults), len(deleted))
}

// kill runs the program until it is killed at the next moment.
func (c *crashes) kill(in *instance, turn int) {
	t, moment := in.t, turn%moments
	cmd := in.counting(countFrom + fmt.Sprintf("=%d", int64(turn)<<32))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	soon := func(limit time.Duration) { time.AfterFunc(rand.N(limit), func() { _ = cmd.Process.Kill() }) }
	if moment == whileItStarts {
		soon(c.starts)
	}
	defer time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }).Stop() // it hangs
	lines, last := 0, 1+rand.IntN(60)
	var operator sync.WaitGroup
	for said := bufio.NewReader(pipe); ; {
		line, err := said.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); lines == 0 && (c.starts == 0 || took < c.starts) {
			c.starts = took
		}
		c.hear(t, line)
		if lines++; lines != last {
			continue
		}
		switch moment {
		case whileOperated:
			operator.Go(func() { c.faults.operate(in, turn) })
			soon(30 * time.Millisecond)
		case whileItStops:
			_ = cmd.Process.Signal(syscall.SIGTERM)
			soon([]time.Duration{3 * time.Millisecond, 60 * time.Millisecond}[turn/moments%2])
		case underLoad:
			soon(5 * time.Millisecond)
		}
	}
	_ = cmd.Wait() // killed, or it stopped in time
	operator.Wait()
	state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !state.Signaled() && state.ExitStatus() != 0 {
		t.Fatalf("dynotap ended by itself: %v\n%s", cmd.ProcessState, in.stderr.String())
	}
	if state.Signaled() && (moment == whileItStarts) == (lines == 0) {
		c.hit[moment]++
	}
}

func (c *crashes) hear(t *testing.T, line string) {
	t.Helper()
	var verb string
	var first, end int64
	if _, err := fmt.Sscan(line, &verb, &first, &end); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	for n := first; n < end; n++ {
		c.said[n] = verb == "accepted"
	}
}

// counting is the program with the counting source only.
func (in *instance) counting(environ ...string) *exec.Cmd {
	cmd := exec.Command(countingProgram, "run", "--data", in.dir, "--listen", "127.0.0.1:0", "--no-ui")
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stderr = &in.stderr
	return cmd
}

// settle runs the program until nothing waits, and ends it in order.
func (in *instance) settle(what string) {
	t := in.t
	cmd := in.counting()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	await(t, what, func() bool {
		holder, err := db.HolderOf(in.dir)
		if err != nil || holder.PID != cmd.Process.Pid || holder.Address == "" {
			return false
		}
		in.client = clientOf(holder)
		var stats queue.Stats
		_, err = in.client.get(t.Context(), "api/v1/queue", nil, &stats)
		return err == nil && stats.CurrentSize == 0
	})
	in.balanced()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("dynotap: %v\n%s", err, in.stderr.String())
	}
}

func clientOf(h db.Holder) *client {
	return &client{base: "http://" + h.Address + "/", token: h.Token, http: newHTTPClient()}
}
