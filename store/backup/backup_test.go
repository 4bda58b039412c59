package backup

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// some writes an archive of three files and gives its bytes with its manifest.
func some(t *testing.T) ([]byte, *Manifest) {
	t.Helper()
	random := make([]byte, 40_000)
	source := rand.NewChaCha8([32]byte{1})
	if _, err := source.Read(random); err != nil {
		t.Fatal(err)
	}
	sealed := filepath.Join(t.TempDir(), "sealed")
	if err := os.WriteFile(sealed, random, 0o600); err != nil {
		t.Fatal(err)
	}
	m := &Manifest{Program: "test", Created: time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC), Problems: []string{}}
	var out bytes.Buffer
	var last int64
	err := Write(t.Context(), &out, m, []Source{
		{Name: DatabaseName, Text: bytes.Repeat([]byte("page"), 10_000), Bytes: -1, Compress: true},
		{Name: "captures/2026/11/c1/0001.parquet", Path: sealed, Bytes: int64(len(random))},
		{Name: "originals/gone.csv", Path: sealed + ".gone", Bytes: -1, MayGo: true},
	}, func(done int64) { last = done })
	if err != nil {
		t.Fatal(err)
	}
	if last != m.Bytes() || len(m.Files) != 3 || len(m.Problems) != 0 {
		t.Fatalf("read %d bytes of %d, %d files, problems %v", last, m.Bytes(), len(m.Files), m.Problems)
	}
	return out.Bytes(), m
}

func none(int64) {}

// verify checks an archive of those bytes.
func verify(t *testing.T, content []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive.zip")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := Open(path)
	if err != nil {
		return err
	}
	defer a.Close()
	return a.Verify(t.Context(), none)
}

func TestRestoreGivesWhatWasTaken(t *testing.T) {
	t.Parallel()
	content, m := some(t)
	path, dir := filepath.Join(t.TempDir(), "archive.zip"), t.TempDir()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Unpack(t.Context(), dir, none); err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Files {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(f.Name)))
		if err != nil || info.Size() != f.Bytes {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	if err := a.Unpack(t.Context(), dir, none); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("unpacked over %s: %v", dir, err)
	}
	if _, err := os.Stat(filepath.Join(dir, DatabaseName)); err != nil {
		t.Errorf("a refused restore took the files away: %v", err)
	}
}

// TestDamagedArchiveIsNamed flips bytes of the files, and cuts the end off at
// many places: each is found, and the file in the archive is named.
func TestDamagedArchiveIsNamed(t *testing.T) {
	t.Parallel()
	content, m := some(t)
	if err := verify(t, content); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	sealed := bytes.Index(content, []byte("captures/2026/11/c1/0001.parquet"))
	for range 50 {
		damaged := slices.Clone(content)
		damaged[sealed+200+random.IntN(39_000)] ^= 1 << random.IntN(8)
		if err := verify(t, damaged); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "captures/2026/11/c1/0001.parquet") {
			t.Fatalf("a flipped bit: %v", err)
		}
	}
	for range 200 {
		length := random.IntN(len(content))
		if err := verify(t, content[:length]); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "archive.zip") {
			t.Fatalf("cut off after %d of %d bytes: %v", length, len(content), err)
		}
	}
	for want, files := range map[string][]File{
		DatabaseName + ": it is not there":               {{Name: "originals/a", Bytes: 1, SHA256: m.Files[0].SHA256}},
		DatabaseName + ": its SHA-256 is not that of":    {{Name: DatabaseName, Bytes: 1, SHA256: m.Files[0].SHA256}},
		DatabaseName + ": it does not have the 5 bytes":  {{Name: DatabaseName, Bytes: 5}},
		"originals/a: the manifest does not have it":     {{Name: DatabaseName, Bytes: 1}},
		`"../dynotap.db" is no file of a data directory`: {{Name: "../dynotap.db"}},
	} {
		if err := verify(t, other(t, files)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// other is an archive whose manifest says something else.
func other(t *testing.T, files []File) []byte {
	t.Helper()
	text, err := json.Marshal(Manifest{Format: Format, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, content := range map[string][]byte{DatabaseName: []byte("x"), "originals/a": []byte("x"), ManifestName: text} {
		entry, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestDamagedArchiveRestoresNothing: what was written is removed.
func TestDamagedArchiveRestoresNothing(t *testing.T) {
	t.Parallel()
	content, _ := some(t)
	content[bytes.Index(content, []byte("captures/2026/11/c1/0001.parquet"))+5000] ^= 4
	path, dir := filepath.Join(t.TempDir(), "archive.zip"), t.TempDir()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Unpack(t.Context(), dir, none); !errors.Is(err, ErrDamaged) {
		t.Errorf("restored: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestUnpackStaysInside: no name of a manifest leads out of the directory.
func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"../dynotap.db", "captures/../../x", "/captures/x", "captures", "captures/", `captures\..\x`, "other/x", "captures//x", "dynotap.lock", "",
	} {
		if expected(name) {
			t.Errorf("%q may be unpacked", name)
		}
	}
}

// TestWriteTellsOfWhatIsMissing: a sealed file that is not there, or shorter
// than the catalog says, does not keep the rest from being saved.
func TestWriteTellsOfWhatIsMissing(t *testing.T) {
	t.Parallel()
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("12"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &Manifest{}
	err := Write(t.Context(), &bytes.Buffer{}, m, []Source{
		{Name: "captures/gone", Path: short + ".gone", Bytes: 5}, {Name: "captures/short", Path: short, Bytes: 5},
	}, none)
	if err != nil || len(m.Problems) != 2 || !strings.Contains(m.Problems[0], "captures/gone is missing") || !strings.Contains(m.Problems[1], "captures/short has 2 bytes") {
		t.Errorf("%v, problems %q", err, m.Problems)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Write(ctx, &bytes.Buffer{}, m, []Source{{Name: "captures/short", Path: short}}, none); !errors.Is(err, context.Canceled) {
		t.Errorf("it went on: %v", err)
	}
}
