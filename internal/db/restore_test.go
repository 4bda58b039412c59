package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"dynotap/internal/db/dbtest"
)

// oldFormat is a database as this program made it before pages had sums, with
// all rows: its pages reserve nothing.
func oldFormat(t *testing.T) files {
	t.Helper()
	dir := t.TempDir()
	raw, err := sqlite3.Open(filepath.Join(dir, FileName))
	check(t, err)
	script, err := migrationFS.ReadFile("migrations/0001.sql")
	check(t, err)
	check(t, raw.Exec(`PRAGMA journal_mode=WAL; BEGIN; `+string(script)+fmt.Sprintf(`; PRAGMA application_id=%d; PRAGMA user_version=1; COMMIT`, applicationID)))
	conn := newConn(raw)
	check(t, conn.Exec(`BEGIN`), fill(conn), conn.Exec(`COMMIT`), conn.shut())
	f := load(dir)
	if f[FileName][reserveAt] != 0 {
		t.Fatal("that database has sums")
	}
	return f
}

func TestQ13OlderFormatGetsSums(t *testing.T) {
	t.Parallel()
	f, want := oldFormat(t), prepared(t).cleanRows
	dir := t.TempDir()
	f.save(t, dir)
	d := openIn(t, dir)
	is, err := dump(d)
	check(t, err)
	sound(t, d)
	if is.last([]rows{want}) < 0 || len(d.Quarantined()) > 0 {
		t.Errorf("rows differ, or %v", d.Quarantined())
	}
	check(t, d.Close())
	after := load(dir)[FileName]
	if after[reserveAt] != sumSize {
		t.Fatalf("%d bytes are reserved", after[reserveAt])
	}
	for at := 0; at < len(after); at += usualPageSize {
		if !summed(after[at : at+usualPageSize]) {
			t.Errorf("page %d has no sum", at/usualPageSize+1)
		}
	}
	openIn(t, dir)
}

// TestQ13OlderFormatInterrupted is killed between the commit of the rewritten
// database and the end of its checkpoint.
func TestQ13OlderFormatInterrupted(t *testing.T) {
	t.Parallel()
	f, want := oldFormat(t), prepared(t).cleanRows
	dir := t.TempDir()
	f.save(t, dir)
	raw, err := sqlite3.Open(filepath.Join(dir, FileName))
	check(t, err)
	_, err = raw.FileControl("main", sqlite3.FCNTL_RESERVE_BYTES, sumSize)
	check(t, err, raw.Exec(`PRAGMA wal_autocheckpoint=0; VACUUM`))
	killed := load(dir)
	check(t, raw.Close())
	merged := load(dir)[FileName]
	for name, pages := range map[string]int{"before the checkpoint": 0, "after its first page": 1, "in the middle": 100} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := killed.copy()
			copy(f[FileName], merged[:pages*usualPageSize])
			dir := t.TempDir()
			f.save(t, dir)
			d := openIn(t, dir)
			is, err := dump(d)
			check(t, err)
			sound(t, d)
			if is.last([]rows{want}) < 0 || len(d.Quarantined()) > 0 {
				t.Errorf("rows differ, or %v", d.Quarantined())
			}
		})
	}
}

func TestQ13OlderFormatDamaged(t *testing.T) {
	t.Parallel()
	old, want := oldFormat(t), prepared(t).cleanRows
	inner, long := pageOf(t, old, queueTable, innerTable), pageOf(t, old, queueTable, 0)
	for _, c := range []damaged{
		{name: "root", damage: func(_ *testing.T, f files) { f[FileName][(inner-1)*usualPageSize] = 99 }, problem: fmt.Sprintf("page %d ", inner)},
		{name: "overflow page", damage: func(_ *testing.T, f files) { clear(f[FileName][(long-1)*usualPageSize : long*usualPageSize]) }, problem: "row", lossy: []string{queueTable}},
		{name: "first page", damage: func(_ *testing.T, f files) { f[FileName][3] ^= 1 }, problem: "first page"},
		{name: "truncated", damage: func(_ *testing.T, f files) { f[FileName] = f[FileName][:len(f[FileName])-3*usualPageSize] }, problem: errBeyond.Error(), lossy: []string{metaTable, "captures", "segments"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, before{clean: old, cleanRows: want})
		})
	}
}

