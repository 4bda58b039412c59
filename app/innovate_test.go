package app

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynotap/source/innovate"
)

// inspected is what `decode innovate --json` says of a dump.
func inspected(t *testing.T, path string, want int) innovate.Report {
	t.Helper()
	var out bytes.Buffer
	if code := execute(t.Context(), []string{"decode", "innovate", "--json", path}, Program{Stdout: &out, Stderr: io.Discard}); code != want {
		t.Errorf("decode ended with %d, not %d", code, want)
	}
	var report innovate.Report
	strict := json.NewDecoder(&out)
	strict.DisallowUnknownFields()
	if err := strict.Decode(&report); err != nil {
		t.Fatal(err)
	}
	return report
}

// TestDecodeInnovate reads what real devices sent.
func TestDecodeInnovate(t *testing.T) {
	t.Parallel()
	r := inspected(t, shared(t, "samples", "innovate", "lc2-warmup-then-lambda.bin"), exitDone)
	if r.Protocol != "ISP2" || r.Packets != 453 || len(r.Sensors) != 1 {
		t.Fatalf("report %+v", r)
	}
	s := r.Sensors[0]
	if s.States.WarmingUp != 302 || s.States.Lambda != 151 || s.Lambda.Min != 1.083 || s.Lambda.Max != 1.434 || math.Abs(s.AFR.Min-1.083*14.7) > 1e-9 {
		t.Errorf("sensor %+v, lambda %+v, AFR %+v", s, s.Lambda, s.AFR)
	}

	r = inspected(t, shared(t, "samples", "innovate", "lc2-xoff-stripped.bin"), exitRejected)
	if r.Packets != 0 || len(r.Sensors) != 0 || len(r.Hints) != 1 || !strings.Contains(r.Hints[0], "flow control") {
		t.Errorf("report %+v", r)
	}

	path := filepath.Join(t.TempDir(), "two.bin")
	if err := os.WriteFile(path, []byte{0xB2, 0x84, 0x47, 0x13, 0x01, 0x51, 0x47, 0x13, 0x01, 0x51}, 0o600); err != nil {
		t.Fatal(err)
	}
	r = inspected(t, path, exitDone)
	if r.Device != "DLG-1" || len(r.Sensors) != 2 || r.Sensors[0].States.O2 != 1 || r.Sensors[1].States.O2 != 1 || r.Sensors[0].AFR != nil || r.Sensors[1].AFR != nil {
		t.Errorf("report %+v", r)
	}
}
