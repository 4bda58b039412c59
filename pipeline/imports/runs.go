package imports

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"dynotap/internal/db"
	"dynotap/run"
	"dynotap/sample"
	"dynotap/store"
)

// ended is a run whose samples are all stored and that is to be entered.
type ended struct {
	capture string
	runs    []run.Run // the file's, then its pulls
	endedUS int64
}

// enter saves the run that has ended, with more in the same commit.
func (s *sink) enter(also ...db.Effect) error {
	e := s.ended
	s.ended = nil
	if e == nil {
		return nil
	}
	also = append(also, store.EndEffect(e.capture, e.endedUS))
	return s.im.archive.Save(s.ctx, e.capture, 0, nil, e.runs, also...)
}

// inMemory is an archive of which one capture is read from memory.
type inMemory struct {
	run.Archive
	snapshot *run.Snapshot
}

func (a inMemory) Read(ctx context.Context, q store.Query, fn func(*store.Channel, []store.Point) error) error {
	return a.snapshot.Read(ctx, q, fn)
}

// analyse makes the run of the file's samples, and those of the pulls in it.
// What is small is in memory still, and is sealed whenever what was recorded is;
// the rest is sealed before, because it is read several times and files know where each
// channel lies.
func (s *sink) analyse() ([]run.Run, error) {
	archive := s.im.archive
	if s.samples <= inMemorySamples && len(s.order) == 1 {
		archive = inMemory{archive, run.NewSnapshot(s.capture.ID, s.order[0].set, s.kept)}
	} else if err := s.im.opts.Store.Seal(s.ctx, s.capture.ID, 0); err != nil {
		return nil, err
	}
	r, err := s.summarise(archive)
	if err != nil {
		return nil, err
	}
	pulls, err := run.PullRuns(s.ctx, archive, *s.capture, run.PullSettings{})
	s.report.Pulls += len(pulls)
	if len(pulls) == 1 && isWhole(&pulls[0], &r) {
		pulls = nil
	}
	for i := range pulls {
		pulls[i].Name = r.Name + ", " + pulls[i].Name // every file has a Pull 1
	}
	return append([]run.Run{r}, pulls...), err
}

// isWhole reports whether a file is one pull, which needs no second entry in
// the list: it takes nine tenths of the time.
func isWhole(pull, file *run.Run) bool { return 10*pull.DurationMS >= 9*file.DurationMS }

func (s *sink) summarise(archive run.Archive) (run.Run, error) {
	index := len(s.report.Runs)
	name := s.begun.Name
	if name == "" {
		name = strings.TrimSuffix(s.file.name, filepath.Ext(s.file.name))
		if index > 0 {
			name = fmt.Sprintf("%s (%d)", name, index+1)
		}
	}
	r := run.Run{
		ID: s.capture.ID, Capture: s.capture.ID, Kind: run.KindImport, Source: s.capture.Source, Name: name,
		Notes: s.notes(), Tags: []string{}, From: new(s.from), To: new(s.to),
	}
	if s.begun.Dated {
		r.StartedAt = new(sample.Time(s.from))
	}
	var err error
	r.Summary, err = run.Summarise(s.ctx, archive, s.capture.ID, s.from, s.to)
	for _, n := range s.rejected {
		r.Rejected += n
	}
	if err == nil {
		err = s.doubtUnits(archive, r.Channels)
	}
	r.Channels = s.withEmpty(r.Channels)
	return r, err
}

// notes is what the file's head says.
func (s *sink) notes() string {
	lines := slices.Clone(s.begun.Notes)
	for _, key := range slices.Sorted(maps.Keys(s.begun.Facts)) {
		lines = append(lines, key+": "+s.begun.Facts[key])
	}
	return strings.Join(lines, "\n")
}

// withEmpty adds the channels that the file has and that never hold a value.
func (s *sink) withEmpty(list []run.ChannelSummary) []run.ChannelSummary {
	has := map[string]bool{}
	for i := range list {
		has[list[i].Key] = true
	}
	for _, p := range s.order {
		for _, c := range p.set.Channels() {
			if has[c.Key] {
				continue
			}
			has[c.Key] = true
			list = append(list, run.ChannelSummary{
				Key: c.Key, Device: c.Provider, Label: c.Label, Name: c.Name, Unit: c.Unit, NativeUnit: c.NativeUnit,
			})
		}
	}
	slices.SortFunc(list, func(a, b run.ChannelSummary) int { return sample.CompareChannelKeys(a.Key, b.Key) })
	return list
}
