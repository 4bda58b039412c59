package app

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynotap/pipeline/imports"
)

const dropped = "Time (s),Engine RPM,Power (hp)\n0.0,2000,10\n0.1,2100,12\n"

// TestWhatIsPutIntoTheInboxIsImported drops a good file and a bad one into the
// inbox of the running program, and uploads a third.
func TestWhatIsPutIntoTheInboxIsImported(t *testing.T) {
	t.Parallel()
	in := startInstance(t, newNetwork(t), "--no-ui")
	box := filepath.Join(in.dir, "inbox")
	await(t, "the inbox is there", func() bool {
		_, err := os.Stat(box)
		return err == nil
	})
	good, bad := filepath.Join(box, "monday.csv"), filepath.Join(box, "notes.bin")
	damaged := filepath.Join(box, "damaged.csv")
	if err := os.WriteFile(damaged, []byte("Time (s),RPM\n0.0,2000\n0.1,oops\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "what a damaged file lost is said", func() bool {
		text, err := os.ReadFile(damaged + ".error.txt")
		return err == nil && strings.Contains(string(text), "was imported, but") && strings.Contains(string(text), `line 3, column 2: "oops" is no number`)
	})
	for path, text := range map[string]string{good: dropped, bad: "what we did on Monday"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the good file is taken and the bad one explained", func() bool {
		_, err := os.Stat(good)
		text, explained := os.ReadFile(bad + ".error.txt")
		return errors.Is(err, fs.ErrNotExist) && explained == nil && strings.Contains(string(text), "no format knows this file")
	})
	if _, err := os.Stat(bad); err != nil {
		t.Error(err)
	}
	runs := in.runs("import")
	if len(runs) != 2 || runs[0].Name != "monday" || runs[0].StartedAt != nil || *runs[0].Summary.PeakHP != 12 {
		t.Fatalf("%+v", runs)
	}
	// The same content by HTTP is the same run.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, in.client.base+"api/v1/runs?name=tuesday.csv", strings.NewReader(dropped))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+in.client.token)
	var report imports.Report
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&report); err != nil || answer.StatusCode != http.StatusOK || !report.Already || report.Runs[0].ID != runs[0].ID {
		t.Errorf("%s, %v, %+v", answer.Status, err, report)
	}
	// And so it is by the command, which finds the running program.
	other := filepath.Join(t.TempDir(), "other.csv")
	if err := os.WriteFile(other, []byte(strings.ReplaceAll(dropped, "12", "13")), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := in.dynotap("import", other); !strings.Contains(string(said), "peak 13.0 hp") {
		t.Errorf("%s", said)
	}
	if runs := in.runs("import"); len(runs) != 3 {
		t.Errorf("%+v", runs)
	}
	in.stop()
}
