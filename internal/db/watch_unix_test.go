//go:build !windows

package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func putMeta(d *DB, key string) error {
	return d.Write(context.Background(), func(tx *Tx) error { return tx.Exec(`INSERT INTO meta VALUES (?, 1)`, key) })
}

func metaKeys(t *testing.T, d *DB) string {
	t.Helper()
	r, err := dump(d)
	check(t, err)
	return strings.Join(r[metaTable], " ")
}

// TestQ13MovedWhileItRuns: no success is told for what the directory does not
// hold, and the writer goes on when the files are back.
func TestQ13MovedWhileItRuns(t *testing.T) {
	t.Parallel()
	move := func(t *testing.T, from, to string) {
		t.Helper()
		check(t, os.Rename(from, to))
	}
	for name, c := range map[string]struct {
		away, back func(t *testing.T, dir string)
	}{
		"directory moved": {
			func(t *testing.T, dir string) { t.Helper(); move(t, dir, dir+".away") },
			func(t *testing.T, dir string) { t.Helper(); move(t, dir+".away", dir) },
		},
		"directory replaced": {
			func(t *testing.T, dir string) {
				t.Helper()
				move(t, dir, dir+".away")
				check(t, os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, FileName), nil, 0o600))
			},
			func(t *testing.T, dir string) {
				t.Helper()
				check(t, os.RemoveAll(dir))
				move(t, dir+".away", dir)
			},
		},
		"database moved": {
			func(t *testing.T, dir string) {
				t.Helper()
				move(t, filepath.Join(dir, FileName), filepath.Join(dir, "x"))
			},
			func(t *testing.T, dir string) {
				t.Helper()
				move(t, filepath.Join(dir, "x"), filepath.Join(dir, FileName))
			},
		},
		"WAL moved": {
			func(t *testing.T, dir string) {
				t.Helper()
				move(t, filepath.Join(dir, FileName+walSuffix), filepath.Join(dir, "x"))
			},
			func(t *testing.T, dir string) {
				t.Helper()
				move(t, filepath.Join(dir, "x"), filepath.Join(dir, FileName+walSuffix))
			},
		},
		"directory removed": {func(t *testing.T, dir string) { t.Helper(); check(t, os.RemoveAll(dir)) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			d := openIn(t, dir)
			check(t, putMeta(d, "before"))
			c.away(t, dir)
			for i := range 3 {
				err := putMeta(d, fmt.Sprint("during ", i))
				if !errors.Is(err, ErrMoved) || !Environmental(err) || !strings.Contains(err.Error(), "put it back") || !strings.Contains(err.Error(), dir) {
					t.Errorf("write %d: %v", i, err)
				}
			}
			if c.back == nil {
				check(t, d.Close())
				return
			}
			c.back(t, dir)
			check(t, putMeta(d, "after"))
			// What was under way in the moment may be there, no more.
			if got := metaKeys(t, d); !strings.Contains(got, "after") || strings.Contains(got, "during 1") || strings.Contains(got, "during 2") {
				t.Errorf("found %s", got)
			}
			check(t, d.Close())
			if d := openIn(t, dir); !strings.Contains(metaKeys(t, d), "after") || len(d.Quarantined()) > 0 {
				t.Errorf("found %s, %v", metaKeys(t, d), d.Quarantined())
			}
		})
	}
}

const readOnlyChild = "DYNOTAP_READ_ONLY_CHILD"

// TestQ13ReadOnly runs in a process that is no root, as that may write
// everywhere.
func TestQ13ReadOnly(t *testing.T) {
	if os.Getenv(readOnlyChild) != "" {
		openReadOnly(t)
		return
	}
	t.Parallel()
	exe, err := os.Executable()
	check(t, err)
	for name, protect := range map[string]func(t *testing.T, dir string){
		"directory": func(t *testing.T, dir string) { t.Helper(); check(t, os.Chmod(dir, 0o500)) },
		"database":  func(t *testing.T, dir string) { t.Helper(); check(t, os.Chmod(filepath.Join(dir, FileName), 0o400)) },
		"lock file": func(t *testing.T, dir string) { t.Helper(); check(t, os.Chmod(filepath.Join(dir, LockName), 0o400)) },
		"parent": func(t *testing.T, dir string) {
			t.Helper()
			check(t, os.RemoveAll(dir), os.Chmod(filepath.Dir(dir), 0o500))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			top, err := os.MkdirTemp("", "dynotap-readonly") //nolint:usetesting // another user has to get there
			check(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(top) })
			dir := filepath.Join(top, "parent", "data")
			check(t, os.MkdirAll(dir, 0o700))
			prepared(t).clean.save(t, dir)
			cmd := exec.Command(exe, "-test.run=^TestQ13ReadOnly$", "-test.v")
			cmd.Env = append(os.Environ(), readOnlyChild+"=yes")
			cmd.Dir = filepath.Dir(dir)
			if os.Geteuid() == 0 {
				const nobody = 65534
				for _, path := range []string{top, filepath.Dir(dir), dir, filepath.Join(dir, FileName), filepath.Join(dir, LockName)} {
					check(t, os.Chown(path, nobody, nobody))
				}
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
				copied := filepath.Join(top, "test")
				// Not by ourselves: a process that is being started might hold it open for writing.
				check(t, exec.Command("cp", exe, copied).Run())
				cmd.Path = copied
			}
			protect(t, dir)
			out, err := cmd.CombinedOutput()
			if errors.Is(err, syscall.EPERM) {
				unavailable(t, "no other user can be become here: "+err.Error())
			}
			if err != nil || !strings.Contains(string(out), "refused:") {
				t.Errorf("%v: %s", err, out)
			}
			_ = os.Chmod(dir, 0o700)
			_ = os.Chmod(filepath.Dir(dir), 0o700)
		})
	}
}

func openReadOnly(t *testing.T) {
	t.Helper()
	const dir = "data" // within the working directory
	d, err := Open(t.Context(), dir, Options{})
	if d != nil || !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "writable") {
		t.Errorf("opened with %v", err)
	}
	t.Logf("refused: %v", err)
}

func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("REQUIRE_ALL") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
