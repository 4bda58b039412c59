package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/ncruces/go-sqlite3"
	"github.com/rogpeppe/go-internal/testscript"

	"dynotap/internal/db"
	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/queue/sqlite"
	"dynotap/sample"
	"dynotap/store"
)

// stopped is the data directory of a dynotap that is not running, whose queue
// a test fills at times of its own.
type stopped struct {
	db    *db.DB
	store *store.Store
	queue *queue.Queue
	ids   *sample.BatchIDs
	now   time.Time
}

const (
	stoppedCapture = "0199a5b8-2f00-7000-8000-000000000001"
	stoppedRate    = 20 // samples a second and channel
)

// stoppedAt is when the directory's story begins.
func stoppedAt() time.Time { return time.Date(2026, 10, 2, 15, 4, 5, 123456000, time.UTC) }

func stoppedSet() *sample.ChannelSet {
	channel := func(id uint32, label string, native sample.Unit, name string, unit sample.Unit) sample.Channel {
		return sample.Channel{
			Key: sample.ChannelKey("Dyno 1", id, 0), Provider: "Dyno 1", HostID: 0x43FD, ID: id, Label: label,
			NativeUnit: native, Name: name, Unit: unit,
		}
	}
	return sample.NewChannelSet("jetdrive", []sample.Channel{
		channel(3, "Power", sample.Kilowatt, "horsepower", sample.Horsepower),
		channel(10, "Engine RPM", sample.RPM, "rpm", sample.RPM),
		channel(6, "Humidity", sample.Percent, "humidity", sample.Percent),
	})
}

func openStopped(ctx context.Context, dir string) (s *stopped, err error) {
	s = &stopped{ids: sample.ContentBatchIDs([32]byte{1, 2, 3}), now: stoppedAt()}
	if s.db, err = db.Open(ctx, dir, db.Options{Fsync: true}); err != nil {
		return nil, err
	}
	if s.store, err = store.Open(ctx, s.db, dir, store.Options{}); err != nil {
		return s, err
	}
	begun := s.now.UnixMicro()
	return s, errors.Join(
		s.store.PutSet(ctx, stoppedSet()),
		s.store.PutCapture(ctx, store.Capture{ID: stoppedCapture, Kind: store.Live, Source: "jetdrive", StartedUS: &begun, TimeBase: store.Absolute}),
		s.reopen(),
	)
}

func (s *stopped) reopen() (err error) {
	s.queue, err = queue.New(sqlite.New(s.db), queue.Defaults(), queue.Options{Now: func() time.Time { return s.now }})
	return err
}

// put enqueues a batch of n samples of each channel.
func (s *stopped) put(ctx context.Context, source string, priority sample.Priority, n int) error {
	b := sample.Batch{
		ID: s.ids.Next(), Source: source, Capture: stoppedCapture, Set: stoppedSet(), Priority: priority,
		Received: s.now.UnixMicro(), Clock: sample.ClockPassive,
	}
	for i := range n {
		at := s.now.UnixMicro() + int64(i)*1_000_000/stoppedRate
		b.Samples = append(b.Samples,
			sample.Sample{Time: at, Channel: 0, Value: 74.569987158227 + float64(i)},
			sample.Sample{Time: at, Channel: 1, Value: 5600 + float64(i)},
			sample.Sample{Time: at, Channel: 2, Value: 41.5, Quality: sample.Suspect},
		)
	}
	return s.putRaw(ctx, source, priority, len(b.Samples), sample.AppendBatch(nil, &b))
}

func (s *stopped) putRaw(ctx context.Context, source string, priority sample.Priority, samples int, payload []byte) error {
	_, err := s.queue.Enqueue(ctx, queue.Item{Source: source, Priority: priority, Samples: samples, Payload: payload})
	return err
}

