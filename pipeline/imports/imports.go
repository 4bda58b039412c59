// Package imports makes runs of files. A file is accepted once its copy in
// originals/ is durable; from then on a crash only means that it is read again
// (DESIGN decisions 4 and 6). The same content gives the same captures, batches
// and runs, so that reading it twice stores it once.
package imports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"dynotap/channel"
	"dynotap/format"
	"dynotap/format/text"
	"dynotap/internal/db"
	"dynotap/pipeline"
	"dynotap/run"
	"dynotap/store"
	"dynotap/validate"
)

// Options are what an Importer is made of. All but Logger, Room, Limit and Encodings are
// needed.
type Options struct {
	DB      *db.DB
	Store   *store.Store
	Dir     string // the data directory
	Formats []format.Named

	Resolver *channel.Resolver
	Ranges   validate.Ranges
	// Validation gives the settings of a format.
	Validation func(format string) validate.Settings
	// Limit gives the greatest size of a file of a format in bytes; 0: none.
	Limit func(format string) int64
	// Encodings lists those that a file of a format may have, as the setting
	// supported_encodings does; none: any.
	Encodings func(format string) []string
	// Ledger is where the samples of files are booked, by format; nil: nowhere.
	Ledger *pipeline.Ledger
	// Zone is recorded with every capture: the formats were made with it.
	Zone string
	// Room says why nothing may be imported at present, such as a disk that is
	// nearly full.
	Room func() error
	// Now is the wall clock in µs since the epoch.
	Now    func() int64
	Logger *slog.Logger
}

// atOnce is how many files are read side by side: each holds some ten MB.
const atOnce = 2

// Importer imports files. It is safe for concurrent use.
type Importer struct {
	opts    Options
	archive run.Archive
	slots   chan struct{}

	mu   sync.Mutex
	busy map[string]chan struct{} // by content hash; closed when that file is done

	copies map[string]bool // names of copies that are being made
}

// New makes an importer.
func New(o Options) *Importer {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Ledger == nil {
		o.Ledger = pipeline.NewLedger()
	}
	return &Importer{
		opts: o, archive: run.NewArchive(o.Store, o.DB, o.Now), slots: make(chan struct{}, atOnce), busy: map[string]chan struct{}{}, copies: map[string]bool{},
	}
}

// How adjusts one import.
type How struct {
	// Force reads a file again that was imported already.
	Force bool
	// Progress is told how many of the file's bytes have been read. It must not
	// block.
	Progress func(done, size int64)
}

// Report is what became of a file.
type Report struct {
	File       string            `json:"file"`
	Format     string            `json:"format"`
	Confidence format.Confidence `json:"confidence"`
	Runs       []run.Run         `json:"runs"`
	// Pulls is how many pulls were found in the runs.
	Pulls      int              `json:"pulls"`
	Errors     []format.Problem `json:"errors"` // the first hundred
	ErrorCount int64            `json:"error_count"`
	Warnings   []string         `json:"warnings"`
	// Already says that this content was imported before, and Errors and
	// Warnings are of that time.
	Already bool `json:"already_imported"`
}

// Rejected is how many places and samples of the file were not taken.
func (r *Report) Rejected() int64 {
	n := r.ErrorCount
	for i := range r.Runs {
		n += r.Runs[i].Rejected
	}
	return n
}

// RefusedError says that nothing of a file was taken, and why.
type RefusedError struct {
	File string
	Err  error
}

func (e *RefusedError) Error() string { return fmt.Sprintf("%s: %v", e.File, e.Err) }

// Unwrap gives the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// ErrTooLarge refuses a file beyond max_file_size_mb.
var ErrTooLarge = errors.New("the file is larger than max_file_size_mb allows")

// ErrEncoding refuses a file that is not in one of supported_encodings.
var ErrEncoding = errors.New("the file's encoding is not a supported one")

// Import reads all of in, which is the file called name, and imports it. It
// blocks until its runs are durable. A *RefusedError says that the file is no
// good; after another error it may be given again.
func (im *Importer) Import(ctx context.Context, name string, in io.Reader, how How) (Report, error) {
	if im.opts.Room != nil {
		if err := im.opts.Room(); err != nil {
			return Report{}, err
		}
	}
	o, err := im.spool(ctx, name, in)
	if err != nil {
		return Report{}, err
	}
	defer o.release()
	done, err := im.claim(ctx, o.hash)
	if err != nil {
		return Report{}, err
	}
	defer done()
	return im.take(ctx, o, how)
}

