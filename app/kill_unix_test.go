//go:build unix

package app

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
	"dynotap/queue"
)

const programKills = 24

// counted is what the killed programs said of their samples, by number.
type counted map[int64]bool // accepted

// TestQ13ProgramKill kills the whole program twenty-four times: while it
// starts, works under load and an operator's hands, and stops. What it had
// accepted is stored in the end, once, also what had become a dead letter.
func TestQ13ProgramKill(t *testing.T) {
	t.Parallel()
	in := &instance{t: t, dir: t.TempDir()}
	said, spoilt := counted{}, map[queue.ID]spoiltRow{}
	for i := range programKills {
		said.killOne(in, i)
		if i%4 == 2 {
			spoil(t, in.dir, spoilt)
		}
	}
	in.settle("what is left is delivered")
	unspoil(t, in.dir, spoilt)
	in.dynotap("dead-letters", "retry", "--all")
	in.settle("what was mended is delivered")
	stored := map[int64]int{}
	for _, session := range in.runs("session") {
		for _, row := range in.exportRun(session.ID) {
			stored[int64(*row.Value)]++
		}
	}
	accepted := 0
	for n, ok := range said {
		if ok {
			accepted++
		}
		if stored[n] > 1 || ok && stored[n] == 0 {
			t.Errorf("number %d (accepted: %v) is stored %d times", n, ok, stored[n])
		}
	}
	for n := range stored {
		if _, tried := said[n]; !tried {
			t.Errorf("number %d was never sent", n)
		}
	}
	if len(spoilt) == 0 || accepted == 0 {
		t.Errorf("%d accepted, %d batches spoilt", accepted, len(spoilt))
	}
	t.Logf("%d numbers accepted, %d stored, %d batches were spoilt and mended", accepted, len(stored), len(spoilt))
}

// killOne runs the program until it is killed, in one way of four.
func (c counted) killOne(in *instance, i int) {
	t := in.t
	cmd := in.counting(countFrom + fmt.Sprintf("=%d", int64(i)<<32))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	soon := func(limit time.Duration) { time.AfterFunc(rand.N(limit), func() { _ = cmd.Process.Kill() }) }
	lines, last := 0, 1+rand.IntN(60)
	if i%4 == 3 {
		soon(200 * time.Millisecond) // while it starts, or just after
	}
	defer time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }).Stop() // it hangs
	for said := bufio.NewReader(pipe); ; {
		line, err := said.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		c.hear(t, line)
		if lines++; lines != last {
			continue
		}
		switch i % 4 {
		case 0:
			in.operate()
			soon(5 * time.Millisecond)
		case 1:
			_ = cmd.Process.Signal(syscall.SIGTERM)
			soon(60 * time.Millisecond)
		default:
			soon(5 * time.Millisecond)
		}
	}
	_ = cmd.Wait() // killed, or it stopped in time
	if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !state.Signaled() && state.ExitStatus() != 0 {
		t.Fatalf("dynotap ended by itself: %v\n%s", cmd.ProcessState, in.stderr.String())
	}
}

func (c counted) hear(t *testing.T, line string) {
	t.Helper()
	var verb string
	var first, end int64
	if _, err := fmt.Sscan(line, &verb, &first, &end); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	for n := first; n < end; n++ {
		c[n] = verb == "accepted"
	}
}

// counting is the program with the counting source only.
func (in *instance) counting(environ ...string) *exec.Cmd {
	cmd := exec.Command(countingProgram, "run", "--data", in.dir, "--listen", "127.0.0.1:0", "--no-ui")
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stderr = &in.stderr
	return cmd
}

// operate is an operator who tries all dead letters again.
func (in *instance) operate() {
	holder, err := db.HolderOf(in.dir)
	if err != nil || holder.Address == "" {
		return // not there yet
	}
	c := &client{base: "http://" + holder.Address + "/", token: holder.Token, http: newHTTPClient()}
	if _, err := c.call(in.t.Context(), http.MethodPost, "api/v1/dead-letters/retry", nil, nil); err != nil {
		in.t.Logf("retry: %v", err)
	}
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
		c := &client{base: "http://" + holder.Address + "/", token: holder.Token, http: newHTTPClient()}
		var stats queue.Stats
		_, err = c.get(t.Context(), "api/v1/queue", nil, &stats)
		return err == nil && stats.CurrentSize == 0
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("dynotap: %v\n%s", err, in.stderr.String())
	}
}

// spoiltRow is what a queue's row held.
type spoiltRow struct {
	payload []byte
	crc     int64
}

// spoil makes the newest item in the queue undecodable, with a true checksum,
// as a faulty version of dynotap might.
func spoil(t *testing.T, dir string, spoilt map[queue.ID]spoiltRow) {
	t.Helper()
	onDatabase(t, dir, func(tx *db.Tx) error {
		var id int64
		var row spoiltRow
		var metadata string
		err := tx.Query(`SELECT id, payload, crc, metadata FROM queue WHERE attempts = 0 ORDER BY id DESC LIMIT 1`, func(s *sqlite3.Stmt) error {
			id, row = s.ColumnInt64(0), spoiltRow{s.ColumnBlob(1, nil), s.ColumnInt64(2)}
			metadata = s.ColumnText(3)
			return nil
		})
		if err != nil || id == 0 {
			return err
		}
		if _, again := spoilt[queue.ID(id)]; again {
			return nil
		}
		spoilt[queue.ID(id)] = row
		bad := []byte("no batch")
		return tx.Exec(`UPDATE queue SET payload = ?, crc = ? WHERE id = ?`, bad,
			crc32.Checksum(slices.Concat(bad, []byte(metadata)), crc32.MakeTable(crc32.Castagnoli)), id)
	})
}

// unspoil gives the spoilt items, which must be dead letters, their payloads
// back.
func unspoil(t *testing.T, dir string, spoilt map[queue.ID]spoiltRow) {
	t.Helper()
	onDatabase(t, dir, func(tx *db.Tx) error {
		for id, row := range spoilt {
			if err := tx.Exec(`UPDATE dead_letters SET payload = ?, crc = ? WHERE id = ? AND reason = 'undecodable'`, row.payload, row.crc, int64(id)); err != nil {
				return err
			}
			if tx.Changes() != 1 {
				t.Errorf("%s is no dead letter", id)
			}
		}
		return nil
	})
}

func onDatabase(t *testing.T, dir string, do func(*db.Tx) error) {
	t.Helper()
	d, err := db.Open(t.Context(), dir, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Write(t.Context(), do), d.Close()); err != nil {
		t.Fatal(err)
	}
}
