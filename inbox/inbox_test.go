package inbox

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// taker is an importer that keeps what it is given.
type taker struct {
	taken []string
	own   bool
	lost  string
	err   error
}

func (k *taker) take(_ context.Context, path string) (Verdict, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Verdict{}, err
	}
	k.taken = append(k.taken, filepath.Base(path)+"="+string(text))
	return Verdict{Own: k.own, Lost: k.lost}, k.err
}

func (k *taker) inbox(t *testing.T, dir string) *Inbox {
	t.Helper()
	in, err := New(dir, k.take, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func TestAFileThatIsStillWrittenIsLeftUntilItIsComplete(t *testing.T) {
	t.Parallel()
	dir, k, now := t.TempDir(), &taker{}, time.Now()
	in := k.inbox(t, dir)
	path := filepath.Join(dir, "monday", "run.csv")
	write(t, path, "a")
	in.Look(t.Context(), now)
	in.Look(t.Context(), now.Add(settled-1))
	write(t, path, "ab")
	in.Look(t.Context(), now.Add(settled))
	in.Look(t.Context(), now.Add(2*settled-1))
	if len(k.taken) > 0 || !exists(t, path) {
		t.Fatalf("taken: %q", k.taken)
	}
	in.Look(t.Context(), now.Add(2*settled))
	if len(k.taken) != 1 || k.taken[0] != "run.csv=ab" || exists(t, path) {
		t.Errorf("taken: %q", k.taken)
	}
}

func TestWhatAnImportedFileLostIsSaidBesideWhereItWas(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	k := &taker{lost: "  line 3, column 2: \"x\" is no number\n"}
	in := k.inbox(t, dir)
	path := filepath.Join(dir, "run.csv")
	look := func(text string) {
		write(t, path, text)
		in.Look(t.Context(), now)
		now = now.Add(settled)
		in.Look(t.Context(), now)
	}
	look("1,x")
	text, err := os.ReadFile(path + errorSuffix)
	if err != nil || exists(t, path) || !strings.HasPrefix(string(text), "run.csv was imported, but not all of it:\n\n  line 3, column 2: \"x\"") {
		t.Errorf("%q, %v", text, err)
	}
	k.lost = ""
	if look("1,2"); exists(t, path) || exists(t, path+errorSuffix) {
		t.Error("a mended file, or what was said of it, stays")
	}
}

func TestAFileThatFailsStaysWithTheReasonBesideIt(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	k := &taker{own: true, err: errors.New("no format knows this file: tried csv")}
	in := k.inbox(t, dir)
	path := filepath.Join(dir, "run.xyz")
	write(t, path, "???")
	for i := range 5 {
		in.Look(t.Context(), now.Add(time.Duration(i)*again))
	}
	text, err := os.ReadFile(path + errorSuffix)
	if err != nil || !strings.Contains(string(text), "no format knows this file: tried csv") {
		t.Fatalf("%s, %v", text, err)
	}
	if len(k.taken) != 1 || !exists(t, path) {
		t.Errorf("tried %d times, still there: %v", len(k.taken), exists(t, path))
	}
	// The next start knows that it has been refused.
	k.inbox(t, dir).Look(t.Context(), now)
	second := k.inbox(t, dir)
	second.Look(t.Context(), now)
	second.Look(t.Context(), now.Add(settled))
	if len(k.taken) != 1 {
		t.Errorf("tried %d times", len(k.taken))
	}
	// A mended file is taken, and the explanation goes.
	k.err = nil
	write(t, path, "mended")
	in.Look(t.Context(), now.Add(10*again))
	in.Look(t.Context(), now.Add(10*again+settled))
	if len(k.taken) != 2 || exists(t, path) || exists(t, path+errorSuffix) {
		t.Errorf("taken %q, file %v, text %v", k.taken, exists(t, path), exists(t, path+errorSuffix))
	}
}

func TestAFileThatIsNotToBlameIsTriedAgain(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	k := &taker{err: errors.New("the disk is full")}
	in := k.inbox(t, dir)
	path := filepath.Join(dir, "run.csv")
	write(t, path, "1")
	in.Look(t.Context(), now)
	in.Look(t.Context(), now.Add(settled))
	in.Look(t.Context(), now.Add(settled+again-1))
	if len(k.taken) != 1 || !exists(t, path+errorSuffix) {
		t.Fatalf("tried %d times", len(k.taken))
	}
	k.err = nil
	in.Look(t.Context(), now.Add(settled+again))
	if len(k.taken) != 2 || exists(t, path) || exists(t, path+errorSuffix) {
		t.Errorf("tried %d times, file %v, text %v", len(k.taken), exists(t, path), exists(t, path+errorSuffix))
	}
}

func TestWhatIsNoUsersFileIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir, k, now := t.TempDir(), &taker{}, time.Now()
	in := k.inbox(t, dir)
	for _, name := range []string{".hidden", ".git/config", "a.csv.part", "b.csv.crdownload", "~$c.csv", "d.csv.error.txt"} {
		write(t, filepath.Join(dir, name), "x")
	}
	in.Look(t.Context(), now)
	in.Look(t.Context(), now.Add(settled))
	if len(k.taken) > 0 {
		t.Errorf("taken: %q", k.taken)
	}
}