// TestQ13InterruptedRestoreGoesOn stands at each place at which a start that
// replaces a damaged database may have been killed.
func TestQ13InterruptedRestoreGoesOn(t *testing.T) {
	t.Parallel()
	b := prepared(t)
	bad := b.crashed.copy()
	garble(pageOf(t, b.clean, "chunks", leafTable), 2000)(t, bad)
	done := t.TempDir()
	bad.save(t, done)
	d := openIn(t, done)
	want, err := dump(d)
	check(t, err, d.Close())
	q := d.Quarantined()[0]
	report := load(q.Dir)
	fresh := load(done)[FileName]
	const wal = FileName + walSuffix
	stages := map[string]func(dir, folder files){
		"empty folder": func(dir, _ files) { maps.Copy(dir, bad) },
		"while it reads": func(dir, folder files) {
			maps.Copy(dir, bad)
			folder[building] = fresh[:5000]
			folder[building+walSuffix] = fresh[:100]
		},
		"with a report": func(dir, folder files) {
			maps.Copy(dir, bad)
			folder[building] = fresh
			folder[reportData] = report[reportData]
		},
		"complete": func(dir, folder files) {
			maps.Copy(dir, bad)
			maps.Copy(folder, report)
			folder[built] = fresh
			delete(folder, FileName)
			delete(folder, wal)
		},
		"WAL moved": func(dir, folder files) {
			maps.Copy(dir, bad)
			maps.Copy(folder, report)
			folder[built] = fresh
			delete(folder, FileName)
			delete(dir, wal)
		},
		"both moved": func(dir, folder files) {
			maps.Copy(dir, bad)
			maps.Copy(folder, report)
			folder[built] = fresh
			delete(dir, wal)
			delete(dir, FileName)
		},
		"all moved": func(dir, folder files) {
			maps.Copy(dir, bad)
			maps.Copy(folder, report)
			delete(dir, wal)
			dir[FileName] = fresh
			dir[LockName] = []byte(`{"pid":1,"database":{"exists":true}}`)
		},
	}
	for name, stage := range stages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			folder := filepath.Join(root, QuarantineName, filepath.Base(q.Dir))
			check(t, os.MkdirAll(folder, 0o700))
			inRoot, inFolder := files{}, files{}
			stage(inRoot, inFolder)
			inRoot.save(t, root)
			inFolder.save(t, folder)
			d := openIn(t, root)
			is, err := dump(d)
			check(t, err)
			sound(t, d)
			if is.last([]rows{want}) < 0 {
				t.Error("other rows than without the interruption")
			}
			found := d.Quarantined()
			if len(found) != 1 || !slices.EqualFunc(found[0].Problems, q.Problems, func(a, b Problem) bool { return a == b }) {
				t.Errorf("quarantines %v", found)
			}
			kept := load(found[0].Dir)
			if !bytes.Equal(kept[FileName], bad[FileName]) || !bytes.Equal(kept[wal], bad[wal]) || kept[built] != nil || kept[building] != nil {
				t.Error("the damaged files are not all kept, or more than they")
			}
		})
	}
}

func TestQ13DamagedOnAFullDisk(t *testing.T) {
	t.Parallel()
	b := prepared(t)
	bad := b.clean.copy()
	garble(pageOf(t, bad, queueTable, leafTable), 2000)(t, bad)
	dir := t.TempDir()
	bad.save(t, dir)
	faults := dbtest.NewFaults(t)
	faults.Full(true)
	d, err := Open(t.Context(), dir, Options{VFS: faults.Name})
	if d != nil || !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), errSum.Error()) {
		t.Errorf("opened with %v", err)
	}
	after := load(dir)
	if !bytes.Equal(after[FileName], bad[FileName]) {
		t.Error("the file was changed")
	}
	if _, err := os.Stat(filepath.Join(dir, QuarantineName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("quarantine: %v", err)
	}
	faults.Full(false)
	if d := openIn(t, dir); len(d.Quarantined()) != 1 {
		t.Errorf("quarantines %v", d.Quarantined())
	}
}

