package app

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"dynotap/config"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/source"
)

// dump is a source that can wait, as a file can: what was not taken over comes
// again with the next start.
type dump struct {
	set   *sample.ChannelSet
	total int64
	next  atomic.Int64 // number of the batch that has not been taken over
}

func newDump(total int64) *dump {
	c := sample.Channel{Label: "Test Counter", Provider: "Dump", ID: 1}
	c.Key = sample.ChannelKey(c.Provider, c.ID, 0)
	return &dump{set: sample.NewChannelSet("dump", []sample.Channel{c}), total: total}
}

// each is how many samples a batch of a dump has.
const each = 5

// Open is source.Source's.
func (d *dump) Open(context.Context) (source.Reader, error) { return d, nil }

// Close is source.Reader's.
func (d *dump) Close() error { return nil }

// Read emits one batch, until there is none.
func (d *dump) Read(ctx context.Context, emit func(*sample.Batch) error) error {
	at := d.next.Load()
	if at == d.total {
		<-ctx.Done()
		return ctx.Err()
	}
	now := time.Now().UnixMicro()
	b := &sample.Batch{Source: "dump", Set: d.set, Priority: sample.Normal, Received: now}
	for i := range int64(each) {
		n := at*each + i
		b.Samples = append(b.Samples, sample.Sample{Time: now + i, Value: float64(n)})
	}
	if err := emit(b); err != nil {
		return err
	}
	d.next.Add(1)
	return nil
}

// record starts the program in this process with one source, that dump.
func record(t *testing.T, dir string, d *dump, overrides map[string]string) (a *recording, said *bytes.Buffer) {
	t.Helper()
	return recordLogging(t, dir, d, overrides, slog.New(slog.DiscardHandler))
}

func recordLogging(t *testing.T, dir string, d *dump, overrides map[string]string, logger *slog.Logger) (a *recording, said *bytes.Buffer) {
	t.Helper()
	p := &Program{Version: "test", Sources: []SourceSpec{{Name: "dump", Build: func(SourceInput) (LiveSource, error) {
		return LiveSource{Source: d}, nil
	}}}}
	overrides["server.listen"] = "127.0.0.1:0"
	loaded, err := config.Load(config.LoadOptions{Overrides: overrides, Sources: p.sourceNames()})
	if err != nil {
		t.Fatal(err)
	}
	said = new(bytes.Buffer)
	a = &recording{program: p, loaded: loaded, dir: dir, say: newSpeaker(said), logger: logger}
	if err := a.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a, said
}

func (a *recording) end(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := a.stop(ctx); err != nil {
		t.Error(err)
	}
	if err := a.close(); err != nil {
		t.Error(err)
	}
}

// configured writes a configuration file and gives the flag that names it.
func configured(t *testing.T, text string) []string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "dynotap.json")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--config", name}
}

// TestK6RetentionOfDeadLetters: the queue is told how many to keep, and how
// long (Q10 shows that it does).
func TestK6RetentionOfDeadLetters(t *testing.T) {
	t.Parallel()
	if usual := queueingOf(t, nil); usual.DeadLetterMax != 10000 || usual.DeadLetterAge != 0 {
		t.Errorf("%+v", usual)
	}
	changed := queueingOf(t, map[string]string{"retention.dead_letters": "7", "retention.dead_letter_days": "1.5"})
	if changed.DeadLetterMax != 7 || changed.DeadLetterAge != 36*time.Hour {
		t.Errorf("%+v", changed)
	}
}

// TestK6EverySettingOfTheQueueIsRead changes one key of the section queue at a
// time and looks at what that changes in the queue (whose conformance suite
// shows what each does); the three others choose the data directory, the
// driver and the flushing of the database.
func TestK6EverySettingOfTheQueueIsRead(t *testing.T) {
	t.Parallel()
	elsewhere := map[string]bool{"persist_path": true, "persist_to_disk": true, "fsync": true}
	changes := map[string]struct{ value, field string }{
		"max_size":           {"7", "MaxSize"},
		"batch_size":         {"7", "BatchSize"},
		"flush_interval_sec": {"0.25", "FlushInterval"},
		"priority_enabled":   {"false", "PriorityEnabled"},
		"drop_on_full":       {"false", "DropOnFull"},
		"drop_oldest":        {"false", "DropOldest"},
		"max_retries":        {"7", "MaxRetries"},
		"workers":            {"7", "Workers"},
	}
	section := reflect.TypeFor[config.Queue]()
	for i := range section.NumField() {
		key := section.Field(i).Tag.Get("json")
		c, ok := changes[key]
		if !ok {
			if !elsewhere[key] {
				t.Errorf("nobody reads queue.%s", key)
			}
			continue
		}
		usual, changed := queueingOf(t, nil), queueingOf(t, map[string]string{"queue." + key: c.value})
		was, is := reflect.ValueOf(usual), reflect.ValueOf(changed)
		for f := range was.NumField() {
			name := was.Type().Field(f).Name
			if differs := !was.Field(f).Equal(is.Field(f)); differs != (name == c.field) {
				t.Errorf("queue.%s = %s: %s is %v and was %v", key, c.value, name, is.Field(f), was.Field(f))
			}
		}
	}
}

func queueingOf(t *testing.T, overrides map[string]string) queue.Settings {
	t.Helper()
	// A file that says nothing leaves the guide's defaults.
	loaded, err := config.Load(config.LoadOptions{Path: configured(t, "{}")[1], Overrides: overrides})
	if err != nil {
		t.Fatal(err)
	}
	return queueing(&loaded.Config)
}

// TestK6DurabilityIsSaid: what persist_to_disk and fsync leave open is told by
// readyz.
func TestK6DurabilityIsSaid(t *testing.T) {
	t.Parallel()
	const (
		memory = "not durable: the queue is in memory (queue.persist_to_disk is false)"
		crash  = "durable against a crash, not against power loss (queue.fsync is false)"
		late   = "what was stored last may be lost with the power (queue.fsync is false)"
	)
	for name, c := range map[string]struct {
		settings map[string]string
		says     []string
	}{
		"live_capture":          {map[string]string{"preset": config.PresetLiveCapture}, nil},
		"high_reliability":      {map[string]string{"preset": config.PresetHighReliability}, nil},
		"low_latency":           {map[string]string{"preset": config.PresetLowLatency}, []string{memory, late}},
		"on disk without fsync": {map[string]string{"queue.fsync": "false"}, []string{crash}},
		"in memory with fsync":  {map[string]string{"queue.persist_to_disk": "false"}, []string{memory}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := record(t, t.TempDir(), newDump(1), c.settings)
			defer a.end(t)
			await(t, "a batch is taken over", func() bool {
				_, total := a.pipeline.Ledger.Snapshot()
				return total.Received == each
			})
			r := a.readiness(t.Context())
			var said []string
			for _, note := range r.Notes {
				if note == memory || note == crash || note == late {
					said = append(said, note)
				}
			}
			if !reflect.DeepEqual(said, c.says) || len(r.Reasons) > 0 {
				t.Errorf("readyz %+v", r)
			}
		})
	}
}
