package app

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db"
)

// told is what a counting program has said so far.
type told struct {
	mu   sync.Mutex
	said map[int64]bool // by number: accepted, or only tried
}

func (w *told) listen(t *testing.T, in io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var verb string
		var first, end int64
		if _, err := fmt.Sscan(lines.Text(), &verb, &first, &end); err != nil {
			t.Errorf("%q: %v", lines.Text(), err)
			return
		}
		w.mu.Lock()
		for n := first; n < end; n++ {
			w.said[n] = verb == "accepted"
		}
		w.mu.Unlock()
	}
}

// accepted are the numbers that are safe by now.
func (w *told) accepted() (list []int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, ok := range w.said {
		if ok {
			list = append(list, n)
		}
	}
	return list
}

// TestBackupDuringRecording makes backups while the program records under load.
// What was accepted before a backup began is in it, once; nothing is in it
// that was never sent; and what is restored goes on.
func TestBackupDuringRecording(t *testing.T) {
	t.Parallel()
	in := &instance{t: t, dir: t.TempDir()}
	cmd := in.counting(countFrom + "=0")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	heard := &told{said: map[int64]bool{}}
	var listening sync.WaitGroup
	listening.Go(func() { heard.listen(t, pipe) })
	await(t, "numbers are accepted", func() bool { return len(heard.accepted()) > 2000 })

	var archives []string
	var before [][]int64
	for i := range 3 {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("%d.zip", i))
		before = append(before, heard.accepted())
		in.dynotap("backup", "-o", file)
		archives = append(archives, file)
		more := len(heard.accepted()) + 500
		await(t, "recording goes on", func() bool { return len(heard.accepted()) > more })
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	listening.Wait()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("dynotap: %v\n%s", err, in.stderr.String())
	}
	for i, file := range archives {
		restored := &instance{t: t, dir: filepath.Join(t.TempDir(), "restored")}
		restored.dynotap("restore", file)
		waiting := countRows(t, restored.dir, "queue")
		restored.settle("what was queued is delivered")
		stored := map[int64]int{}
		for _, session := range restored.runs("session") {
			for _, row := range restored.exportRun(session.ID) {
				stored[int64(*row.Value)]++
			}
		}
		for _, n := range before[i] {
			if stored[n] == 0 {
				t.Fatalf("backup %d: number %d was accepted before and is not in it", i, n)
			}
		}
		for n, times := range stored {
			if _, sent := heard.said[n]; times != 1 || !sent {
				t.Fatalf("backup %d: number %d is in it %d times, sent: %v", i, n, times, sent)
			}
		}
		t.Logf("backup %d: %d numbers accepted before, %d in it; %d batches were waiting", i, len(before[i]), len(stored), waiting)
	}
}

// TestBackupIsTheDirectory compares every row of every table and every file of
// a directory with runs, imported files, waiting batches and dead letters to
// what is restored of it: made while dynotap runs, and while it stands still.
func TestBackupIsTheDirectory(t *testing.T) {
	t.Parallel()
	sheet := shared(t, "samples", "winpep")
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprintf("running=%v", running), func(t *testing.T) {
			t.Parallel()
			in := &instance{t: t, dir: t.TempDir()}
			_ = exec.Command("dynotap", "import", "--data", in.dir, sheet).Run() // some of the samples are bad on purpose
			without(t, in.dir)
			archive := filepath.Join(t.TempDir(), "archive.zip")
			if running {
				in = serve(t, in.dir)
				await(t, "everything has failed", func() bool { return in.queue().DeadLetters == 4 })
			}
			var made backupReport
			if err := json.Unmarshal(in.dynotap("backup", "--json", "-o", archive), &made); err != nil {
				t.Fatal(err)
			}
			before, files := tables(t, in.dir), sums(t, in.dir)
			restored := filepath.Join(t.TempDir(), "restored")
			out, err := exec.Command("dynotap", "restore", archive, "--data", restored).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			after, again := tables(t, restored), sums(t, restored)
			for table, rows := range before {
				if !slices.Equal(rows, after[table]) {
					t.Errorf("table %s differs: %d rows, %d restored", table, len(rows), len(after[table]))
				}
			}
			for _, table := range []string{"runs", "captures", "segments"} {
				if len(after[table]) == 0 {
					t.Errorf("nothing in %s", table)
				}
			}
			if len(after["queue"])+len(after["dead_letters"]) != 4 {
				t.Errorf("%d waiting, %d dead", len(after["queue"]), len(after["dead_letters"]))
			}
			for name, text := range files {
				if !bytes.Equal(again[name], text) {
					t.Errorf("%s differs", name)
				}
			}
			if len(files) != len(again) || int(made.Runs) != len(after["runs"]) {
				t.Errorf("%d files, %d restored; %d runs said, %d there", len(files), len(again), made.Runs, len(after["runs"]))
			}
			if _, err := os.Stat(filepath.Join(in.dir, backupDir)); err == nil {
				t.Errorf("%s was left", backupDir)
			}
		})
	}
}

// tables gives every row of every table, as a reader of another program sees
// them.
func tables(t *testing.T, dir string) map[string][]string {
	t.Helper()
	conn, err := sqlite3.Open("file:" + filepath.Join(dir, db.FileName) + "?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	all := map[string][]string{}
	read := func(sql string, row func(*sqlite3.Stmt)) {
		stmt, _, err := conn.Prepare(sql)
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		for stmt.Step() {
			row(stmt)
		}
		if err := stmt.Err(); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	read(`SELECT name FROM sqlite_schema WHERE type = 'table'`, func(s *sqlite3.Stmt) { all[s.ColumnText(0)] = []string{} })
	for table := range all {
		read(`SELECT * FROM `+table, func(s *sqlite3.Stmt) {
			var row strings.Builder
			for i := range s.ColumnCount() {
				fmt.Fprintf(&row, "%q ", s.ColumnRawBlob(i))
			}
			all[table] = append(all[table], row.String())
		})
	}
	return all
}

func countRows(t *testing.T, dir, table string) int {
	t.Helper()
	return len(tables(t, dir)[table])
}
