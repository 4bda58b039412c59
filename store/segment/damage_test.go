package segment

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestDamageIsLocatedAndTheRestIsServed flips one byte in one page of values.
func TestDamageIsLocatedAndTheRestIsServed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.parquet")
	info, parts := session(3, 3*pageRows*3)
	writeFile(t, path, info, parts)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	offsets, err := f.groups[0].chunks[columnValue].OffsetIndex()
	if err != nil {
		t.Fatal(err)
	}
	at := offsets.Offset(4) + 200 // the second page of the second channel
	f.Close()
	flip(t, path, at)

	if f, err = Open(path); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range parts {
		c := f.Read(i, math.MinInt64, math.MaxInt64, true)
		rows := 0
		for {
			points, err := c.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			rows += len(points)
		}
		err := c.Damage()
		if i != 1 {
			if rows != 3*pageRows || err != nil {
				t.Errorf("channel %d: %d rows, %v", i, rows, err)
			}
			continue
		}
		var damage *DamageError
		if !errors.As(err, &damage) || !errors.Is(err, ErrDamaged) {
			t.Fatalf("error %v", err)
		}
		if rows != 2*pageRows || damage.Path != path || damage.Channel != info.Channels[1].Key ||
			damage.Row != 4*pageRows || damage.Rows != pageRows {
			t.Errorf("%d rows, damage %+v", rows, damage)
		}
	}
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var b [1]byte
	if _, err := file.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x40
	if _, err := file.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func TestTornFilesAreErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.parquet")
	info, parts := session(3, 3000)
	writeFile(t, path, info, parts)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(dir, "torn.parquet")
	for _, length := range []int{0, 3, 8, 12, 100, len(whole) / 2, len(whole) - 1} {
		if err := os.WriteFile(torn, whole[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(torn)
		if err == nil {
			f.Close()
			t.Errorf("a file cut at %d of %d bytes opens", length, len(whole))
		}
		var damage *DamageError
		if !errors.As(err, &damage) || damage.Path != torn {
			t.Errorf("cut at %d: %v", length, err)
		}
	}
}

// TestRandomDamageNeverPanics damages files at random; what is read must be
// right or reported, the checksums of the pages see to it.
func TestRandomDamageNeverPanics(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.parquet")
	info, parts := session(3, 6000)
	writeFile(t, path, info, parts)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		broken := append([]byte(nil), whole...)
		for range 1 + random.IntN(3) {
			broken[random.IntN(len(broken))] ^= 1 << random.IntN(8)
		}
		readDamaged(t, filepath.Join(dir, "broken.parquet"), broken)
	}
}

func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "x.parquet")
	info, parts := session(2, 8)
	writeFile(f, path, info, parts)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		readDamaged(t, filepath.Join(t.TempDir(), "x.parquet"), data)
	})
}

func readDamaged(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			tb.Fatal(err)
		}
		return
	}
	defer f.Close()
	for i := range f.Info().Channels {
		c := f.Read(i, math.MinInt64, math.MaxInt64, true)
		for {
			if _, err := c.Next(); err != nil {
				break
			}
		}
		if err := c.Damage(); err != nil && !errors.Is(err, ErrDamaged) {
			tb.Fatal(err)
		}
	}
}