// occupy waits until nobody else imports, or deletes, the same content.
func (im *Importer) occupy(ctx context.Context, hash string) (free func(), err error) {
	for {
		im.mu.Lock()
		other, taken := im.busy[hash]
		if !taken {
			im.busy[hash] = make(chan struct{})
			im.mu.Unlock()
			break
		}
		im.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return func() {
		im.mu.Lock()
		defer im.mu.Unlock()
		close(im.busy[hash])
		delete(im.busy, hash)
	}, nil
}

// claim occupies a content and waits for a slot.
func (im *Importer) claim(ctx context.Context, hash string) (done func(), err error) {
	free, err := im.occupy(ctx, hash)
	if err != nil {
		return nil, err
	}
	select {
	case im.slots <- struct{}{}:
		return func() { <-im.slots; free() }, nil
	case <-ctx.Done():
		free()
		return nil, ctx.Err()
	}
}

// take imports a spooled file.
func (im *Importer) take(ctx context.Context, o *original, how How) (Report, error) {
	chosen, confidence, err := im.choose(o)
	if err != nil {
		return Report{}, &RefusedError{o.name, err}
	}
	if how.Force {
		err = im.forget(ctx, o)
	} else if report, ok, err := im.earlier(ctx, o); ok || err != nil {
		if ok && o.accepted {
			err = o.settle(true) // a crash came between the last run and this
		}
		return report, err
	}
	if err != nil {
		return Report{}, err
	}
	if err := o.accept(); err != nil {
		return Report{}, err
	}
	report, err := im.read(ctx, o, chosen, confidence, how.Progress)
	var refused *RefusedError
	if err == nil || errors.As(err, &refused) {
		return report, errors.Join(err, o.settle(err == nil))
	}
	return report, err // still pending: Resume, or the next import, goes on
}

func (im *Importer) choose(o *original) (format.Named, format.Confidence, error) {
	head := make([]byte, min(o.size, format.HeadSize))
	if _, err := o.file.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return format.Named{}, 0, fmt.Errorf("read its beginning: %w", err)
	}
	if o.size == 0 {
		return format.Named{}, 0, errors.New("the file is empty")
	}
	chosen, confidence, err := format.Choose(im.opts.Formats, head, o.name)
	if err != nil {
		return chosen, confidence, err
	}
	if im.opts.Limit != nil {
		if limit := im.opts.Limit(chosen.Name); limit > 0 && o.size > limit {
			return chosen, confidence, fmt.Errorf("%w: it has %.1f MB: raise data_sources.%s.custom_settings.max_file_size_mb",
				ErrTooLarge, float64(o.size)/1e6, chosen.Name)
		}
	}
	if im.opts.Encodings != nil {
		if list := im.opts.Encodings(chosen.Name); len(list) > 0 {
			if found := encodingOf(head); !slices.Contains(list, found) {
				return chosen, confidence, fmt.Errorf("%w: it is %s: add that to data_sources.%s.custom_settings.supported_encodings, which has %s",
					ErrEncoding, found, chosen.Name, strings.Join(list, ", "))
			}
		}
	}
	return chosen, confidence, nil
}

// encodingOf names the encoding of a text as the setting does.
func encodingOf(head []byte) string {
	e, _ := text.DetectEncoding(head)
	if e == text.UTF16LE || e == text.UTF16BE {
		return "utf-16"
	}
	return e.String()
}

// The attributes of a file's captures.
const (
	attributeFile   = "file"
	attributeFormat = "format"
	attributeHash   = "sha256"
	attributeZone   = "time_zone"
	attributeReport = "report" // of the first one, once all are complete
)

// runID is the id of a file's run, and of its capture (DESIGN decision 6).
func runID(hash string, index int) string { return hash[:hashInID] + "-" + strconv.Itoa(index) }

// hashInID is how much of a content's hash its captures' ids begin with.
const hashInID = 32

// kept is a Report as the first capture keeps it.
type kept struct {
	Report
	Runs int `json:"run_count"`
}

// earlier gives the report of an earlier import of the same content, if all of
// its runs are still there.
func (im *Importer) earlier(ctx context.Context, o *original) (Report, bool, error) {
	c, err := im.opts.Store.Capture(ctx, runID(o.hash, 0))
	if errors.Is(err, store.ErrNoCapture) || err == nil && c.Attributes[attributeReport] == "" {
		return Report{}, false, nil
	}
	if err != nil {
		return Report{}, false, err
	}
	var k kept
	if err := json.Unmarshal([]byte(c.Attributes[attributeReport]), &k); err != nil {
		return Report{}, false, nil //nolint:nilerr // it is read again, which mends it
	}
	report := k.Report
	report.File, report.Already, report.Runs = o.name, true, make([]run.Run, 0, k.Runs)
	for i := range k.Runs {
		found, err := im.opts.Store.Run(ctx, runID(o.hash, i))
		if errors.Is(err, store.ErrNoRun) {
			return Report{}, false, nil
		}
		if err != nil {
			return Report{}, false, err
		}
		base := c.TimeBase
		if other, err := im.opts.Store.Capture(ctx, found.Capture); err == nil {
			base = other.TimeBase
		}
		r, err := run.FromStore(found, base)
		if err != nil {
			return Report{}, false, err
		}
		report.Runs = append(report.Runs, r)
	}
	return report, true, nil
}

// forget deletes what an earlier import of the file has left.
func (im *Importer) forget(ctx context.Context, o *original) error {
	for i := 0; ; i++ {
		err := im.opts.Store.DeleteCapture(ctx, runID(o.hash, i))
		if errors.Is(err, store.ErrNoCapture) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("forget the earlier import: %w", err)
		}
	}
}

// Resume imports the files that were accepted and not completed, as after a
// crash. It goes on until all are done or ctx ends; what fails is logged and
// stays for the next start.
func (im *Importer) Resume(ctx context.Context) error {
	pending, err := im.pending()
	if err != nil {
		return err
	}
	for _, o := range pending {
		report, err := im.resume(ctx, o)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			im.opts.Logger.Error("a file that was being imported when the program ended", "file", o.name, "error", err)
		default:
			im.opts.Logger.Info("imported a file that was cut off", "file", o.name, "runs", len(report.Runs))
		}
	}
	return nil
}

func (im *Importer) resume(ctx context.Context, o *original) (Report, error) {
	done, err := im.claim(ctx, o.hash)
	if err != nil {
		return Report{}, err
	}
	defer done()
	if o.file, err = os.Open(o.path); err != nil {
		return Report{}, errors.Join(err, o.settle(false))
	}
	defer o.release()
	return im.take(ctx, o, How{})
}
