//go:build unix

package pipeline

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"dynotap/internal/clock"
)

// kills is how often the program is killed under load; now and then it is
// killed once more while it starts or stops.
const kills = 20

// TestPromise1KillNineLosesNothingAccepted is the acceptance test of issue 2:
// kill -9 at a random moment, 20 times over the same directory, under load.
// Accepted is what the child wrote to its pipe after the queue had taken it.
func TestPromise1KillNineLosesNothingAccepted(t *testing.T) {
	if dir := os.Getenv(envChild); dir != "" {
		runChild(t, dir)
		return
	}
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	var children []*killed
	kill := func(when string, within int) {
		children = append(children, killChild(t, dir, len(children), when, time.Duration(random.IntN(within))*time.Millisecond))
	}
	for round := range kills {
		switch round % 4 {
		case 1:
			kill(atStop, 40)
		case 3:
			kill(atStart, 150)
		}
		kill(atLoad, 500)
		if round%2 == 0 && round < kills-1 {
			continue // the next child takes it up
		}
		r := openRig(t, dir, killSetup())
		r.start()
		if left := r.stop(); left != (Left{}) {
			t.Errorf("left %+v", left)
		}
		r = openRig(t, dir, setup{})
		r.checkKilled(children)
		r.close()
		if t.Failed() {
			t.Fatalf("after the kill of child %d", len(children)-1)
		}
	}
	samples, batches := int64(0), 0
	for _, k := range children {
		batches += len(k.accepted)
		for _, n := range k.stored {
			samples += n
		}
	}
	t.Logf("%d kills, %d batches accepted, %d samples stored", len(children), batches, samples)
}

// killChild starts a child and kills it some time after its start, after the
// first batch that it accepted, or after it began to stop.
func killChild(t *testing.T, dir string, child int, when string, after time.Duration) *killed {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	k := newKilled(child, clock.New().Micros())
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestPromise1KillNineLosesNothingAccepted$")
	cmd.Env = append(os.Environ(), envChild+"="+dir, envChildRun+"="+strconv.Itoa(child),
		fmt.Sprintf("%s=%d", envChildTime, k.start), envChildKill+"="+when)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &said, &said, []*os.File{write}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	kill := func() { _ = cmd.Process.Kill() } // SIGKILL; it may have ended by itself, which Wait tells
	if when == atStart {
		defer time.AfterFunc(after, kill).Stop()
	}
	lines := bufio.NewReader(read)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // killed; a line that it did not finish was not told
		}
		if line != stopLine {
			k.tell(t, line)
		}
		if when == atLoad && len(k.accepted) == 1 || when == atStop && line == stopLine {
			defer time.AfterFunc(after, kill).Stop()
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != -1 && (code != 0 || when != atStop) {
		t.Fatalf("child %d ended by itself with %d:\n%s", child, code, said.Bytes())
	}
	if when != atStart && len(k.accepted) == 0 {
		t.Fatalf("child %d accepted nothing:\n%s", child, said.Bytes())
	}
	return k
}
