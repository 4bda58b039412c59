package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"dynotap/format"
	"dynotap/pipeline/imports"
	"dynotap/run"
	"dynotap/server"
)

// fromStdin is the path that means standard input.
const fromStdin = "-"

// sideBySide is how many files the command sends at once.
const sideBySide = 2

func newImport(p *Program) *cobra.Command {
	var asJSON, force bool
	cmd := &cobra.Command{
		Use:   "import PATH...",
		Short: "Import files, folders, or - for standard input",
		Long: `Import turns logs into runs: WinPEP and Power Core text, Power Vision, JetDrive captures, MegaLogViewer, CSV of any logger.
The content decides what a file is. The same content twice is the same run: it is recognised and not stored again.
What could not be read is listed with line and column; the exit code is then 3, and 1 where no file could be imported.`,
		Args: cobra.MinimumNArgs(1),
	}
	o := p.options(cmd)
	o.create = true
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one document a file")
	cmd.Flags().BoolVar(&force, "force", false, "read again what was imported already")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		files, err := expand(args)
		if err != nil {
			return err
		}
		return withClient(cmd, o, func(ctx context.Context, c *client) error {
			batch := newImportBatch(cmd, files, asJSON)
			group, ctx := errgroup.WithContext(ctx)
			group.SetLimit(sideBySide)
			for _, path := range files {
				group.Go(func() error { return batch.one(ctx, c, path, force) })
			}
			return errors.Join(group.Wait(), c.seal(cmd.Context()), batch.end())
		})
	}
	return cmd
}

// seal seals what was imported, where nobody runs who does it in time.
func (c *client) seal(ctx context.Context) error {
	if c.offline == nil {
		return nil
	}
	return c.offline.pipeline.Seal(ctx)
}

// expand makes files of what the user named: folders are walked, patterns that
// the shell left are matched.
func expand(args []string) (files []string, err error) {
	for _, arg := range args {
		if arg == fromStdin {
			files = append(files, arg)
			continue
		}
		matches := []string{arg}
		if _, err := os.Stat(arg); errors.Is(err, fs.ErrNotExist) {
			if matches, err = filepath.Glob(arg); err != nil || len(matches) == 0 {
				return nil, usageError{fmt.Errorf("there is no file or folder %s", arg)}
			}
		}
		for _, path := range matches {
			if err := walk(path, &files); err != nil {
				return nil, usageError{err}
			}
		}
	}
	if len(files) == 0 {
		return nil, usageError{fmt.Errorf("there is no file in %s", strings.Join(args, ", "))}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

func walk(root string, files *[]string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := path != root && strings.HasPrefix(entry.Name(), ".")
		switch {
		case hidden && entry.IsDir():
			return filepath.SkipDir
		case !hidden && !entry.IsDir():
			*files = append(*files, path)
		}
		return nil
	})
}

// importBatch is the files of one command, and what became of them.
type importBatch struct {
	out    io.Writer
	in     io.Reader
	asJSON bool
	bar    *importBar

	mu       sync.Mutex
	taken    int
	refused  []string
	rejected int64
}

func newImportBatch(cmd *cobra.Command, files []string, asJSON bool) *importBatch {
	return &importBatch{out: cmd.OutOrStdout(), in: cmd.InOrStdin(), asJSON: asJSON, bar: newImportBar(cmd.ErrOrStderr(), files)}
}

// one imports a file. Only what would keep the others from it too is an error.
func (b *importBatch) one(ctx context.Context, c *client, path string, force bool) error {
	in, name := b.in, "stdin"
	if path != fromStdin {
		file, err := os.Open(path)
		if err != nil {
			return b.show(&imports.Report{File: path}, err)
		}
		defer file.Close()
		in, name = file, path
	}
	share := b.bar.file()
	report, err := c.importFile(ctx, name, in, force, share)
	share.end()
	var refused *imports.RefusedError
	if err != nil && !errors.As(err, &refused) {
		return fmt.Errorf("import %s: %w", name, err)
	}
	report.File = name
	return b.show(&report, err)
}

