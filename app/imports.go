package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dynotap/channel"
	"dynotap/inbox"
	"dynotap/internal/db"
	"dynotap/pipeline/imports"
	"dynotap/sample"
	"dynotap/validate"
)

// noSpace is the part of the disk that imports leave free (DESIGN decision 10):
// what is recorded live needs it more.
const noSpace = 0.05

// newImporter makes what imports files into the data directory.
func (a *recording) newImporter(resolver *channel.Resolver, ranges validate.Ranges) (*imports.Importer, error) {
	cfg := &a.loaded.Config
	list, err := formats(cfg)
	if err != nil {
		return nil, usageError{fmt.Errorf("time_zone: %w", err)}
	}
	return imports.New(imports.Options{
		DB: a.db, Store: a.pipeline.Store, Dir: a.dir, Formats: list, Resolver: resolver, Ranges: ranges,
		Validation: func(format string) validate.Settings {
			if s, ok := cfg.DataSources[format]; ok {
				return validate.Settings(s.Validation)
			}
			return validate.Settings(cfg.DefaultValidation)
		},
		Limit: func(format string) int64 {
			if mb := cfg.Source(format).Custom.MaxFileSizeMB; mb != nil {
				return int64(*mb * 1e6)
			}
			return 0
		},
		Encodings: func(format string) []string { return cfg.Source(format).Custom.SupportedEncodings },
		Ledger:    a.pipeline.Imported, Zone: cfg.TimeZone, Room: func() error { return roomFor(a.dir) }, Now: a.clock.Micros, Logger: a.logger,
	}), nil
}

// roomFor says that the disk is too full for imports.
func roomFor(dir string) error {
	free, total, err := db.FreeSpace(dir)
	if err != nil || total == 0 || float64(free) >= noSpace*float64(total) {
		return nil //nolint:nilerr // not known: writing will tell
	}
	return fmt.Errorf("the disk of %s has only %.1f GB free (%.0f %%), which are kept for recording: make room (dynotap runs delete --all), or choose another disk with --data",
		dir, float64(free)/1e9, 100*float64(free)/float64(total))
}

// watchInbox completes what was cut off and then watches the inbox.
func (a *recording) watchInbox(ctx context.Context) error {
	if err := a.imports.Resume(ctx); err != nil && ctx.Err() == nil {
		a.logger.Error("complete imports that were cut off", "error", err)
	}
	box, err := inbox.New(filepath.Join(a.dir, "inbox"), a.takeFile, a.logger)
	if err != nil {
		a.logger.Error("watch the inbox", "error", err)
		return err
	}
	return box.Watch(ctx)
}

// takeFile imports a file of the inbox.
func (a *recording) takeFile(ctx context.Context, path string) (verdict inbox.Verdict, err error) {
	file, err := os.Open(path)
	if err != nil {
		return verdict, err
	}
	defer file.Close()
	report, err := a.imports.Import(ctx, filepath.Base(path), file, imports.How{})
	if err == nil {
		a.say.event(importLine(&report))
		if report.Rejected() > 0 && !report.Already {
			var lost strings.Builder
			err = printProblems(&lost, &report, len(report.Errors))
			verdict.Lost = lost.String()
		}
	}
	var refused *imports.RefusedError
	verdict.Own = errors.As(err, &refused)
	return verdict, err
}

// importLine says in a line what became of a file.
func importLine(r *imports.Report) string {
	samples, channels := int64(0), 0
	var power *float64
	for i := range r.Runs {
		samples += r.Runs[i].SampleCount
		channels = max(channels, len(r.Runs[i].Channels))
		if p := r.Runs[i].PeakHP; p != nil && (power == nil || *p > *power) {
			power = p
		}
	}
	line := fmt.Sprintf("imported %s (%s): %d channels, %s samples", r.File, r.Format, channels, thousands(samples))
	if r.Already {
		line = fmt.Sprintf("%s was already imported (%s)", r.File, r.Format)
	}
	if len(r.Runs) > 1 {
		line += fmt.Sprintf(", %d runs", len(r.Runs))
	}
	if power != nil {
		line += ", peak " + number(power, 1) + " " + string(sample.Horsepower)
	}
	if n := r.Rejected(); n > 0 {
		line += fmt.Sprintf(", %s rejected", thousands(n))
	}
	return line
}
