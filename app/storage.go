package app

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"dynotap/doctor"
	"dynotap/internal/db"
	"dynotap/queue"
	"dynotap/server"
	"dynotap/store"
	"dynotap/store/backup"
)

const (
	// fewHours and fewBytes: below either the user is warned. A working day
	// leaves time to bring a disk.
	fewHours = 8
	fewBytes = 5e9
	// usualSample is what a sealed sample takes before any was sealed here.
	usualSample = 5.0
	// storageAge is how long what the catalog said of that is good.
	storageAge = 10 * time.Second
)

// storage watches the disk under the data directory.
type storage struct {
	dir   string
	store *store.Store
	queue queue.Settings
	// retention tells what it keeps.
	retention func() server.Retention
	rate      func() float64 // samples that are recorded a second
	space     func(dir string) (free, total uint64, err error)
	now       func() time.Time

	mu        sync.Mutex
	perSample float64 // bytes
	asked     time.Time
}

func newStorage(a *recording) *storage {
	return &storage{
		dir: a.dir, store: a.pipeline.Store, queue: queueing(&a.loaded.Config), retention: a.retention.view, rate: a.cell.rate, space: db.FreeSpace, now: time.Now,
	}
}

// rate is the samples a second that all sources record.
func (c *cell) rate() (sum float64) {
	for _, s := range c.sources {
		sum += s.supervisor.Stats().SamplesPerSecond
	}
	return sum
}

// Storage tells what takes room, and how long the rest lasts.
func (s *storage) Storage(ctx context.Context) (server.Storage, error) {
	out := server.Storage{Directory: s.dir, Retention: s.retention()}
	out.Retention.DeadLetters = s.queue.DeadLetterMax
	if age := s.queue.DeadLetterAge; age > 0 {
		days := age.Hours() / 24
		out.Retention.DeadLetterDays = &days
	}
	sizes, err := s.store.Sizes(ctx)
	if err != nil {
		return out, err
	}
	out.Runs, out.Queue, out.Live, out.Database = sizes.Sealed, sizes.Queue+sizes.Dead, sizes.Live, sizes.Database
	for folder, bytes := range map[string]*int64{backup.Originals: &out.Originals, db.QuarantineName: &out.Quarantine} {
		if *bytes, err = folderBytes(filepath.Join(s.dir, folder)); err != nil {
			return out, err
		}
	}
	out.PerMinute = s.perMinute(ctx)
	free, total, err := s.space(s.dir)
	if err == nil && total > 0 {
		f, t := int64(free), int64(total)
		out.Free, out.Total = &f, &t
		out.HoursLeft = hoursLeft(free, out.PerMinute)
	}
	out.Warning = s.warning(ctx)
	return out, nil
}

// perMinute is the bytes that a minute takes at the present rate.
func (s *storage) perMinute(ctx context.Context) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); s.asked.IsZero() || now.Sub(s.asked) > storageAge {
		s.asked = now
		if bytes, err := s.store.BytesPerSample(ctx); err == nil && bytes > 0 {
			s.perSample = bytes
		} else if s.perSample == 0 {
			s.perSample = usualSample
		}
	}
	return 60 * s.rate() * s.perSample
}

// hoursLeft is nil while nothing is recorded.
func hoursLeft(free uint64, perMinute float64) *float64 {
	if perMinute <= 0 {
		return nil
	}
	hours := float64(free) / perMinute / 60
	return &hours
}

// warning says long before the disk is full what to do; "" while there is room.
func (s *storage) warning(ctx context.Context) string {
	free, total, err := s.space(s.dir)
	if err != nil {
		return fmt.Sprintf("free space on the disk of %s is not known: %v", s.dir, err)
	}
	if total == 0 {
		return ""
	}
	left := hoursLeft(free, s.perMinute(ctx))
	const mend = "make room (dynotap runs delete --all, or the setting retention.days), or choose another disk with --data"
	switch {
	case left != nil && *left < fewHours:
		return fmt.Sprintf("the disk of %s lasts for %s of recording at the present rate, %.1f GB are free: %s", s.dir, span(*left), float64(free)/1e9, mend)
	case float64(free) < fewBytes, float64(free) < doctor.LowSpace*float64(total):
		return fmt.Sprintf("the disk of %s is %.0f %% full, %.1f GB are free: %s", s.dir, 100*(1-float64(free)/float64(total)), float64(free)/1e9, mend)
	}
	return ""
}

// span prints hours as people say them.
func span(hours float64) string {
	if hours < 1 {
		return fmt.Sprintf("%.0f minutes", 60*hours)
	}
	return fmt.Sprintf("%.1f hours", hours)
}
