package store

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"dynotap/internal/db"
)

// TestQ13SealedFilesOutliveTheirRows: a file whose row was lost with a damaged
// database is no leftover of an interruption.
func TestQ13SealedFilesOutliveTheirRows(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	r.begin("c")
	r.put(randomBatch(rand.New(rand.NewPCG(1, 1)), testSet("jetdrive", 3), "c", 0, 100))
	r.seal("c", 0)
	known, err := r.knownFiles(t.Context())
	if err != nil || len(known.files) != 1 {
		t.Fatal(known.files, err)
	}
	var name string
	for name = range known.files {
	}
	sealed, err := os.ReadFile(r.file(name))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.dir, db.FileName)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	at := bytes.LastIndex(content, []byte(name)) / page * page
	clear(content[at+8 : at+page])
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	r.open()
	q := r.db.Quarantined()
	if len(q) != 1 || q[0].Lost("captures") != 0 {
		t.Fatalf("quarantines %+v", q)
	}
	kept, err := os.ReadFile(filepath.Join(q[0].Dir, filepath.FromSlash(name)))
	if err != nil || !bytes.Equal(kept, sealed) {
		t.Errorf("the file is not kept: %v", err)
	}
	if _, err := os.Stat(r.file(name)); err == nil {
		t.Error("the file is where the next one may be written")
	}
}
