package imports

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/csv"
	"dynotap/internal/db"
	"dynotap/pipeline"
	"dynotap/sample"
	"dynotap/store"
	"dynotap/validate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const table = "Time (s),Engine RPM,Power (hp)\n0.0,2000,10\n0.1,2100,11\n0.2,2200,x\n0.3,2300,13\n"

// rig is an importer on a data directory of its own.
type rig struct {
	*Importer
	t   *testing.T
	dir string
	db  *db.DB
}

func openRig(t *testing.T, dir string, change func(*Options)) *rig {
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
	s, err := store.Open(t.Context(), d, dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := channel.NewResolver(nil)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		DB: d, Store: s, Dir: dir, Formats: []format.Named{{Name: "csv", Format: csv.New(format.Settings{})}},
		Resolver: resolver, Ranges: validate.DefaultRanges(), Now: func() int64 { return 1_700_000_000_000_000 },
		Validation: func(string) validate.Settings {
			return validate.Settings{Enabled: true, RejectNaN: true, RejectOutOfRange: true}
		},
	}
	if change != nil {
		change(&o)
	}
	return &rig{Importer: New(o), t: t, dir: dir, db: d}
}

// samples counts what is stored of a capture.
func (r *rig) samples(capture string) (n int) {
	r.t.Helper()
	err := r.opts.Store.Read(r.t.Context(), store.Query{Capture: capture}, func(_ *store.Channel, points []store.Point) error {
		n += len(points)
		return nil
	})
	if err != nil {
		r.t.Error(err)
	}
	return n
}

// account is what is booked of a format; it must add up.
func (r *rig) account(name string) pipeline.Account {
	r.t.Helper()
	accounts, total := r.opts.Ledger.Snapshot()
	if total.Balance() != 0 {
		r.t.Errorf("the sum is off: %+v", total)
	}
	return accounts[name]
}

func (r *rig) originals() (names []string) {
	r.t.Helper()
	entries, err := os.ReadDir(filepath.Join(r.dir, originalsDir))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestTheSameContentIsTheSameRun(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), nil)
	first, err := r.Import(t.Context(), "a.csv", strings.NewReader(table), How{})
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Runs) != 1 || first.ErrorCount != 1 || first.Errors[0].Line != 4 || first.Errors[0].Column != 3 || first.Rejected() != 1 {
		t.Fatalf("%+v", first)
	}
	run := first.Runs[0]
	if run.SampleCount != 7 || run.DataPointCount != 4 || *run.PeakHP != 13 || run.Name != "a" || run.StartedAt != nil {
		t.Errorf("%+v", run)
	}
	if a := r.account("csv"); a.Received != 7 || a.Processed != 7 || a.Failed != 0 {
		t.Errorf("booked %+v", a)
	}
	again, err := r.Import(t.Context(), "copy of a.csv", strings.NewReader(table), How{})
	if err != nil || !again.Already || len(again.Runs) != 1 || again.Runs[0].ID != run.ID || again.ErrorCount != 1 {
		t.Errorf("%+v, %v", again, err)
	}
	forced, err := r.Import(t.Context(), "a.csv", strings.NewReader(table), How{Force: true})
	if err != nil || forced.Already || forced.Runs[0].ID != run.ID || r.samples(run.ID) != 7 {
		t.Errorf("%+v, %v, %d samples", forced, err, r.samples(run.ID))
	}
	// In another directory it is the same run too.
	other, err := openRig(t, t.TempDir(), nil).Import(t.Context(), "b.csv", strings.NewReader(table), How{})
	if err != nil || other.Runs[0].ID != run.ID {
		t.Errorf("%+v, %v", other, err)
	}
	if names := r.originals(); len(names) != 1 || !strings.HasPrefix(names[0], run.ID[:32]) || !strings.HasSuffix(names[0], ".csv") {
		t.Errorf("originals: %q", names)
	}
}

