package validate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"dynotap/validate"
)

// The guide's full configuration says what the defaults are, and its ranges
// are those of the table.
func TestV10TheGuidesConfiguration(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("DYNOTAP_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "samples")
	}
	data, err := os.ReadFile(filepath.Join(dir, "config", "ingestion-full.json"))
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal(err)
		}
		t.Skipf("shared samples are not here: %v", err)
	}
	var file struct {
		Validation validate.Settings          `json:"default_validation"`
		Ranges     map[string]json.RawMessage `json:"sensor_ranges"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if file.Validation != validate.DefaultSettings() {
		t.Errorf("the guide says %+v", file.Validation)
	}
	over := validate.Ranges{}
	for name, text := range file.Ranges {
		if strings.HasPrefix(name, "_") {
			continue
		}
		var r validate.Range
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		over[name] = r
	}
	if len(over) != 3 {
		t.Errorf("%d ranges, want rpm, afr and horsepower", len(over))
	}
	table := validate.DefaultRanges()
	if got, err := table.Override(over); err != nil || !reflect.DeepEqual(got, table) {
		t.Errorf("the guide's ranges make the table %v: %v", got, err)
	}
}
