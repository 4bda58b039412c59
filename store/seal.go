package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"dynotap/internal/db"
	"dynotap/internal/durable"
	"dynotap/store/segment"

	"github.com/ncruces/go-sqlite3"
)

// quarantineDir is the folder, within the data directory, of what cannot be
// read.
const quarantineDir = "quarantine"

// Seal moves the live chunks of a capture up to and including chunk upTo (0:
// all there are) into Parquet files. It blocks until they are durable; what is
// committed meanwhile stays live. Whoever follows the chunks by a cursor must
// have passed upTo. One sealing runs at a time.
func (s *Store) Seal(ctx context.Context, capture string, upTo int64) error {
	if upTo == 0 {
		upTo = math.MaxInt64
	}
	return s.seal(ctx, capture, upTo, 1)
}

// SealDue seals, capture by capture, what is due: everything of a capture that
// has ended or whose oldest chunk waits for SegmentEvery, and full segments of
// one that has gathered SegmentSamples. upTo gives for a capture the last
// chunk that may be sealed; nil allows all.
func (s *Store) SealDue(ctx context.Context, upTo func(capture string) int64) error {
	list, err := s.backlog(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range list {
		limit := int64(math.MaxInt64)
		if upTo != nil {
			limit = upTo(b.capture)
		}
		switch {
		case b.ended || b.old:
			err = s.seal(ctx, b.capture, limit, 1)
		case b.samples >= s.opts.SegmentSamples:
			err = s.seal(ctx, b.capture, limit, s.opts.SegmentSamples)
		default:
			continue
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// backlog is what a capture has in live chunks.
type backlog struct {
	capture    string
	samples    int64
	ended, old bool
}

func (s *Store) backlog(ctx context.Context) ([]backlog, error) {
	var list []backlog
	now := s.opts.Now()
	err := s.db.Read(ctx, func(c *db.Conn) error {
		captures := make(map[string]bool)
		if err := collect(c, captures, `SELECT DISTINCT capture FROM chunks`); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		before := s.waiting
		s.waiting = make(map[string]waiting, len(before))
		for _, capture := range slices.Sorted(maps.Keys(captures)) {
			b, oldest, err := backlogOf(c, capture)
			if err != nil {
				return err
			}
			w, ok := before[capture]
			if !ok || w.seq != oldest {
				w = waiting{seq: oldest, since: now}
			}
			s.waiting[capture] = w
			b.old = now.Sub(w.since) >= s.opts.SegmentEvery
			list = append(list, b)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for chunks to seal: %w", err)
	}
	return list, nil
}

func backlogOf(c *db.Conn, capture string) (b backlog, oldest int64, err error) {
	sealed, _, err := liveChunks(c, capture)
	if err != nil {
		return b, 0, err
	}
	b.capture = capture
	err = c.Query(`SELECT coalesce(min(seq), 0), coalesce(sum(samples), 0), (SELECT ended_us FROM captures WHERE id = ?1)
		FROM chunks WHERE capture = ?1 AND seq > ?2`, func(row *sqlite3.Stmt) error {
		oldest, b.samples, b.ended = row.ColumnInt64(0), row.ColumnInt64(1), row.ColumnType(2) != sqlite3.NULL
		return nil
	}, capture, sealed)
	return b, oldest, err
}

// seal writes segments while at least least samples are left.
func (s *Store) seal(ctx context.Context, capture string, upTo, least int64) error {
	select {
	case s.sealing <- struct{}{}:
		defer func() { <-s.sealing }()
	case <-ctx.Done():
		return fmt.Errorf("seal capture %s: %w", capture, ctx.Err())
	}
	for {
		part, err := s.nextPart(ctx, capture, upTo)
		done := part.chunks == 0 || part.samples < least
		if err == nil && !done {
			err = s.sealPart(ctx, &part)
		}
		if err == nil {
			err = s.sweep(ctx, capture)
		}
		if err == nil && done {
			return nil
		}
		if err != nil {
			return fmt.Errorf("seal capture %s: %w", capture, err)
		}
	}
}

// part is a stretch of chunks that becomes one file.
type part struct {
	capture     Capture
	number      int
	first, last int64 // chunks
	chunks      int
	samples     int64
	damaged     int64 // of them, in chunks that were set aside
}

// nextPart takes as many of the oldest chunks as make a segment.
func (s *Store) nextPart(ctx context.Context, capture string, upTo int64) (p part, err error) {
	errEnough := errors.New("enough")
	err = s.db.Read(ctx, func(c *db.Conn) error {
		if p.capture, err = captureOn(c, capture); err != nil {
			return err
		}
		sealed, _, err := liveChunks(c, capture)
		if err != nil {
			return err
		}
		if err := c.Query(`SELECT coalesce(max(number), 0) + 1 FROM segments WHERE capture = ?`, func(row *sqlite3.Stmt) error {
			p.number = max(row.ColumnInt(0), s.postponedNumber(capture)+1)
			return nil
		}, capture); err != nil {
			return err
		}
		return c.Query(`SELECT seq, samples FROM chunks WHERE capture = ? AND seq > ? AND seq <= ? ORDER BY seq`, func(row *sqlite3.Stmt) error {
			if p.chunks == 0 {
				p.first = row.ColumnInt64(0)
			}
			p.last = row.ColumnInt64(0)
			p.samples += row.ColumnInt64(1)
			if p.chunks++; p.samples >= s.opts.SegmentSamples {
				return errEnough
			}
			return nil
		}, capture, sealed, upTo)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return p, err
}

// sealPart writes one file and enters it into the catalog. Each step may be
// the last before a crash: until the transaction the chunks count, and the
// file is removed at the next start; from then on the file counts.
func (s *Store) sealPart(ctx context.Context, p *part) (err error) {
	name := s.segmentPath(&p.capture, p.number)
	if err := s.step("create"); err != nil {
		return err
	}
	if err := s.makeFolder(name); err != nil {
		return err
	}
	temporary := s.file(name) + unfinished
	file, err := os.Create(temporary)
	if err != nil {
		return fmt.Errorf("create sealed file: %w", err)
	}
	defer func() {
		_ = file.Close() // closed before, or of no more use
		if err != nil && !errors.Is(err, errCrash) {
			_ = os.Remove(temporary) // gone if it was renamed
		}
	}()
	info, size, err := s.writePart(ctx, p, file)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"sync", file.Sync},
		{"close", file.Close},
		{"rename", func() error { return os.Rename(temporary, s.file(name)) }},
		{"sync folder", func() error { return durable.Dir(filepath.Dir(s.file(name))) }},
		{"commit", func() error { return s.commitPart(ctx, p, name, info, size) }},
		{"end", func() error { s.setAsideSamples.Add(p.damaged); return nil }},
	} {
		if err := s.step(step.name); err != nil {
			return err
		}
		if err := step.do(); err != nil {
			return fmt.Errorf("%s sealed file: %w", step.name, err)
		}
	}
	return nil
}

// errCrash is what tests return from step to leave everything as a crash
// would.
var errCrash = errors.New("crash")

// writePart writes the samples of a part, a channel after the other.
func (s *Store) writePart(ctx context.Context, p *part, file *os.File) (info *segment.Info, size int64, err error) {
	var pl *plan
	var units []unit
	var sp *spool
	defer func() {
		if sp != nil && !errors.Is(err, errCrash) {
			sp.remove()
		}
	}()
	if err := s.db.Read(ctx, func(c *db.Conn) (err error) {
		if pl, err = s.surveyPart(c, p); err != nil {
			return err
		}
		if units, err = s.units(c, pl, s.opts.MemorySamples); err != nil {
			return err
		}
		if sp, err = newSpool(file.Name()+".spool"+unfinished, len(pl.channels)); err != nil {
			return err
		}
		return s.visit(c, pl, sp.add)
	}); err != nil {
		return nil, 0, err
	}
	w, err := segment.NewWriter(file, segment.Info{
		Capture: p.capture.ID, Kind: string(p.capture.Kind), Source: p.capture.Source,
		TimeBase: string(p.capture.TimeBase), Attributes: p.capture.Attributes, Channels: pl.channels,
	})
	if err != nil {
		return nil, 0, err
	}
	most := 0
	for i := range units {
		most = max(most, units[i].count)
	}
	points := make([]Point, 0, most)
	for _, u := range units {
		if points, err = sp.load(u.channel, u.from, u.to, points[:0]); err != nil {
			return nil, 0, err
		}
		sortByTime(points)
		if err := s.step("write"); err != nil {
			return nil, 0, err
		}
		if err := w.Write(u.channel, points); err != nil {
			return nil, 0, err
		}
	}
	if info, err = w.Close(); err != nil {
		return nil, 0, err
	}
	if info.Rows+p.damaged != p.samples {
		return nil, 0, fmt.Errorf("%d of %d samples are in the file, %d are damaged", info.Rows, p.samples, p.damaged)
	}
	return info, w.Size(), nil
}

// surveyPart finds out what the part's chunks hold and sets the damaged ones
// aside. What earlier segments know of a channel may be newer than what a late
// batch says.
func (s *Store) surveyPart(c *db.Conn, p *part) (*plan, error) {
	sealed, err := sealedOn(c, p.capture.ID, 0)
	if err != nil {
		return nil, err
	}
	chunks := chunkRange{capture: p.capture.ID, after: p.first - 1, upTo: p.last, from: math.MinInt64, to: math.MaxInt64}
	return s.survey(c, p.capture, chunks, sealed.channels, func(e *ChunkError, body []byte) error {
		return s.setAside(p, e, body)
	})
}

// setAside keeps the body of a chunk that cannot be decoded, so that sealing
// goes on without it.
func (s *Store) setAside(p *part, e *ChunkError, body []byte) error {
	folder := filepath.Join(s.dir, quarantineDir)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("create quarantine: %w", err)
	}
	path := filepath.Join(folder, fmt.Sprintf("chunk-%s-%d.batch", e.Capture, e.Seq))
	if err := writeDurably(path, body); err != nil {
		return err
	}
	p.damaged += e.Samples
	s.opts.Logger.Error("a chunk is damaged and was set aside", "file", path, "error", e)
	return nil
}

// commitPart makes the file count instead of its chunks, in one transaction.
func (s *Store) commitPart(ctx context.Context, p *part, name string, info *segment.Info, size int64) error {
	channels, err := json.Marshal(info.Channels)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		return tx.Exec(`INSERT INTO segments (capture, number, last_chunk, path, first_us, last_us, samples, bytes, channels)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.capture.ID, p.number, p.last, name, info.FirstUS, info.LastUS, info.Rows, size, string(channels))
	})
}

// sweepChunks is how many chunks one transaction deletes: some milliseconds.
const sweepChunks = 512

// sweep deletes the chunks of a capture that are sealed.
func (s *Store) sweep(ctx context.Context, capture string) error {
	for {
		if err := s.step("sweep"); err != nil {
			return err
		}
		left := false
		err := s.db.Write(ctx, func(tx *db.Tx) error {
			sealed, _, err := liveChunks(&tx.Conn, capture)
			if err != nil {
				return err
			}
			err = tx.Exec(`DELETE FROM chunks WHERE seq IN (SELECT seq FROM chunks WHERE capture = ? AND seq <= ?
				ORDER BY seq LIMIT ?)`, capture, sealed, sweepChunks)
			left = tx.Changes() == sweepChunks
			return err
		})
		if err != nil || !left {
			return err
		}
	}
}

// writeDurably writes a file that the next crash leaves in place.
func writeDurably(path string, body []byte) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	_, err = file.Write(body)
	if err == nil {
		err = file.Sync()
	}
	if shut := file.Close(); err == nil {
		err = shut
	}
	if err == nil {
		err = durable.Dir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("set aside %s: %w", path, err)
	}
	return nil
}