// fail lets every attempt on what waits fail, the attempts a minute apart.
func (s *stopped) fail(ctx context.Context, outcome func(attempt int) queue.Result) error {
	for attempt := 1; s.queue.Len() > 0; attempt++ {
		s.now = s.now.Add(time.Minute)
		_, err := s.queue.Drain(ctx, func(_ context.Context, items []queue.Item) []queue.Result {
			results := make([]queue.Result, len(items))
			for i := range results {
				results[i] = outcome(attempt)
			}
			return results
		}, -1)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *stopped) exec(ctx context.Context, sql string, args ...any) error {
	return s.db.Write(ctx, func(tx *db.Tx) error { return tx.Exec(sql, args...) })
}

// deadOfEveryKind leaves four dead letters, each for another reason or source,
// and two batches that wait.
func deadOfEveryKind(ctx context.Context, dir string) (err error) {
	s, err := openStopped(ctx, dir)
	if s != nil {
		defer func() { err = errors.Join(err, s.db.Close()) }()
	}
	if err != nil {
		return err
	}
	hostile := errors.New("\x1b[31mstore refused it\x07: a very long story about what the disk said, which nobody can read in eighty columns\n\tgoroutine 1 [running]:\n\tmain.main()")
	steps := []func() error{
		func() error { return s.put(ctx, "jetdrive", sample.High, 9) },
		func() error {
			return s.fail(ctx, func(attempt int) queue.Result {
				if attempt == 1 {
					return queue.Result{Kind: queue.Retry, Err: errors.New("disk I/O error")}
				}
				return queue.Result{Kind: queue.Retry, Err: fmt.Errorf("channel set 0a1b: %w", store.ErrNoSet)}
			})
		},
		func() error { return s.putRaw(ctx, "innovate", sample.Low, 7, []byte("no batch at all\x00\xff")) },
		func() error {
			err := sample.DecodeBatch([]byte("no batch at all\x00\xff"), nil, new(sample.Batch))
			return s.fail(ctx, func(int) queue.Result {
				return queue.Result{Kind: queue.Rejected, Reason: pipeline.ReasonUndecodable, Err: err}
			})
		},
		func() error { return s.put(ctx, "jetdrive", sample.Critical, 1) },
		func() error { return s.exec(ctx, `UPDATE queue SET crc = crc + 1`) },
		s.reopen,
		func() error { return s.fail(ctx, func(int) queue.Result { return queue.Result{} }) },
		func() error { return s.put(ctx, "jetdrive", sample.High, 1) },
		func() error {
			return s.fail(ctx, func(int) queue.Result { return queue.Result{Kind: queue.Retry, Err: hostile} })
		},
		func() error { return s.put(ctx, "jetdrive", sample.High, 2) },
		func() error { return s.put(ctx, "jetdrive", sample.Low, 1) },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// contentOf is every row of the tables of the queue, as text.
func contentOf(t *testing.T, dir string) string {
	t.Helper()
	d, err := db.Open(t.Context(), dir, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var out strings.Builder
	for _, table := range []string{"queue", "dead_letters", "queue_totals", "channel_sets", "captures", "chunks", "stored_batches", "meta"} {
		err := d.Read(t.Context(), func(c *db.Conn) error {
			return c.Query("SELECT * FROM "+table, func(row *sqlite3.Stmt) error {
				fmt.Fprintf(&out, "%s", table)
				for i := range row.ColumnCount() {
					fmt.Fprintf(&out, " %q", row.ColumnText(i))
				}
				fmt.Fprintln(&out)
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// call runs one command in this process and gives its exit code.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), args, Program{Version: "test", Sources: Sources(), Stdout: &out, Stderr: &errs})
	return code, out.String(), errs.String()
}

func TestQ10LookingChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := deadOfEveryKind(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	before := contentOf(t, dir)
	if !strings.Contains(before, "dead_letters ") || !strings.Contains(before, "queue ") {
		t.Fatalf("nothing to look at:\n%s", before)
	}
	for _, args := range [][]string{
		{"queue", "stats"}, {"queue", "stats", "--json"}, {"dead-letters", "list"}, {"dead-letters", "list", "--json"},
		{"dead-letters", "show", "0001"}, {"dead-letters", "show", "0001", "--json"},
	} {
		if code, _, stderr := call(t, append(args, "--data", dir)...); code != exitDone {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
	if after := contentOf(t, dir); after != before {
		t.Errorf("looking has changed\n%s\nto\n%s", before, after)
	}
}

func TestDeadLetterExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := deadOfEveryKind(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want int
	}{
		{[]string{"list"}, exitDone},
		{[]string{"list", "--limit", "-1"}, exitUsage},
		{[]string{"list", "--priority", "sideways"}, exitUsage},
		{[]string{"list", "0001"}, exitUsage},
		{[]string{"show"}, exitUsage},
		{[]string{"show", "0001", "--limit", "-1"}, exitUsage},
		{[]string{"show", "ffffffff"}, exitFailed},
		{[]string{"show", "0123456789abcdef"}, exitFailed},
		{[]string{"show", "../../../etc/passwd"}, exitFailed},
		{[]string{"retry"}, exitUsage},
		{[]string{"retry", "--source", "jetdrive"}, exitUsage},
		{[]string{"retry", "ffffffff"}, exitFailed},
		{[]string{"retry", "--all", "--reason", "none"}, exitDone},
		{[]string{"delete", "0001"}, exitUsage},
		{[]string{"delete", "ffffffff", "--yes"}, exitFailed},
		{[]string{"clear"}, exitUsage},
		{[]string{"clear", "--yes", "--reason", "none"}, exitDone},
		{[]string{"nonsense"}, exitUsage},
	} {
		code, stdout, stderr := call(t, append(append([]string{"dead-letters"}, tt.args...), "--data", dir)...)
		if code != tt.want || (code != exitDone) != (stderr != "") {
			t.Errorf("%v: exit code %d, not %d: %s %s", tt.args, code, tt.want, stdout, stderr)
		}
	}
}

// listed and answered are the contract of --json: an unknown field is an
// error.
type listed struct {
	DeadLetters []struct {
		ID         string            `json:"id"`
		Source     string            `json:"source"`
		Priority   string            `json:"priority"`
		Samples    int               `json:"samples"`
		Bytes      int               `json:"bytes"`
		Attempts   int               `json:"attempts"`
		Reason     string            `json:"reason"`
		FirstError string            `json:"first_error"`
		LastError  string            `json:"last_error"`
		EnqueuedAt time.Time         `json:"enqueued_at"`
		DiedAt     time.Time         `json:"died_at"`
		Metadata   map[string]string `json:"metadata"`
	} `json:"dead_letters"`
	Total    int  `json:"total"`
	Complete bool `json:"complete"`
	Counts   []struct {
		Reason   string `json:"reason"`
		Source   string `json:"source"`
		Priority string `json:"priority"`
		Items    int    `json:"items"`
		Samples  int    `json:"samples"`
	} `json:"counts"`
}

func strict(t *testing.T, text []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

func TestDeadLettersOfAStoppedDirectoryAsJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := deadOfEveryKind(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	ask := func(args ...string) []byte {
		code, stdout, stderr := call(t, append(args, "--data", dir, "--json")...)
		if code != exitDone {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
		return []byte(stdout)
	}
	var list listed
	strict(t, ask("dead-letters", "list"), &list)
	if list.Total != 4 || !list.Complete || len(list.DeadLetters) != 4 || len(list.Counts) != 3 {
		t.Fatalf("%+v", list)
	}
	first := list.DeadLetters[0]
	if first.ID != "0100000000000001" || first.Samples != 27 || first.Attempts != 4 || first.Reason != queue.ReasonExhausted ||
		first.FirstError != "disk I/O error" || !first.EnqueuedAt.Equal(stoppedAt()) || !first.DiedAt.Equal(stoppedAt().Add(4*time.Minute)) {
		t.Errorf("%+v", first)
	}
	var stats struct {
		Running    bool           `json:"running"`
		Durability string         `json:"durability"`
		WhenFull   string         `json:"when_full"`
		MaxSize    int            `json:"max_size"`
		Size       int            `json:"current_size"`
		ByPriority map[string]int `json:"by_priority"`
		Dead       int            `json:"dead_letters"`
		OldestAge  float64        `json:"oldest_age_seconds"`
	}
	strict(t, ask("queue", "stats"), &stats)
	if stats.Running || stats.Durability != "power_loss" || stats.Size != 2 || stats.Dead != 4 || stats.ByPriority["low"] != 1 || stats.OldestAge <= 0 {
		t.Errorf("%+v", stats)
	}
	var shown struct {
		Contents contentsView `json:"contents"`
	}
	if err := json.Unmarshal(ask("dead-letters", "show", first.ID), &shown); err != nil || len(shown.Contents.Samples) != 27 || shown.Contents.Total != 27 {
		t.Errorf("not all samples: %v, %+v", err, shown)
	}
	if err := json.Unmarshal(ask("dead-letters", "show", first.ID, "--limit", "2"), &shown); err != nil || len(shown.Contents.Samples) != 2 {
		t.Errorf("not two samples: %v, %+v", err, shown)
	}
}

// TestDeadLetterScripts runs the commands on the directory of a dynotap that
// is not running.
func TestDeadLetterScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script", "stopped"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			return deadOfEveryKind(context.Background(), filepath.Join(env.WorkDir, "data"))
		},
	})
}

func TestWhatWasLeftOutIsTold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n, total int
		want     string
	}{
		{3, 3, "deleted 3 dead letters\n"},
		{1, 3, "deleted 1 dead letter\n2 more are as they were; if the clock was set back since they died, name them by their IDs\n"},
	} {
		var out strings.Builder
		if err := sayDeleted(&out, countView{tt.n}, tt.total, false); err != nil || out.String() != tt.want {
			t.Errorf("%d of %d: %v %q", tt.n, tt.total, err, out.String())
		}
	}
}

func TestErrorsAreCutToTheTerminal(t *testing.T) {
	t.Parallel()
	died := stoppedAt()
	letters := []letterView{
		{ID: "0100000000000001", Source: "jetdrive", Priority: "high", Samples: 141, Attempts: 4, Reason: queue.ReasonExhausted, LastError: strings.Repeat("wörld ", 80) + "is why", DiedAt: &died},
		{ID: "0100000000000002", Source: "jetdrive", Priority: "high", Reason: queue.ReasonDamaged, LastError: "first line\nsecond\x1b[31m"},
	}
	for _, tt := range []struct {
		name         string
		width, lines int
		whole        bool
	}{
		{"no terminal", 0, 4, true}, {"narrow", 80, 6, false}, {"wide", 200, 4, false}, {"very narrow", 20, 6, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if err := printLetters(&out, letters, tt.width); err != nil {
				t.Fatal(err)
			}
			text := out.String()
			lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
			if len(lines) != tt.lines || strings.Contains(text, "\x1b") || strings.Contains(text, "second") {
				t.Errorf("%d lines:\n%s", len(lines), text)
			}
			if tt.width != 20 && !strings.Contains(text, "is why") {
				t.Errorf("the end is cut off:\n%s", text)
			}
			if whole := strings.Contains(text, strings.TrimSpace(letters[0].LastError)); whole != tt.whole {
				t.Errorf("whole error: %v", whole)
			}
			for _, line := range lines {
				if tt.width >= 80 && lipgloss.Width(line) > tt.width {
					t.Errorf("%d columns: %s", lipgloss.Width(line), line)
				}
			}
		})
	}
}
