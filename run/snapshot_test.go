package run

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"dynotap/channel"
	"dynotap/sample"
	"dynotap/store"
)

// What a snapshot gives is what the store gives.
func TestASnapshotReadsAsTheStoreDoes(t *testing.T) {
	t.Parallel()
	batches, _ := demo(t, 20, 20)
	r := newRig(t)
	set := batches[0].Set
	batches = slices.DeleteFunc(batches, func(b *sample.Batch) bool { return b.Set != set })
	slices.Reverse(batches)                             // late
	batches = append(batches, batches[0], batches[100]) // again, at the same times
	var all []sample.Sample
	for _, b := range batches {
		all = append(all, b.Samples...)
	}
	r.put(batches...)
	snapshot := NewSnapshot(r.capture.ID, set, all)
	first, last := epoch+5*second, epoch+9*second
	for name, q := range map[string]store.Query{
		"everything":         {},
		"between two times":  {FromUS: &first, ToUS: &last},
		"one channel":        {Channels: []string{channel.RPM}, ToUS: &last},
		"none that is there": {Channels: []string{"nothing"}},
		"one of two":         {Channels: []string{channel.Speed, "nothing"}, Optional: true},
		"at no time":         {FromUS: &last, ToUS: &first},
		"another capture":    {Capture: "other"},
		"native":             {Native: true},
	} {
		if q.Capture == "" {
			q.Capture = r.capture.ID
		}
		of := func(from Reader) (text string, err error) {
			err = from.Read(t.Context(), q, func(c *store.Channel, points []store.Point) error {
				for _, p := range points {
					text += fmt.Sprintln(c.Key, c.Source, c.Device, c.ID, c.Label, c.Name, c.Unit, c.Corrected, c.Conversion(), p)
				}
				return nil
			})
			return text, err
		}
		want, wantErr := of(r)
		got, gotErr := of(snapshot)
		if q.Native {
			if gotErr == nil {
				t.Errorf("%s: a snapshot holds no native values", name)
			}
			continue
		}
		if got != want || (gotErr == nil) != (wantErr == nil) || errors.Is(gotErr, store.ErrNoChannel) != errors.Is(wantErr, store.ErrNoChannel) {
			t.Errorf("%s: %d bytes, %v; want %d, %v", name, len(got), gotErr, len(want), wantErr)
		}
	}
}
