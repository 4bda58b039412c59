package app

import "testing"

func TestAnAdapterThatIsPluggedInEndsTheWait(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		looks []string // the ports at each look; "connected": the device is there
		want  int      // arrivals
	}{
		{"nothing", []string{"", "", ""}, 0},
		{"there from the start", []string{"a", "a", "a"}, 0},
		{"plugged in", []string{"", "a", "a"}, 1},
		{"another beside", []string{"a", "ab", "ab"}, 1},
		{"pulled out", []string{"ab", "a"}, 0},
		{"pulled out and in", []string{"a", "", "a", "", "a"}, 2},
		{"under another name", []string{"connected", "a", "", "b"}, 1},
		{"lost soon", []string{"", "connected", "a", "a"}, 0},
		{"lost late, in again before the look", []string{"connected", "connected", "connected", "a", "a"}, 1},
		{"lost late", []string{"connected", "connected", "connected", "", "", "a"}, 1},
		{"lost again and again", []string{"connected", "a", "connected", "a", "connected", "a", "connected", "a"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now, got := "", 0
			p := &plugging{
				missing: func() bool { return now != "connected" }, arrived: func() { got++ },
				places: func() (names []string) {
					for _, r := range now {
						names = append(names, string(r))
					}
					return names
				},
			}
			for _, now = range tt.looks {
				p.look()
			}
			if got != tt.want {
				t.Errorf("%d arrivals, want %d", got, tt.want)
			}
		})
	}
}
