package innovate

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func sampleFile(t *testing.T, name string) []byte {
	t.Helper()
	for _, root := range []string{"../../../shared", "/work/shared"} {
		if b, err := os.ReadFile(filepath.Join(root, "samples", "innovate", name)); err == nil {
			return b
		}
	}
	if os.Getenv("REQUIRE_ALL") != "" {
		t.Fatalf("no sample %s", name)
	}
	t.Skipf("no sample %s beside the project", name)
	return nil
}

func inspect(t *testing.T, dump []byte) (Report, string) {
	t.Helper()
	r, err := Inspect(iotest.HalfReader(bytes.NewReader(dump)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(text)
}

func TestReportOfARealDump(t *testing.T) {
	t.Parallel()
	_, text := inspect(t, sampleFile(t, "lc2-warmup-then-lambda.bin"))
	const want = `{"protocol":"ISP2","device":"LC-1/LC-2","packets":453,"resyncs":29,"bytes_skipped":223,` +
		`"sensors":[{"index":1,"states":{"lambda":151,"o2":0,"free_air_calibration":0,"needs_calibration":0,` +
		`"warming_up":302,"heater_calibration":0,"error":0},"lambda":{"min":1.083,"max":1.434,"last":1.231},` +
		`"afr":{"min":15.9201,"max":21.0798,"last":18.0957}}],"aux":[],"hints":["29 of 482 packets were damaged: check cable, adapter and ground"]}`
	if text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestReportOfFlowControlDamage(t *testing.T) {
	t.Parallel()
	r, _ := inspect(t, sampleFile(t, "lc2-xoff-stripped.bin"))
	if r.Packets != 0 || len(r.Sensors) != 0 || r.Protocol != "unknown" || len(r.Hints) != 1 || !strings.HasPrefix(r.Hints[0], "flow control eats bytes") {
		t.Errorf("%+v", r)
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dump, protocol, device string
		sensors, aux, packets  int
		hint                   string
	}{
		"nothing":             {"", "unknown", "unknown", 0, 0, 0, ""},
		"DLG-1 in free air":   {"\xB2\x84\x47\x13\x01\x51\x47\x13\x01\x51", "ISP2", "DLG-1", 2, 0, 1, ""},
		"LM-2":                {strings.Repeat("\xB2\x83\x43\x13\x03\x74\x07\x7F", 3), "ISP2", "LM-2 or chain with SSI-4/TC-4", 1, 1, 3, ""},
		"SSI-4":               {strings.Repeat("\xB2\x82\x00\x01\x07\x7F", 3), "ISP2", "SSI-4/TC-4", 0, 2, 3, ""},
		"three":               {"\xB2\x86" + strings.Repeat("\x43\x13\x03\x74", 3), "ISP2", "chain of 3 sensors", 3, 0, 1, ""},
		"LM-1":                {strings.Repeat("\x91\x13\x01\x42", 4), "ISP1", "LM-1", 1, 0, 4, ""},
		"LM-1 in a chain":     {strings.Repeat("\xB2\x84\x43\x13\x03\x74\x91\x13\x01\x42", 3), "ISP2", "chain of 2 sensors with LM-1", 2, 0, 3, ""},
		"something else":      {strings.Repeat("$GPRMC,123519,A\r\n", 9), "unknown", "unknown", 0, 0, 0, "no packet"},
		"a packet at the end": {"\xB2\xB2\x82\x43\x13\x03\x74", "ISP2", "LC-1/LC-2", 1, 0, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, text := inspect(t, []byte(c.dump))
			if r.Protocol != c.protocol || r.Device != c.device || len(r.Sensors) != c.sensors || len(r.Aux) != c.aux || int(r.Packets) != c.packets {
				t.Error(text)
			}
			if (c.hint != "") != (len(r.Hints) > 0) || !strings.Contains(strings.Join(r.Hints, ""), c.hint) {
				t.Errorf("hints %q", r.Hints)
			}
		})
	}
	if _, err := Inspect(iotest.ErrReader(os.ErrPermission)); err == nil {
		t.Error("a reading error is not told")
	}
}
