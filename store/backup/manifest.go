// Package backup is the archive that holds a whole data directory: a zip with
// the files as they lie there, and a manifest with the SHA-256 of each. It
// writes archives, checks them, and unpacks them into an empty directory.
package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// Format is the version of the archive that this program writes.
	Format = 1
	// ManifestName is the archive's last entry.
	ManifestName = "manifest.json"
	// DatabaseName is the copy of the database.
	DatabaseName = "dynotap.db"
	readmeName   = "README.txt"
	// maxManifest bounds what is read of a manifest: 100 bytes a file are usual.
	maxManifest = 256 << 20
)

// Folders of the archive.
const (
	Captures      = "captures"
	Originals     = "originals"
	Configuration = "configuration"
)

// ErrDamaged is wrapped by what is found wrong with an archive; the error says
// which archive, and which file in it.
var ErrDamaged = errors.New("the backup is damaged")

// Manifest says what an archive holds.
type Manifest struct {
	Format    int       `json:"format"`
	Program   string    `json:"program"` // version of dynotap
	Created   time.Time `json:"created"` // the moment that it shows
	Directory string    `json:"directory"`
	// What is in it, for people.
	Runs        int64  `json:"runs"`
	Captures    int64  `json:"captures"`
	QueueItems  int64  `json:"queue_items"`
	DeadLetters int64  `json:"dead_letters"`
	Files       []File `json:"files"`
	// Problems are files that the catalog names and that were not there, or not
	// as it says.
	Problems []string `json:"problems"`
}

// File is one entry.
type File struct {
	Name   string `json:"name"` // with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // in hex
}

// Bytes is what the files have together, unpacked.
func (m *Manifest) Bytes() (sum int64) {
	for i := range m.Files {
		sum += m.Files[i].Bytes
	}
	return sum
}

func readManifest(entry fs.File) (*Manifest, error) {
	text, err := io.ReadAll(io.LimitReader(entry, maxManifest))
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	if m.Format < 1 || m.Format > Format {
		return nil, fmt.Errorf("it has format %d, this program knows up to %d: use a newer dynotap", m.Format, Format)
	}
	for i := range m.Files {
		if f := &m.Files[i]; !expected(f.Name) || f.Bytes < 0 {
			return nil, fmt.Errorf("%q is no file of a data directory", f.Name)
		}
	}
	return &m, nil
}

// expected reports whether a backup may hold a file of that name: nothing leads
// out of the directory into which it is unpacked.
func expected(name string) bool {
	if name == DatabaseName || name == readmeName {
		return true
	}
	folder, rest, found := strings.Cut(name, "/")
	return found && rest != "" && slices.Contains([]string{Captures, Originals, Configuration}, folder) &&
		!strings.Contains(name, `\`) && filepath.IsLocal(filepath.FromSlash(name)) && fs.ValidPath(name)
}
