package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"dynotap/internal/db"
	"dynotap/internal/durable"
	"dynotap/server"
	"dynotap/store/backup"
)

func newBackup(p *Program) *cobra.Command {
	var out string
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Copy the whole data directory into one file, while dynotap runs or stands still",
		Long: `Copies runs, imported files, queue, dead letters and configuration into one zip with a
SHA-256 of each file, while dynotap records or stands still, and checks what it wrote.
The configuration may hold the server's token: keep the file to yourself.`,
		Args: exactly(0),
	}
	o := p.options(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&out, "out", "o", "", "`file` or folder to write to (default: dynotap-TIME.zip here)")
	flags.BoolVar(&force, "force", false, "write over a file that is there")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := backupPath(out, force)
		if err != nil {
			return err
		}
		c, err := o.connect(cmd.Context())
		if err != nil {
			return err
		}
		m, err := c.backup(cmd.Context(), path, cmd.ErrOrStderr())
		if err = errors.Join(err, c.close(cmd.Context())); err != nil {
			return err
		}
		return sayBackup(cmd.OutOrStdout(), path, "wrote "+path, m, asJSON)
	}
	cmd.AddCommand(newBackupVerify())
	return cmd
}

func newBackupVerify() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check every file in a backup against its SHA-256", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := verifyBackup(cmd.Context(), args[0], cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return sayBackup(cmd.OutOrStdout(), args[0], args[0]+" is whole", m, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newRestore() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "restore FILE --data DIR", Short: "Unpack a backup into an empty directory", Args: exactly(1),
		Long: `Checks a backup and unpacks it into an empty directory, which is then the data
directory of dynotap run --data DIR. The configuration is in its folder configuration/.`,
	}
	var dir string
	cmd.Flags().StringVar(&dir, "data", "", "empty `directory` to unpack into")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if dir == "" {
			return usageError{errors.New("name an empty directory with --data")}
		}
		m, err := restoreBackup(cmd.Context(), args[0], dir, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if !asJSON {
			defer fmt.Fprintf(cmd.OutOrStdout(), "it is used with: dynotap run --data %s%s\n", dir, configFlag(dir, m))
		}
		return sayBackup(cmd.OutOrStdout(), args[0], "restored "+args[0], m, asJSON)
	}
	return cmd
}

// configFlag is how the restored configuration is used; "" where there is none.
func configFlag(dir string, m *backup.Manifest) string {
	for i := range m.Files {
		name, found := strings.CutPrefix(m.Files[i].Name, backup.Configuration+"/")
		if found && name != effectiveName {
			return " --config " + filepath.Join(dir, backup.Configuration, name)
		}
	}
	return ""
}

// backupPath is where the backup goes.
func backupPath(out string, force bool) (string, error) {
	name := server.BackupName(time.Now())
	if out == "" {
		out = name
	}
	info, err := os.Stat(out)
	if err == nil && info.IsDir() {
		out = filepath.Join(out, name)
		_, err = os.Stat(out)
	}
	switch {
	case err == nil && !force:
		return "", usageError{fmt.Errorf("%s is there already and was left alone: name another file, or write over it with --force", out)}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("write %s: %w", out, err)
	}
	if _, err := os.Stat(filepath.Dir(out)); err != nil {
		return "", usageError{fmt.Errorf("write %s: %w: make the folder first", out, err)}
	}
	return out, nil
}

