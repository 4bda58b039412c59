package db

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dynotap/internal/durable"
)

// QuarantineName is the folder within the data directory that holds damaged
// databases, each in a folder named after the time (UTC).
const QuarantineName = "quarantine"

// Names within a quarantine.
const (
	reportText = "report.txt"  // for people
	reportData = "report.json" // a Quarantine
	// building becomes built when it is complete. From then on it takes the
	// place of the damaged database, whenever that is interrupted.
	building = "new.db.part"
	built    = "new.db"
)

// Problem is one place that was damaged.
type Problem struct {
	File   string `json:"file"`            // base name
	Page   uint32 `json:"page,omitempty"`  // from 1; 0: none
	Pages  uint32 `json:"pages,omitempty"` // how many from there on
	Offset int64  `json:"offset"`          // bytes from the beginning of the file
	What   string `json:"what"`
}

func (p Problem) String() string {
	switch {
	case p.Pages > 1:
		return fmt.Sprintf("%s, pages %d to %d (offset %d): %s", p.File, p.Page, p.Page+p.Pages-1, p.Offset, p.What)
	case p.Page > 0:
		return fmt.Sprintf("%s, page %d (offset %d): %s", p.File, p.Page, p.Offset, p.What)
	case p.Offset > 0:
		return fmt.Sprintf("%s, offset %d: %s", p.File, p.Offset, p.What)
	}
	return p.File + ": " + p.What
}

// covered reports whether a page of the main file is among those of problems.
func covered(problems []Problem, page uint32) bool {
	return page > 0 && slices.ContainsFunc(problems, func(p Problem) bool {
		return p.Page > 0 && p.Page <= page && page < p.Page+p.Pages
	})
}

// TableLoss says what became of a table's rows.
type TableLoss struct {
	Table string `json:"table"`
	Saved int64  `json:"saved"`
	Lost  int64  `json:"lost"` // -1: some, nothing tells how many
}

// SourceLoss says what became of a source's items in the queue or, Dead, in
// the dead letters.
type SourceLoss struct {
	Source       string `json:"source"`
	Dead         bool   `json:"dead"`
	Saved        int64  `json:"saved"`
	Lost         int64  `json:"lost"`
	SavedSamples int64  `json:"saved_samples"`
	LostSamples  int64  `json:"lost_samples"`
}

// Quarantine is a damaged database that was set aside and replaced by a new
// one with all that could be read.
type Quarantine struct {
	Dir      string      `json:"-"`
	Time     time.Time   `json:"time"`
	Problems []Problem   `json:"problems"`
	Tables   []TableLoss `json:"tables"`
	// Sources is what was lost of the queue, source by source, as its totals
	// tell. It is nil where they could not be read: Tables says what was saved.
	Sources []SourceLoss `json:"sources,omitempty"`
}

// Quarantined lists the quarantines that are in the data directory, the newest
// last. It is as it was when the directory was opened.
func (d *DB) Quarantined() []Quarantine { return slices.Clone(d.quarantines) }

// Lost is how many rows of a table were lost, -1 for some.
func (q *Quarantine) Lost(table string) int64 {
	for _, t := range q.Tables {
		if t.Table == table {
			return t.Lost
		}
	}
	return 0
}

func (q *Quarantine) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "The database was damaged when dynotap started at %s.\n", q.Time.Format(time.RFC3339))
	b.WriteString("The damaged files are here as they were found. What could be read is in the new database.\n\nDamage:\n")
	for _, p := range q.Problems {
		fmt.Fprintf(&b, "  %s\n", p)
	}
	b.WriteString("\nRows saved and lost, by table:\n")
	for _, t := range q.Tables {
		fmt.Fprintf(&b, "  %-14s %d saved, %s\n", t.Table, t.Saved, lostText(t.Lost))
	}
	if len(q.Sources) > 0 {
		b.WriteString("\nThe queue and the dead letters, by source:\n")
	}
	for _, s := range q.Sources {
		where := "waiting"
		if s.Dead {
			where = "dead letters"
		}
		fmt.Fprintf(&b, "  %s, %s: %d items (%d samples) saved, %d items (%d samples) lost\n",
			s.Source, where, s.Saved, s.SavedSamples, s.Lost, s.LostSamples)
	}
	return b.String()
}

func lostText(n int64) string {
	switch {
	case n < 0:
		return "some lost, nothing tells how many"
	case n == 0:
		return "none lost"
	}
	return fmt.Sprintf("%d lost", n)
}

// write leaves the report beside the damaged files.
func (q *Quarantine) write() error {
	data, err := json.MarshalIndent(q, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	for name, content := range map[string][]byte{reportData: data, reportText: []byte(q.text())} {
		if err := writeSynced(filepath.Join(q.Dir, name), content); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	return nil
}

func writeSynced(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Sync(), file.Close())
}

// newQuarantine makes a folder of its own.
func newQuarantine(dir string) (*Quarantine, error) {
	q := &Quarantine{Time: time.Now().UTC().Truncate(time.Second)}
	root := filepath.Join(dir, QuarantineName)
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("create quarantine: %w", err)
	}
	name := q.Time.Format("2006-01-02T15.04.05Z")
	for n := 1; ; n++ {
		q.Dir = filepath.Join(root, name)
		if n > 1 {
			q.Dir += fmt.Sprintf("-%d", n)
		}
		err := os.Mkdir(q.Dir, 0o700)
		if err == nil {
			return q, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("create quarantine: %w", err)
		}
	}
}

// abandon removes a quarantine that never came to hold anything.
func (q *Quarantine) abandon() error {
	var errs []error
	for _, name := range []string{building, building + walSuffix, building + shmSuffix, building + journalSuffix, reportData, reportText} {
		if err := os.Remove(filepath.Join(q.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, os.Remove(q.Dir))
	_ = os.Remove(filepath.Dir(q.Dir)) // unless it holds others
	return errors.Join(errs...)
}

// swap puts the complete new database in the place of the damaged one. It may
// be interrupted at any point and called again.
func (q *Quarantine) swap(dir string) error {
	for _, suffix := range []string{walSuffix, journalSuffix, ""} { // a main file without its WAL would look whole
		from, to := filepath.Join(dir, FileName+suffix), filepath.Join(q.Dir, FileName+suffix)
		if _, err := os.Lstat(to); err == nil {
			continue // it was moved before the interruption
		}
		if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move the damaged database away: %w", err)
		}
	}
	if err := os.Remove(filepath.Join(dir, FileName+shmSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove shared memory: %w", err)
	}
	if err := errors.Join(durable.Dir(q.Dir), durable.Dir(dir)); err != nil {
		return fmt.Errorf("make the move durable: %w", err)
	}
	if err := os.Rename(filepath.Join(q.Dir, built), filepath.Join(dir, FileName)); err != nil {
		return fmt.Errorf("put the new database in its place: %w", err)
	}
	return errors.Join(durable.Dir(dir), durable.Dir(q.Dir))
}

// quarantines lists what is there, the newest last.
func quarantines(dir string) ([]Quarantine, error) {
	root := filepath.Join(dir, QuarantineName)
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list quarantines: %w", err)
	}
	var found []Quarantine
	for _, entry := range entries {
		q := Quarantine{Dir: filepath.Join(root, entry.Name())}
		data, err := os.ReadFile(filepath.Join(q.Dir, reportData))
		if err == nil && json.Unmarshal(data, &q) == nil {
			found = append(found, q)
		}
	}
	slices.SortStableFunc(found, func(a, b Quarantine) int { return a.Time.Compare(b.Time) })
	return found, nil
}