func (b *importBatch) show(r *imports.Report, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.bar.pause()()
	if err != nil {
		if refused := new(imports.RefusedError); errors.As(err, &refused) {
			err = refused.Err
		}
		b.refused = append(b.refused, fmt.Sprintf("%s: %v", r.File, err))
		if b.asJSON {
			*r = imports.Report{
				File: r.File, Runs: []run.Run{}, Errors: []format.Problem{{Message: err.Error()}}, ErrorCount: 1, Warnings: []string{},
			}
			return printJSON(b.out, r)
		}
		_, err := fmt.Fprintf(b.out, "%s was not imported: %v\n", r.File, err)
		return err
	}
	b.taken++
	if !r.Already {
		b.rejected += r.Rejected()
	}
	if b.asJSON {
		return printJSON(b.out, r)
	}
	fmt.Fprintln(b.out, importLine(r))
	for i := range r.Runs {
		fmt.Fprintf(b.out, "  run %s\n", r.Runs[i].ID)
	}
	if r.Already {
		return nil
	}
	return printProblems(b.out, r, 5)
}

// printProblems lists the first problems of a file, and its warnings.
func printProblems(out io.Writer, r *imports.Report, most int) (err error) {
	for i, p := range r.Errors {
		if i == most {
			break
		}
		where := ""
		if p.Line > 0 {
			where = fmt.Sprintf("line %d", p.Line)
		}
		if p.Column > 0 {
			where += fmt.Sprintf(", column %d", p.Column)
		}
		if where != "" {
			where += ": "
		}
		_, err = fmt.Fprintf(out, "  %s%s\n", where, p.Message)
	}
	if more := r.ErrorCount - int64(min(most, len(r.Errors))); more > 0 {
		_, err = fmt.Fprintf(out, "  and %s more errors\n", thousands(more))
	}
	for _, w := range r.Warnings {
		_, err = fmt.Fprintf(out, "  note: %s\n", w)
	}
	return err
}

// end says how it went as a whole.
func (b *importBatch) end() error {
	b.bar.end()
	switch {
	case len(b.refused) > 0 && b.taken == 0 && len(b.refused) == 1:
		return errors.New(b.refused[0])
	case len(b.refused) > 0 && b.taken == 0:
		return fmt.Errorf("none of the %d files could be imported", len(b.refused))
	case len(b.refused) > 0:
		return lookError{fmt.Errorf("%d of %d files could not be imported", len(b.refused), b.taken+len(b.refused))}
	case b.rejected > 0:
		return lookError{fmt.Errorf("%s cells, rows or samples were rejected: the rest is imported", thousands(b.rejected))}
	}
	return nil
}

// importFile sends a file to whoever holds the directory. *imports.RefusedError:
// the file is no good.
func (c *client) importFile(ctx context.Context, name string, in io.Reader, force bool, share *barShare) (imports.Report, error) {
	query := url.Values{"name": {filepath.Base(name)}}
	if force {
		query.Set("force", "true")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"api/v1/runs?"+query.Encode(), share.reader(in))
	if err != nil {
		return imports.Report{}, err
	}
	request.Header.Set("Accept", "application/x-ndjson")
	request.Header.Set("Content-Type", "application/octet-stream")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := newUploadClient().Do(request)
	if err != nil {
		return imports.Report{}, fmt.Errorf("the dynotap that holds this directory does not answer: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return imports.Report{}, problemOf(answer)
	}
	for from := json.NewDecoder(answer.Body); ; {
		var line server.ImportLine
		if err := from.Decode(&line); err != nil {
			return imports.Report{}, fmt.Errorf("the import was broken off: %w", err)
		}
		switch {
		case line.Report != nil:
			return *line.Report, nil
		case line.Refused:
			return imports.Report{}, &imports.RefusedError{File: name, Err: errors.New(strings.TrimPrefix(line.Error, filepath.Base(name)+": "))}
		case line.Error != "":
			return imports.Report{}, errors.New(line.Error)
		}
		share.read(line.Done)
	}
}

// newUploadClient waits for an answer as long as it takes: a file that waits
// for others to be read says nothing meanwhile.
func newUploadClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}
