package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"dynotap/pipeline"
	"dynotap/queue"
)

// presentText says in one sentence what goes on: the same on the terminal, in
// the log, in readyz and in status.
func presentText(v *spellView, whenFull string, size int, hindered []pipeline.Hindrance) string {
	since := fmt.Sprintf("since %.1f s", v.Seconds)
	var parts []string
	switch v.What {
	case spellFull:
		head := fmt.Sprintf("queue FULL (%s) %s", plural(size, "batch"), since)
		switch whenFull {
		case "wait":
			parts = append(parts, head+", "+waitersText(hindered))
		case "drop_oldest":
			parts = append(parts, head+", dropping the oldest")
		default:
			parts = append(parts, head+", dropping the newest")
		}
	case spellSlow:
		parts = append(parts, fmt.Sprintf("disk SLOW %s, %s", since, waitersText(hindered)))
	default:
		parts = append(parts, "network NOT READ in time "+since)
	}
	return strings.Join(append(parts, lossTexts(v)...), ": ")
}

// waitersText names the sources that wait, and for how long.
func waitersText(hindered []pipeline.Hindrance) string {
	var names []string
	for _, h := range hindered {
		if h.Waiting >= 100*time.Millisecond { // less is on its way
			names = append(names, fmt.Sprintf("%s since %.1f s", h.Source, h.Waiting.Seconds()))
		}
	}
	switch len(names) {
	case 0:
		return "sources wait"
	case 1:
		return "1 source waits: " + names[0]
	default:
		return fmt.Sprintf("%d sources wait: %s", len(names), strings.Join(names, ", "))
	}
}

// endedText says what a spell was, once it is over.
func endedText(v *spellView) string {
	var text string
	switch v.What {
	case spellFull:
		text = "queue no longer full"
	case spellSlow:
		text = "disk no longer slow"
	default:
		text = "network read in time again"
	}
	text += fmt.Sprintf(" after %.1f s", v.Seconds)
	if v.Waits > 0 {
		text += fmt.Sprintf(", sources waited %s for %.1f s together", times(v.Waits), v.WaitSeconds)
	}
	losses := lossTexts(v)
	if len(losses) == 0 {
		losses = []string{"nothing was lost"}
	}
	return text + ": " + strings.Join(losses, ", ")
}

// lossTexts says what was lost: none, or one text.
func lossTexts(v *spellView) []string {
	parts := make([]string, 0, len(v.Lost)+len(v.Overruns))
	for _, d := range v.Lost {
		parts = append(parts, dropText(d))
	}
	for _, source := range slices.Sorted(maps.Keys(v.Overruns)) {
		parts = append(parts, overrunText(source, v.Overruns[source]))
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{strings.Join(parts, ", ")}
}

func dropText(d queue.Drop) string {
	return fmt.Sprintf("%s samples of %s lost (%s)", thousands(d.Samples), d.Source, d.Reason)
}

func overrunText(source string, o Overruns) string {
	return fmt.Sprintf("%s datagrams of %s with about %s samples lost unread", thousands(int64(o.Datagrams)), source, thousands(int64(o.Samples)))
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return thousands(n) + " times"
}

// historyLines says what a full queue has done since the start, for status.
func historyLines(v *pressureView, s *queue.Stats, overruns map[string]Overruns) []string {
	var lines []string
	if v.Last != nil {
		lines = append(lines, fmt.Sprintf("%s at %s (%s since the start)", v.Last.Text,
			v.Last.Since.Add(time.Duration(v.Last.Seconds*float64(time.Second))).Local().Format(time.TimeOnly), times(v.Spells)))
	}
	for _, d := range s.Dropped {
		lines = append(lines, fmt.Sprintf("lost since the start: %s, %s", dropText(d), plural(int(d.Items), "batch")))
	}
	for _, source := range slices.Sorted(maps.Keys(overruns)) {
		if o := overruns[source]; o.Datagrams > 0 {
			lines = append(lines, "lost since the start: "+overrunText(source, o))
		}
	}
	return lines
}