func TestADeletedRunMayBeImportedAgain(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), nil)
	for range 2 {
		report, err := r.Import(t.Context(), "a.csv", strings.NewReader(table), How{})
		if err != nil || report.Already {
			t.Fatalf("%+v, %v", report, err)
		}
		id := report.Runs[0].ID
		if n := r.samples(id); n != 7 {
			t.Errorf("%d samples", n)
		}
		if err := r.DeleteRun(t.Context(), id, false); err != nil {
			t.Fatal(err)
		}
		if _, err := r.opts.Store.Capture(t.Context(), id); !errors.Is(err, store.ErrNoCapture) || len(r.originals()) != 0 {
			t.Errorf("the last run is deleted: %v, and the copy %q is left", err, r.originals())
		}
	}
}

// TestTheCopyOfAFileStaysForItsOtherRuns: a pull within it, say; deleting all of
// them takes it away.
func TestTheCopyOfAFileStaysForItsOtherRuns(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), nil)
	report, err := r.Import(t.Context(), "a.csv", strings.NewReader(table), How{})
	if err != nil {
		t.Fatal(err)
	}
	id := report.Runs[0].ID
	for _, pull := range []string{"one", "two"} {
		if err := r.opts.Store.PutRun(t.Context(), store.Run{ID: pull, Capture: id, Kind: "pull", EndedUS: new(int64(1))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.DeleteRun(t.Context(), id, false); err != nil || len(r.originals()) != 1 || r.samples(id) != 7 {
		t.Errorf("%v, %q, %d samples", err, r.originals(), r.samples(id))
	}
	if err := r.DeleteRun(t.Context(), "one", true); err != nil || len(r.originals()) != 0 {
		t.Errorf("all: %v, %q", err, r.originals())
	}
	if _, err := r.opts.Store.Capture(t.Context(), id); !errors.Is(err, store.ErrNoCapture) {
		t.Errorf("its samples: %v", err)
	}
	if err := r.DeleteRun(t.Context(), "two", false); !errors.Is(err, store.ErrNoRun) {
		t.Errorf("a run that went with the others: %v", err)
	}
}

func TestA1WhatNothingCanBeTakenOfIsRefusedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	limit := func(o *Options) {
		o.Limit = func(string) int64 { return 1000 }
		o.Encodings = func(string) []string { return []string{"utf-8"} }
	}
	for name, test := range map[string]struct{ content, says string }{
		"empty":     {"", "the file is empty"},
		"unknown":   {"\x00\x01\x02\x03", "no format knows this file: tried csv"},
		"no sample": {"time,rpm\n0.1,x\n0.2,y\n", "has no samples: column 2, \"rpm\", holds words"},
		"encoding":  {"time,temp\xe9rature\n0.1,1\n0.2,2\n", "supported_encodings, which has utf-8"},
		"too large": {table + strings.Repeat("0.4,2300,13\n", 100), "max_file_size_mb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openRig(t, t.TempDir(), limit)
			report, err := r.Import(t.Context(), "a.csv", strings.NewReader(test.content), How{})
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%+v, %v", report, err)
			}
			if names := r.originals(); len(names) != 0 {
				t.Errorf("left: %q", names)
			}
			if runs, _, err := r.opts.Store.Runs(t.Context(), store.RunFilter{}); err != nil || len(runs) != 0 {
				t.Errorf("%v, %v", runs, err)
			}
		})
	}
}

// breaking is a format that ends the import in its middle.
type breaking struct {
	format.Format
	after int
	stop  func()
}

type breakingSink struct {
	format.RunSink
	b *breaking
}

func (b *breaking) Read(ctx context.Context, r io.ReaderAt, size int64, sink format.RunSink) error {
	return b.Format.Read(ctx, r, size, &breakingSink{sink, b})
}

func (s *breakingSink) Batch(b *sample.Batch) error {
	if s.b.after--; s.b.after == 0 {
		s.b.stop()
	}
	return s.RunSink.Batch(b)
}

