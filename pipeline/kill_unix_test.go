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
// killed once more while it starts.
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
	for round := range kills {
		if round%4 == 3 { // in the middle of taking up what the last one left
			children = append(children, killChild(t, dir, len(children), false, time.Duration(random.IntN(150))*time.Millisecond))
		}
		children = append(children, killChild(t, dir, len(children), true, time.Duration(random.IntN(500))*time.Millisecond))
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

// killChild starts a child and kills it some time after its start, or after
// the first batch that it accepted.
func killChild(t *testing.T, dir string, child int, loaded bool, after time.Duration) *killed {
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
	cmd.Env = append(os.Environ(), envChild+"="+dir, envChildRun+"="+strconv.Itoa(child), fmt.Sprintf("%s=%d", envChildTime, k.start))
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &said, &said, []*os.File{write}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	kill := func() { _ = cmd.Process.Kill() } // SIGKILL; it may have ended by itself, which Wait tells
	if !loaded {
		defer time.AfterFunc(after, kill).Stop()
	}
	lines := bufio.NewReader(read)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // killed; a line that it did not finish was not told
		}
		k.tell(t, line)
		if loaded && len(k.accepted) == 1 {
			defer time.AfterFunc(after, kill).Stop()
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != -1 {
		t.Fatalf("child %d ended by itself with %d:\n%s", child, code, said.Bytes())
	}
	if loaded && len(k.accepted) == 0 {
		t.Fatalf("child %d accepted nothing:\n%s", child, said.Bytes())
	}
	return k
}
