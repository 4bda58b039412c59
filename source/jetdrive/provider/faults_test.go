package provider

import (
	"slices"
	"testing"
	"time"

	"dynotap/source/jetdrive/klhdv"
)

// reception counts what a client that heard everything would.
type reception struct {
	lost, reordered, duplicate, values uint64
}

// receptionOf works from the whole list of numbers, without windows: numbers
// are made absolute first.
func receptionOf(messages []message) reception {
	var r reception
	var absolute []int
	last := 0
	for i, m := range messages {
		n := int(m.Seq)
		if i > 0 {
			n = last + int(int8(m.Seq-uint8(last)))
		}
		last = max(last, n)
		if slices.Contains(absolute[max(0, len(absolute)-100):], n) {
			r.duplicate++
			continue
		}
		if len(absolute) > 0 && n < slices.Max(absolute[max(0, len(absolute)-100):]) {
			r.reordered++
		}
		absolute = append(absolute, n)
		if m.Key == klhdv.KeyChannelValues {
			r.values += uint64(len(m.Value) / klhdv.ValueLen)
		}
	}
	r.lost = uint64(slices.Max(absolute) - slices.Min(absolute) + 1 - len(absolute))
	return r
}

func TestFaultsAreCountedAsAClientSeesThem(t *testing.T) {
	for name, f := range map[string]Faults{
		"none":       {},
		"loss":       {Loss: 0.05, Seed: 1},
		"reorder":    {Reorder: 0.3, Seed: 2},
		"duplicate":  {Duplicate: 0.3, Seed: 3},
		"all":        {Loss: 0.2, Reorder: 0.2, Duplicate: 0.2, Seed: 4},
		"everything": {Loss: 0.3, Reorder: 0.5, Duplicate: 0.2, Seed: 5},
	} {
		t.Run(name, func(t *testing.T) {
			var b *bus
			var p *Provider
			s := Settings{Channels: channels(3), Rate: 200, Values: seconds, Faults: f}
			t.Run("life", func(t *testing.T) {
				simulate(t, s, func(t scene) {
					time.Sleep(20 * time.Second)
					p, b = t.p, t.b
				})
			})
			t.Cleanup(func() {
				got := receptionOf(b.heard[1:]) // without the claim
				c := p.Counts()
				if want := (reception{c.Lost, c.Reordered, c.Duplicated, c.Values}); got != want {
					t.Errorf("heard %+v, counted %+v", got, want)
				}
				if c.Values+c.ValuesLost < 3*4000 || c.Messages < 4000 {
					t.Errorf("counts %+v", c)
				}
				near := func(what string, n uint64, share float64) {
					if want := share * float64(c.Messages); float64(n) < 0.8*want-1 || float64(n) > 1.2*want+1 {
						t.Errorf("%s %d of %d, want %g", what, n, c.Messages, share)
					}
				}
				near("lost", c.Lost, f.Loss)
				near("duplicated", c.Duplicated, f.Duplicate)
				if f.Reorder > 0 && c.Reordered == 0 {
					t.Error("nothing was reordered")
				}
			})
		})
	}
}

func TestFaultsAreRepeatable(t *testing.T) {
	heard := make([][]uint8, 2)
	for i := range heard {
		t.Run("life", func(t *testing.T) {
			s := Settings{Channels: channels(3), Rate: 200, Values: seconds, Faults: Faults{Loss: 0.1, Reorder: 0.1, Duplicate: 0.1, Seed: 7}}
			simulate(t, s, func(t scene) {
				time.Sleep(5 * time.Second)
				messages := t.b.take()[1:]
				for _, m := range messages {
					heard[i] = append(heard[i], m.Seq-messages[0].Seq)
				}
			})
		})
	}
	t.Cleanup(func() {
		n := min(len(heard[0]), len(heard[1]))
		if n < 900 || !slices.Equal(heard[0][:n], heard[1][:n]) {
			t.Errorf("%d and %d messages differ", len(heard[0]), len(heard[1]))
		}
	})
}
