package run

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"dynotap/sample"
	"dynotap/store"

	"github.com/google/uuid"
)

// Kind says what a run is a view on.
type Kind string

// The kinds of run. Every capture has one session (or import); pulls and
// recordings repeat parts of it.
const (
	KindSession   Kind = "session"
	KindRecording Kind = "recording"
	KindPull      Kind = "pull"
	KindImport    Kind = "import"
)

// Run is an interval of a capture with its summary.
type Run struct {
	ID      string   `json:"id"`
	Capture string   `json:"capture"`
	Kind    Kind     `json:"kind"`
	Source  string   `json:"source"`
	Name    string   `json:"name"`
	Notes   string   `json:"notes"`
	Tags    []string `json:"tags"`
	// StartedAt is nil where the capture's times have no date.
	StartedAt *time.Time `json:"started_at"`
	// From and To bound the run on the capture's time base, in µs, both
	// included; To is nil while the run goes on.
	From *int64 `json:"from_us"`
	To   *int64 `json:"to_us"`
	Summary
}

// FromStore reads a run as the store keeps it, which may have no summary yet.
// The time base is that of its capture.
func FromStore(r store.Run, base store.TimeBase) (Run, error) {
	out := Run{
		ID: r.ID, Capture: r.Capture, Kind: Kind(r.Kind), Source: r.Source,
		Name: r.Name, Notes: r.Notes, Tags: r.Tags, From: r.StartedUS, To: r.EndedUS,
	}
	out.StartedAt = startedAt(r.StartedUS, base)
	if r.Summary != nil {
		if err := json.Unmarshal(r.Summary, &out.Summary); err != nil {
			return Run{}, fmt.Errorf("summary of run %s: %w", r.ID, err)
		}
	}
	return out, nil
}

// startedAt is a start as a date, where the time base has one.
func startedAt(from *int64, base store.TimeBase) *time.Time {
	if from == nil || base == store.Relative {
		return nil
	}
	return new(sample.Time(*from))
}

// record is the run as the store keeps it.
func (r *Run) record(createdUS int64) (store.Run, error) {
	out := store.Run{
		ID: r.ID, Capture: r.Capture, Kind: string(r.Kind), Source: r.Source,
		Name: r.Name, Notes: r.Notes, Tags: r.Tags, StartedUS: r.From, EndedUS: r.To, CreatedUS: createdUS,
	}
	var err error
	if out.Summary, err = json.Marshal(&r.Summary); err != nil {
		return store.Run{}, fmt.Errorf("summary of run %s: %w", r.ID, err)
	}
	return out, nil
}

// idOf makes the id of a run that is found in the samples: a UUIDv7 of its
// start whose other bits follow from capture, kind and start, so that whoever
// finds the run again gives it the same id.
func idOf(capture string, kind Kind, startUS int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d", capture, kind, startUS))
	var id uuid.UUID
	copy(id[:], sum[:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(startUS, 0)/1000))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70 // version 7
	id[8] = id[8]&0x3f | 0x80 // RFC 9562 variant
	return id.String()
}