// backup fetches a backup into a temporary file beside path, checks it, and
// gives it its name.
func (c *client) backup(ctx context.Context, path string, screen io.Writer) (m *backup.Manifest, err error) {
	var state server.BackupState
	if _, err := c.get(ctx, "api/v1/backup", nil, &state); err != nil {
		return nil, err
	}
	if state.Hindered != "" {
		return nil, errors.New(state.Hindered)
	}
	dir := filepath.Dir(path)
	if need := uint64(state.Bytes + backupMargin); !fits(dir, need) {
		return nil, fmt.Errorf("the disk of %s has no room for %.1f GB: choose another with -o", dir, float64(need)/1e9)
	}
	file, err := os.CreateTemp(dir, ".dynotap-backup-*") // readable by the user only
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	if err := errors.Join(c.fetchBackup(ctx, file, state.Bytes, screen), file.Close()); err != nil {
		return nil, err
	}
	if m, err = verifyBackup(ctx, file.Name(), screen); err != nil {
		return nil, fmt.Errorf("what was written is not what was read, look at the disk of %s: %w", dir, err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return m, durable.Dir(dir)
}

// fits reports whether a disk has room; where that is not known, writing will
// tell.
func fits(dir string, need uint64) bool {
	free, _, err := db.FreeSpace(dir)
	return err != nil || free >= need
}

func (c *client) fetchBackup(ctx context.Context, file *os.File, size int64, screen io.Writer) error {
	patient := *c // copying the database may take longer than an ordinary answer
	patient.http = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	body, err := patient.do(ctx, http.MethodPost, "api/v1/backup", nil, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	bar := newByteBar(screen, "backing up", size)
	defer bar.end()
	var done int64
	if _, err := io.Copy(file, &fetched{body, func(n int) { done += int64(n); bar.set(done) }}); err != nil {
		return fmt.Errorf("the backup was broken off: %w: dynotap's log may say why", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

// fetched tells of what is read.
type fetched struct {
	in   io.Reader
	told func(n int)
}

func (f *fetched) Read(p []byte) (int, error) {
	n, err := f.in.Read(p)
	f.told(n)
	return n, err
}

// byteBar shows on a terminal how far something is; elsewhere it shows nothing.
type byteBar struct{ bar *progressbar.ProgressBar }

func newByteBar(out io.Writer, what string, total int64) byteBar {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(file.Fd()) {
		return byteBar{}
	}
	return byteBar{progressbar.NewOptions64(max(total, 1),
		progressbar.OptionSetWriter(out), progressbar.OptionShowBytes(true), progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetDescription(what), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
		progressbar.OptionUseIECUnits(false), progressbar.OptionThrottle(barPace),
	)}
}

func (b byteBar) set(done int64) {
	if b.bar != nil {
		_ = b.bar.Set64(min(done, b.bar.GetMax64())) // a terminal that is gone
	}
}

func (b byteBar) end() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}

func verifyBackup(ctx context.Context, path string, screen io.Writer) (*backup.Manifest, error) {
	a, err := backup.Open(path)
	if err != nil {
		return nil, err
	}
	bar := newByteBar(screen, "checking", a.Manifest.Bytes())
	defer bar.end()
	return a.Manifest, errors.Join(a.Verify(ctx, bar.set), a.Close())
}

func restoreBackup(ctx context.Context, path, dir string, screen io.Writer) (*backup.Manifest, error) {
	m, err := verifyBackup(ctx, path, screen) // before anything is written
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("restore into %s: %w", dir, err)
	}
	if need := uint64(m.Bytes() + backupMargin); !fits(dir, need) {
		return nil, fmt.Errorf("the disk of %s has no room for %.1f GB: choose another with --data", dir, float64(need)/1e9)
	}
	a, err := backup.Open(path)
	if err != nil {
		return nil, err
	}
	bar := newByteBar(screen, "restoring", m.Bytes())
	defer bar.end()
	return m, errors.Join(a.Unpack(ctx, dir, bar.set), a.Close())
}

// backupReport is what the three commands print with --json.
type backupReport struct {
	File string `json:"file"`
	*backup.Manifest
	Bytes int64 `json:"bytes"`
	Files int   `json:"files"`
}

// sayBackup tells what a backup holds; problems in it need a look.
func sayBackup(out io.Writer, path, lead string, m *backup.Manifest, asJSON bool) error {
	if asJSON {
		if err := printJSON(out, backupReport{path, m, m.Bytes(), len(m.Files)}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "%s: %s as it was at %s: %s in %s, %s waiting, %s, %.1f MB unpacked\n", lead, m.Directory,
			m.Created.Local().Format(time.DateTime), plural(int(m.Runs), "run"), plural(len(m.Files), "file"),
			plural(int(m.QueueItems), "batch"), plural(int(m.DeadLetters), "dead letter"), float64(m.Bytes())/1e6)
		for _, problem := range m.Problems {
			fmt.Fprintln(out, problem)
		}
	}
	if len(m.Problems) > 0 {
		return lookError{fmt.Errorf("the data directory had %s when the backup was made", plural(len(m.Problems), "problem"))}
	}
	return nil
}
