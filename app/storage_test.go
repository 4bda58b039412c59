package app

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dynotap/internal/db"
	"dynotap/pipeline/imports"
	"dynotap/queue"
	"dynotap/store"
)

// emptyStore is a store in a directory, for as long as the test runs.
func emptyStore(t *testing.T, dir string) (*db.DB, *store.Store) {
	t.Helper()
	d, err := db.Open(t.Context(), dir, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	st, err := store.Open(t.Context(), d, dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d, st
}

// TestStorageWarnsLongBeforeTheDiskIsFull: by hours at the present rate, by
// bytes, and by the disk's part.
func TestStorageWarnsLongBeforeTheDiskIsFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, st := emptyStore(t, dir)
	const tb = 1e12
	for name, test := range map[string]struct {
		free, total uint64
		fails       error
		rate        float64
		want        string // "" for no warning
		hours       float64
	}{
		"room":                 {free: tb / 2, total: tb},
		"room while recording": {free: tb / 2, total: tb, rate: 1e5, hours: 277},
		"a tenth":              {free: 90_900_000_000, total: tb, want: "is 91 % full, 90.9 GB are free"},
		"few bytes":            {free: 4e9, total: 8e9, want: "is 50 % full, 4.0 GB are free"},
		"few hours":            {free: 3e11, total: tb, rate: 3e6, hours: 5.5, want: "lasts for 5.6 hours of recording"},
		"minutes":              {free: 3e10, total: 1e11, rate: 3e6, hours: 0.55, want: "lasts for 33 minutes of recording"},
		"not known":            {fails: errors.New("no such call"), want: "is not known: no such call"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &storage{
				dir: dir, store: st, queue: queue.Defaults(), rate: func() float64 { return test.rate }, now: time.Now,
				space:     func(string) (free, total uint64, err error) { return test.free, test.total, test.fails },
				retention: (&retention{}).view,
			}
			got, err := s.Storage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if (got.Warning == "") != (test.want == "") || !strings.Contains(got.Warning, test.want) {
				t.Errorf("warning %q, want %q", got.Warning, test.want)
			}
			if (got.HoursLeft != nil) != (test.hours > 0) || got.HoursLeft != nil && (*got.HoursLeft < test.hours || *got.HoursLeft > test.hours+1) {
				t.Errorf("hours left %v, want %v", got.HoursLeft, test.hours)
			}
			if got.PerMinute != 60*test.rate*usualSample || (got.Free == nil) != (test.fails != nil) {
				t.Errorf("%+v", got)
			}
			if got.Retention.Runs || got.Retention.DeadLetters != queue.Defaults().DeadLetterMax || got.Retention.DeadLetterDays != nil {
				t.Errorf("retention %+v", got.Retention)
			}
		})
	}
}

// TestStorageCountsWhatLiesThere: what waits, the imported files, what was
// sealed and what was set aside are as large as they are.
func TestStorageCountsWhatLiesThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	leftOnDisk(t, dir) // one byte
	inMemory := map[string]string{"queue.persist_to_disk": "false"}
	a, _ := record(t, dir, newDump(200), inMemory)
	await(t, "all is recorded", func() bool { return a.cell.stats().Total.Processed == 200*each })
	await(t, "the inbox is watched: what was cut off has been looked for", func() bool {
		_, err := os.Stat(filepath.Join(dir, "inbox"))
		return err == nil
	})
	text := "time (s),rpm\n0,1000\n0.05,1100\n"
	if _, err := a.imports.Import(t.Context(), "x.csv", strings.NewReader(text), imports.How{}); err != nil {
		t.Fatal(err)
	}
	a.end(t)

	a, _ = record(t, dir, newDump(0), inMemory)
	defer a.end(t)
	aside := filepath.Join(dir, db.QuarantineName, "old")
	if err := errors.Join(os.MkdirAll(aside, 0o700), os.WriteFile(filepath.Join(aside, "damaged"), make([]byte, 321), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := newStorage(a)
	got, err := s.Storage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var sealed int64
	for _, content := range sums(t, dir) {
		sealed += int64(len(content))
	}
	sealed -= int64(len(text)) // an original
	if got.Queue != 1 || got.Originals != int64(len(text)) || got.Quarantine != 321 || got.Runs != sealed || got.Database == 0 || got.Free == nil {
		t.Errorf("%+v, sealed files of %d bytes", got, sealed)
	}
	if s.rate = func() float64 { return 1 }; s.perMinute(t.Context()) == 60*usualSample {
		t.Error("what a sample takes was not measured")
	}
}

// sums gives the files of a directory that a backup holds.
func sums(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, folder := range []string{"captures", "originals"} {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			all[strings.TrimPrefix(path, dir)] = text
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}
