package csv

import (
	"strings"
	"testing"

	"dynotap/format"
)

func TestA2ClocksThatBeginAnew(t *testing.T) {
	t.Parallel()
	const anew, back = "line 5: the times begin anew: so does another run", "line 5: times go back: the samples are kept and put in order"
	for _, c := range []struct{ name, file, values, warning string }{
		{"a second log without a header", "Time (s),A\n0,1\n1,2\n2,3\n0,4\n1,5\n3,6\n", "0 A 1; 1000 A 2; 2000 A 3; run; 0 A 4; 1000 A 5; 3000 A 6", anew},
		{"a session's clock that begins at zero", "Time (s),A\n8.5,1\n9,2\n10,3\n0.5,4\n1,5\n", "8500 A 1; 9000 A 2; 10000 A 3; run; 500 A 4; 1000 A 5", anew},
		{"a clock that shows what has passed", "Time,A\n0:00:05,1\n0:00:06,2\n0:00:07,3\n0:00:01,4\n0:00:02,5\n", "0 A 1; 1000 A 2; 2000 A 3; run; 0 A 4; 1000 A 5", anew},
		{"quoted, with words", "Time (s),A,Mark\n0,\"1\",a\n1,\"2\",b\n2,\"3\",c\n0,\"4\",d\n1,\"5\",e\n", "0 A 1; 1000 A 2; 2000 A 3; run; 0 A 4; 1000 A 5", anew},
		{"a third one", "Time (s),A\n0,1\n2,2\n2,3\n0,4\n1,5\n3,5\n0,6\n1,7\n", "0 A 1; 2000 A 2; 2000 A 3; run; 0 A 4; 1000 A 5; 3000 A 5; run; 0 A 6; 1000 A 7", anew},
		{"one time that is off", "Time (s),A\n0,1\n1,2\n2,3\n0,4\n2.5,5\n", "0 A 1; 1000 A 2; 2000 A 3; 0 A 4; 2500 A 5", back},
		{"the last time is off", "Time (s),A\n0,1\n1,2\n2,3\n0,4\n", "0 A 1; 1000 A 2; 2000 A 3; 0 A 4", back},
		{"one time is off, then the header again", "Time (s),A\n0,1\n1,2\n2,3\n0,4\nTime (s),A\n0,5\n", "0 A 1; 1000 A 2; 2000 A 3; 0 A 4; run; 0 A 5", back},
		{"not back to the beginning", "Time (s),A\n0,1\n5,2\n9,3\n6,4\n7,5\n", "0 A 1; 5000 A 2; 9000 A 3; 6000 A 4; 7000 A 5", back},
		{"rows that changed places", "Time (s),A\n0,1\n0.1,2\n0.3,3\n0.2,4\n0.4,5\n", "0 A 1; 100 A 2; 300 A 3; 200 A 4; 400 A 5", back},
		{"a wall clock that was set", "Time,A\n2026-11-21 10:00:00,1\n2026-11-21 10:00:01,2\n2026-11-21 10:00:02,3\n2026-11-21 09:00:00,4\n2026-11-21 09:00:01,5\n",
			"1.7952552e+12 A 1; 1.795255201e+12 A 2; 1.795255202e+12 A 3; 1.7952516e+12 A 4; 1.795251601e+12 A 5", back},
		{"a row a value, channel by channel", "Time (s),Name,Value\n0,A,1\n5,A,2\n9,A,3\n0,B,4\n5,B,5\n", "0 A 1; 5000 A 2; 9000 A 3; 0 B 4; 5000 B 5", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := mustRead(t, c.file, format.Settings{})
			if got := strings.Join(k.values(), "; "); got != c.values {
				t.Errorf("got  %s\nwant %s", got, c.values)
			}
			if c.warning != "" && !contains(k.warnings, c.warning) || c.warning == "" && contains(k.warnings, "times") || len(k.problems) > 0 {
				t.Errorf("warnings %q, want %q; problems %v", k.warnings, c.warning, k.problems)
			}
		})
	}
}
