package store

import "testing"

func TestCSVCellIsNoFormula(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Engine RPM": "Engine RPM", "": "", "Power, kW": `"Power, kW"`,
		"=1+1": "'=1+1", "+1": "'+1", "-2": "'-2", "@SUM(1)": "'@SUM(1)", "=cmd|'/C calc'!A0": "'=cmd|'/C calc'!A0",
		"=A1,B1": `"'=A1,B1"`, "a=b": "a=b",
	} {
		if got := csvCell(text); got != want {
			t.Errorf("%q becomes %s, not %s", text, got, want)
		}
	}
}