func long(rows int) string {
	var text bytes.Buffer
	text.WriteString("time,rpm,tps\n")
	for i := range rows {
		fmt.Fprintf(&text, "%d.%03d,%d,%d\n", i/1000, i%1000, 1000+i%7000, i%100)
	}
	return text.String()
}

func TestAFileThatWasCutOffIsReadAgainAndStoredOnce(t *testing.T) {
	t.Parallel()
	const rows = 500_000
	content := long(rows)
	dir := t.TempDir()
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	r := openRig(t, dir, func(o *Options) {
		o.Formats[0].Format = &breaking{Format: o.Formats[0].Format, after: waiting + 3, stop: cut}
	})
	if _, err := r.Import(ctx, "long.csv", strings.NewReader(content), How{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if names := r.originals(); len(names) != 2 {
		t.Fatalf("originals %q", names)
	}
	if a := r.account("csv"); a.Queued != 0 || a.Dropped == 0 || a.DroppedBy[reasonBroken] != a.Dropped {
		t.Errorf("booked %+v", a)
	}
	r.opts.Formats[0].Format = csv.New(format.Settings{})
	if err := r.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	report, err := r.Import(t.Context(), "long.csv", strings.NewReader(content), How{})
	if err != nil || !report.Already || report.Runs[0].SampleCount != 2*rows {
		t.Fatalf("%v, %v", report.Runs, err)
	}
	if n := r.samples(report.Runs[0].ID); n != 2*rows {
		t.Errorf("%d samples are stored", n)
	}
	if names := r.originals(); len(names) != 1 {
		t.Errorf("originals %q", names)
	}
}

func TestTheSameFileFromTwoSidesIsImportedOnce(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), nil)
	var group sync.WaitGroup
	reports := make([]Report, 8)
	for i := range reports {
		group.Go(func() {
			var err error
			if reports[i], err = r.Import(t.Context(), "a.csv", strings.NewReader(table), How{}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	first := 0
	for i := range reports {
		if !reports[i].Already {
			first++
		}
	}
	if first != 1 || r.samples(reports[0].Runs[0].ID) != 7 {
		t.Errorf("imported %d times, %d samples", first, r.samples(reports[0].Runs[0].ID))
	}
}

func TestNoRoomNoImport(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is nearly full")
	r := openRig(t, t.TempDir(), func(o *Options) { o.Room = func() error { return full } })
	if _, err := r.Import(t.Context(), "a.csv", strings.NewReader(table), How{}); !errors.Is(err, full) {
		t.Error(err)
	}
}

func BenchmarkParseToSealedRun(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("time")
	for c := range 100 {
		fmt.Fprintf(&text, ",Channel %d", c)
	}
	for i := 0; text.Len() < 27_000_000; i++ {
		fmt.Fprintf(&text, "\n%.2f", float64(i)/100)
		for c := range 100 {
			fmt.Fprintf(&text, ",%.3f", 100+float64((i*7+c*13)%10000)/10)
		}
	}
	content := text.Bytes()
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		d, err := db.Open(b.Context(), dir, db.Options{Fsync: true})
		if err != nil {
			b.Fatal(err)
		}
		s, err := store.Open(b.Context(), d, dir, store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		resolver, _ := channel.NewResolver(nil)
		im := New(Options{
			DB: d, Store: s, Dir: dir, Formats: []format.Named{{Name: "csv", Format: csv.New(format.Settings{})}},
			Resolver: resolver, Ranges: validate.DefaultRanges(), Now: func() int64 { return 1 },
			Validation: func(string) validate.Settings { return validate.Settings{Enabled: true} },
		})
		b.StartTimer()
		report, err := im.Import(b.Context(), "a.csv", bytes.NewReader(content), How{})
		if err != nil || len(report.Runs) != 1 {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// slow gives its text after what it waits for.
type slow struct {
	begun, wait chan struct{}
	text        *strings.Reader
}

func (s *slow) Read(p []byte) (int, error) {
	if s.begun != nil {
		close(s.begun)
		s.begun = nil
		<-s.wait
	}
	return s.text.Read(p)
}

// What an earlier start was cut off from goes; what is being copied stays.
func TestResumeLeavesWhatIsBeingCopiedAlone(t *testing.T) {
	t.Parallel()
	r := openRig(t, t.TempDir(), nil)
	stale := filepath.Join(r.dir, originalsDir, incomingPrefix+"1")
	if err := errors.Join(os.MkdirAll(filepath.Dir(stale), 0o700), os.WriteFile(stale, []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	in := &slow{begun: make(chan struct{}), wait: make(chan struct{}), text: strings.NewReader(table)}
	begun := in.begun
	var report Report
	var err error
	var group sync.WaitGroup
	group.Go(func() { report, err = r.Import(t.Context(), "a.csv", in, How{}) })
	<-begun
	if err := r.Resume(t.Context()); err != nil {
		t.Error(err)
	}
	close(in.wait)
	group.Wait()
	if err != nil || len(report.Runs) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if names := r.originals(); len(names) != 1 || strings.HasPrefix(names[0], ".") {
		t.Errorf("originals %q", names)
	}
}

// TestAUnitThatNobodyGaveIsDoubted: where another fits all values, and only
// where most do not fit.
func TestAUnitThatNobodyGaveIsDoubted(t *testing.T) {
	t.Parallel()
	const fits = "in °C all would be good: write \"CLT (°C)\" in the header"
	for name, test := range map[string]struct{ header, values, says string }{
		"coolant in °C":           {"CLT", "85 86 87", fits},
		"coolant in °F":           {"CLT", "185 186 187", ""},
		"cold in any unit":        {"CLT", "-20 -10 0", ""},
		"most are good":           {"CLT", "85 190 195", ""},
		"the header says so":      {"CLT (°F)", "85 86 87", ""},
		"the header says °C":      {"CLT (°C)", "85 86 87", ""},
		"pressure in psi":         {"MAP", "14.5 14.6 14.7", "in psi all would be good"},
		"barometer in kPa":        {"Barometric Pressure", "99 99.5 100", "in kPa all would be good"},
		"a name without a unit":   {"VE", "85 86 87", ""},
		"a channel nobody knows":  {"Channel 7", "1e9 1e9 1e9", ""},
		"the user says which":     {"T7", "85 86 87", `"T7 (°C)"`},
		"thousands of rpm":        {"Engine Speed", "2 2.5 3", "in krpm all would be good"},
		"thousands of RPM":        {"RPM", "2 2.5 3", `write "RPM (krpm)"`},
		"thousands of engine RPM": {"Engine RPM", "2 2.5 3", "in krpm all would be good"},
		"slow in brackets":        {"Engine (RPM)", "2 2.5 3", ""},
		"a lambda called AFR":     {"AFR", "0.85 0.9 1", `in lambda all would be good: write "AFR (lambda)"`},
		"an AFR called lambda":    {"Lambda", "12.5 13 14.7", "in AFR all would be good"},
		"bad in every other unit": {"MAP", "1e6 1e6 1e6", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var table strings.Builder
			table.WriteString("Time (s)," + test.header + "\n")
			for i, v := range strings.Fields(test.values) {
				fmt.Fprintf(&table, "%d,%s\n", i, v)
			}
			r := openRig(t, t.TempDir(), func(o *Options) {
				var err error
				if o.Resolver, err = channel.NewResolver(channel.Mapping{"T7": "ect"}); err != nil {
					t.Fatal(err)
				}
				o.Validation = func(string) validate.Settings { return validate.Settings{Enabled: true} }
			})
			report, err := r.Import(t.Context(), "a.csv", strings.NewReader(table.String()), How{})
			if err != nil {
				t.Fatal(err)
			}
			warned := slices.ContainsFunc(report.Warnings, func(w string) bool { return test.says != "" && strings.Contains(w, test.says) })
			if warned != (test.says != "") || !warned && slices.ContainsFunc(report.Warnings, func(w string) bool { return strings.Contains(w, "has no unit") }) {
				t.Errorf("%q", report.Warnings)
			}
		})
	}
}
