package sqlite_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The environment of a child, and of the test: how often it kills (see make
// kills), and from which seed on it chooses.
const (
	envVictimDir  = "DYNOTAP_QUEUE_CHILD_DIR"
	envVictimSeed = "DYNOTAP_QUEUE_CHILD_SEED"
	envKills      = "DYNOTAP_KILLS"
	envKillSeed   = "DYNOTAP_KILL_SEED"
)

const (
	usualKills = 200
	killLanes  = 4 // directories that are killed side by side
)

// numberOf reads a number of the environment.
func numberOf(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: a number is wanted", name, text)
	}
	return n
}

// TestQ12Q13Kill kills a process that uses the queue, at random points of all
// it does. What it wrote to its pipe is what it is held to.
func TestQ12Q13Kill(t *testing.T) {
	if dir := os.Getenv(envVictimDir); dir != "" {
		die(dir, numberOf(t, envVictimSeed, 0))
	}
	t.Parallel()
	kills, seed := int(numberOf(t, envKills, usualKills)), numberOf(t, envKillSeed, rand.Uint64())
	t.Logf("%s=%d", envKillSeed, seed)
	lanes := make([]*killer, killLanes)
	t.Run("lanes", func(t *testing.T) {
		for i := range lanes {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				lanes[i] = newKiller(t, rand.New(rand.NewPCG(seed, uint64(i))))
				lanes[i].run((kills + i) / killLanes)
			})
		}
	})
	died, items, accepted := map[string]int{}, 0, 0
	for _, k := range lanes {
		items += len(k.items)
		accepted += k.accepted
		for phase, n := range k.died {
			died[phase] += n
		}
	}
	for _, phase := range phases() {
		if died[phase] == 0 {
			t.Errorf("no kill hit the phase %s", phase)
		}
	}
	t.Logf("%d kills over %d items, %d of them accepted, by the phases they hit: %v", kills, items, accepted, died)
}

func phases() []string {
	return []string{atStart, atEnqueue, atProcess, atDeath, atRetry, atRevive, atForget, atClear, atCheckpoint, atShutdown}
}

// run kills over and over. Every third time the next victim finds the
// directory as the last one left it, and what is checked is a copy; otherwise
// the check has opened it meanwhile.
func (k *killer) run(kills int) {
	for i := range kills {
		k.kill(phases()[i%len(phases())])
		if i%3 == 0 {
			k.check(k.copied())
			continue
		}
		k.check(k.dir)
		if k.random.IntN(8) == 0 {
			k.drain(1 + k.random.IntN(victimQueue))
		}
	}
	k.drain(-1)
	k.check(k.dir)
}

func (k *killer) copied() string {
	dir := k.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(k.dir)); err != nil {
		k.t.Fatal(err)
	}
	return dir
}

// kill starts a victim and kills it a moment after it has begun a phase.
func (k *killer) kill(phase string) {
	t := k.t
	cmd := exec.Command(os.Args[0], "-test.run=^TestQ12Q13Kill$")
	cmd.Env = append(os.Environ(), envVictimDir+"="+k.dir, fmt.Sprintf("%s=%d", envVictimSeed, k.random.Uint64()))
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }).Stop() // it hangs: the phase is never hit
	k.begin()
	left := 1 + k.random.IntN(4) // the first times are too alike
	if phase == atStart {
		left = 1
	}
	after := time.Duration(k.random.IntN([]int{30, 300, 3000}[k.random.IntN(3)])) * time.Microsecond
	for in := bufio.NewReader(pipe); ; {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // half a line was never said
		}
		if err != nil {
			t.Fatal(err)
		}
		verb, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		if verb == "begin" && what == phase {
			if left--; left == 0 {
				time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			}
		}
		k.hear(verb, what)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() >= 2 {
		t.Fatalf("the child ended by itself: %v", err)
	}
	if left > 0 {
		t.Errorf("the phase %s was not reached", phase)
	}
	for name := range k.open {
		k.died[name]++
	}
}