// TestQ13SequenceIsNeverUsedAgain: whatever was lost, a new number is above
// all that were given out.
func TestQ13SequenceIsNeverUsedAgain(t *testing.T) {
	t.Parallel()
	b := prepared(t)
	for name, damage := range map[string]func(t *testing.T, f files){
		"a leaf of meta":  garble(pageOf(t, b.clean, metaTable, leafIndex), 2000),
		"the last leaves": func(_ *testing.T, f files) { clear(f[FileName][len(f[FileName])/2:]) },
		"all":             func(_ *testing.T, f files) { clear(f[FileName]) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := b.clean.copy()
			damage(t, f)
			dir := t.TempDir()
			f.save(t, dir)
			d := openIn(t, dir)
			err := d.Write(t.Context(), func(tx *Tx) error {
				err := tx.Query(`SELECT value FROM meta WHERE key = ?`, func(s *sqlite3.Stmt) error {
					if next := s.ColumnInt64(0); next <= 1_000_000 {
						t.Errorf("sequence %d may have been used", next)
					}
					return nil
				}, sequenceKey)
				if err != nil {
					return err
				}
				if err := tx.Exec(`INSERT INTO chunks (capture, batch, set_id, first_us, last_us, samples, body) VALUES ('', x'', x'', 1, 2, 3, x'')`); err != nil {
					return err
				}
				if seq := tx.LastInsertID(); seq <= 300 {
					t.Errorf("chunk %d is numbered like one that was there", seq)
				}
				return nil
			})
			check(t, err)
		})
	}
}

func TestQ13QuarantineIsLoggedWithItsPlace(t *testing.T) {
	t.Parallel()
	bad := prepared(t).clean.copy()
	garble(pageOf(t, bad, queueTable, leafTable), 2000)(t, bad)
	dir := t.TempDir()
	bad.save(t, dir)
	untouched(t, dir)
	var log bytes.Buffer
	d, err := Open(context.Background(), dir, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	check(t, err, d.Close())
	for _, want := range []string{"level=ERROR", d.Quarantined()[0].Dir, "table=queue", "lost=\"", errSum.Error()} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in %s", want, log.String())
		}
	}
}

// TestQ13TornWithoutFsyncStaysInThePast: what a power cut left behind the last
// whole commit is not taken for damage of a later WAL, nor for its content.
func TestQ13TornWithoutFsyncStaysInThePast(t *testing.T) {
	t.Parallel()
	f := prepared(t).crashed.copy()
	delete(f, LockName)
	delete(f, FileName+shmSuffix)
	f[FileName+walSuffix][walHeaderSize+50*(walFrameHeader+usualPageSize)+2003] ^= 1
	var states []rows
	for _, fsync := range []bool{false, true, true} {
		dir := t.TempDir()
		f.save(t, dir)
		d, err := Open(t.Context(), dir, Options{Fsync: fsync})
		check(t, err)
		state, err := dump(d)
		check(t, err)
		sound(t, d)
		states = append(states, state)
		if len(d.Quarantined()) > 0 {
			t.Errorf("start %d: %v", len(states), d.Quarantined()[0].Problems)
		}
		check(t, d.Write(t.Context(), func(tx *Tx) error {
			return tx.Exec(`INSERT INTO cursors VALUES (?, 1)`, fmt.Sprint("new ", len(states)))
		}))
		f = load(dir)
		check(t, d.Close())
	}
	for i := range states {
		if n := len(states[i]["cursors"]); n != 300+i || i > 0 && !slices.Equal(states[i][queueTable], states[0][queueTable]) {
			t.Errorf("start %d found %d cursors and %d items, the first %d", i+1, n, len(states[i][queueTable]), len(states[0][queueTable]))
		}
	}
}
