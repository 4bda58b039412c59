package jetdrive

import (
	"testing"

	"pgregory.net/rapid"
)

// restated is the numbering as the independent node follows it, written down
// once more without regard to speed.
type restated struct {
	heard                  bool
	last                   uint8
	missing                []uint8
	lost, late, duplicates int
}

func (r *restated) accept(seq uint8) order {
	gap := 0
	if r.heard {
		gap = (int(seq) - int(r.last) - 1 + 512) % 256
	}
	if gap < 128 {
		all := append([]uint8{}, r.missing...)
		for i := range gap {
			all = append(all, r.last+1+uint8(i))
		}
		r.missing = nil
		for _, m := range all {
			if m != seq {
				r.missing = append(r.missing, m)
			}
		}
		if len(r.missing) > 64 {
			r.missing = r.missing[len(r.missing)-64:]
		}
		r.lost += gap
		r.heard, r.last = true, seq
		return inOrder
	}
	for i, m := range r.missing {
		if m == seq {
			r.missing = append(r.missing[:i:i], r.missing[i+1:]...)
			r.lost--
			r.late++
			return late
		}
	}
	r.duplicates++
	return duplicate
}

func TestSequenceAgreesWithItsRestatement(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var ours sequence
		var theirs restated
		number := rapid.Uint8().Draw(t, "first")
		steps := rapid.SliceOfN(rapid.OneOf(
			rapid.Just(1), rapid.IntRange(-3, 4), rapid.IntRange(-70, 70), rapid.IntRange(0, 255),
		), 0, 600).Draw(t, "steps")
		for i, step := range steps {
			number += uint8(step)
			if got, want := ours.accept(number), theirs.accept(number); got != want {
				t.Fatalf("message %d, number %d: order %d, want %d", i, number, got, want)
			}
			if int(ours.lost) != theirs.lost || int(ours.reordered) != theirs.late || int(ours.duplicates) != theirs.duplicates {
				t.Fatalf("message %d, number %d: lost %d reordered %d duplicate %d, want %d %d %d", i, number,
					ours.lost, ours.reordered, ours.duplicates, theirs.lost, theirs.late, theirs.duplicates)
			}
			if string(ours.missing[:ours.open]) != string(theirs.missing) {
				t.Fatalf("message %d: missing %v, want %v", i, ours.missing[:ours.open], theirs.missing)
			}
		}
	})
}

func TestSequence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                       string
		numbers                    []uint8
		lost, reordered, duplicate uint64
	}{
		{"in order across the wrap", []uint8{254, 255, 0, 1}, 0, 0, 0},
		{"a first number is no gap", []uint8{77}, 0, 0, 0},
		{"two lost across the wrap", []uint8{254, 1}, 2, 0, 0},
		{"swapped", []uint8{1, 3, 2, 4}, 0, 1, 0},
		{"repeated", []uint8{1, 2, 2, 3}, 0, 0, 1},
		{"late one repeated", []uint8{1, 3, 2, 2}, 0, 1, 1},
		{"127 ahead is a gap", []uint8{0, 128}, 127, 0, 0},
		{"128 ahead is behind", []uint8{0, 129}, 0, 0, 1},
		{"the window holds the last 64", []uint8{0, 100, 36, 35}, 98, 1, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var s sequence
			for _, n := range test.numbers {
				s.accept(n)
			}
			if s.lost != test.lost || s.reordered != test.reordered || s.duplicates != test.duplicate {
				t.Errorf("lost %d reordered %d duplicate %d, want %d %d %d",
					s.lost, s.reordered, s.duplicates, test.lost, test.reordered, test.duplicate)
			}
		})
	}
}

func BenchmarkSequenceInOrder(b *testing.B) {
	var s sequence
	var n uint8
	for b.Loop() {
		s.accept(n)
		n++
	}
}
