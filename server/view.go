package server

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/source"
	"dynotap/store"
)

// oldAfter is how old a value may be before the page shows its age.
const oldAfter = 2 * time.Second

// view is the status page in words, ready to be shown.
type view struct {
	Version, Now   string
	Ready          bool
	Reasons, Notes []string
	Recording      *recordingView
	Dials          []valueView
	Sources        []sourceView
	Channels       string
	Providers      []*providerView
	Queue          []fact
	Drops          []queue.Drop
	Total          string
	Runs           []runView
	RunsError      string
	Formats        []string
}

type recordingView struct{ Name, Since string }

type sourceView struct {
	Name, State, Class                                              string
	Rate, Received, Processed, Failed, Dropped, Latency, Reconnects string
	Remarks                                                         string
	HasFailed, HasDropped                                           bool
}

type providerView struct {
	Source, Name, Host, Count string
	Values                    []valueView
}

type valueView struct {
	Label, Name, Address, Value, Unit, Age, Class string
}

type fact struct{ Name, Value, Class string }

type runView struct {
	ID, Started, Kind, Name, Duration, Power, Torque string
}

// dialNames are the canonical channels shown large, in this order.
var dialNames = []string{"rpm", "horsepower", "torque", "speed", "afr", "map"}

func stateClass(s source.State, healthy bool) string {
	switch {
	case healthy:
		return "good"
	case s == source.Error, s == source.CircuitOpen:
		return "bad"
	case s == source.Disconnected:
		return ""
	default:
		return "warn"
	}
}

func sourceViews(list []SourceStatus) []sourceView {
	out := make([]sourceView, 0, len(list))
	for _, s := range list {
		v := sourceView{
			Name: s.Name, State: strings.ReplaceAll(string(s.Health.State), "_", " "), Class: stateClass(s.Health.State, s.Health.Healthy),
			Rate: count(int64(math.Round(s.Stats.SamplesPerSecond))), Received: count(s.Stats.SamplesReceived),
			Processed: count(s.Stats.SamplesProcessed), Failed: count(s.Stats.SamplesFailed), Dropped: count(s.Stats.SamplesDropped),
			Latency: fmt.Sprintf("%.1f ms", s.Stats.AvgLatencyMS), Reconnects: count(s.Stats.Reconnects),
			HasFailed: s.Stats.SamplesFailed > 0, HasDropped: s.Stats.SamplesDropped > 0,
		}
		switch {
		case !s.Enabled:
			v.State, v.Class = "switched off", ""
		case s.Absent && s.Health.LastError != "":
			v.State, v.Class, v.Remarks = "no device", "", s.Health.LastError
		case !s.Health.Healthy:
			v.Remarks = strings.Join(s.Health.Reasons, "; ")
			if s.Health.LastError != "" {
				v.Remarks += "; last error: " + s.Health.LastError
			}
		}
		if s.Health.State != source.Disconnected {
			for _, remark := range s.Health.ChannelRemarks() {
				v.Remarks = strings.TrimPrefix(v.Remarks+"; "+remark, "; ")
			}
		}
		if lost := lossesOf(s.Losses); lost != "" {
			v.Remarks = strings.TrimPrefix(v.Remarks+"; "+lost, "; ")
		}
		out = append(out, v)
	}
	return out
}

// lossesOf names what came in and became no sample.
func lossesOf(losses map[string]uint64) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(losses)) {
		if n := losses[reason]; n > 0 {
			parts = append(parts, strings.ReplaceAll(reason, "_", " ")+" "+count(int64(n)))
		}
	}
	return strings.Join(parts, ", ")
}

// live fills in channels and dials.
func (v *view) live(u pipeline.LiveUpdate, units sample.System, now time.Time) {
	newest := make(map[int]pipeline.LiveValue, len(u.Values))
	for _, val := range u.Values {
		newest[val.Ref] = val
	}
	byProvider := map[string]*providerView{}
	dials := map[string]valueView{}
	for i := range u.Channels {
		c := &u.Channels[i]
		key := fmt.Sprintf("%s\x00%s\x00%d", c.Source, c.Provider, c.HostID)
		p := byProvider[key]
		if p == nil {
			p = &providerView{Source: c.Source, Name: cmp.Or(c.Provider, c.Source)}
			if c.HostID != 0 {
				p.Host = fmt.Sprintf("0x%04X", c.HostID)
			}
			byProvider[key] = p
			v.Providers = append(v.Providers, p)
		}
		val := valueOf(c, newest, units, now)
		p.Values = append(p.Values, val)
		if _, ok := dials[c.Name]; !ok && slices.Contains(dialNames, c.Name) {
			dials[c.Name] = val
		}
	}
	for _, p := range v.Providers {
		p.Count = plural(len(p.Values), "channel")
	}
	slices.SortFunc(v.Providers, func(a, b *providerView) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host))
	})
	for _, name := range dialNames {
		if d, ok := dials[name]; ok {
			v.Dials = append(v.Dials, d)
		}
	}
	v.Channels = fmt.Sprintf("%s of %s", plural(len(u.Channels), "channel"), plural(len(v.Providers), "provider"))
}

func valueOf(c *pipeline.LiveChannel, newest map[int]pipeline.LiveValue, units sample.System, now time.Time) valueView {
	shown := c.Unit.Shown(units)
	out := valueView{Label: c.Label, Name: c.Name, Address: c.Address(), Unit: string(shown), Value: "–"}
	val, ok := newest[c.Ref]
	if !ok {
		return out
	}
	if conv, ok := c.Unit.To(shown); ok {
		val.Value = conv.Apply(val.Value)
	}
	out.Value = number(val.Value)
	switch age := now.Sub(sample.Time(val.Time)); {
	case age > oldAfter:
		out.Age, out.Class = ageOf(age), "old"
	case val.Quality == sample.Bad:
		out.Class = "bad"
	case val.Quality == sample.Suspect:
		out.Class = "warn"
	}
	return out
}

// queue fills in the facts of the queue and what it dropped.
func (v *view) queue(s queue.Stats) {
	class := ""
	if s.MaxSize > 0 && s.CurrentSize*10 >= s.MaxSize*8 {
		class = "bad"
	}
	waits := ""
	if s.Waiting > 0 {
		waits = "bad"
	}
	dead := ""
	if s.DeadLetters > 0 {
		dead = "bad"
	}
	v.Queue = []fact{
		{"waiting, of at most " + count(int64(s.MaxSize)), count(int64(s.CurrentSize)), class},
		{"most at once", count(int64(s.HighWatermark)), ""},
		{"batches stored per second", number(s.Rate), ""},
		{"latency, 99 of 100 under", fmt.Sprintf("%.1f ms", s.Latency.P99*1000), ""},
		{"oldest waits for", fmt.Sprintf("%.1f s", s.OldestAge), ""},
		{"dead letters", count(int64(s.DeadLetters)), dead},
		{"when full", strings.ReplaceAll(s.WhenFull, "_", " "), ""},
		{"sources that wait for room", fmt.Sprintf("%s, %s times before, %.1f s together",
			count(int64(s.Waiting)), count(s.TotalWaits-int64(s.Waiting)), s.WaitSeconds), waits},
	}
	v.Drops = s.Dropped
}

// summary is the part of a run's summary that the page shows (CONFORMANCE A7).
type summary struct {
	PeakPower  *float64 `json:"peak_hp"`
	PowerRPM   *float64 `json:"hp_peak_rpm"`
	PeakTorque *float64 `json:"peak_torque"`
	TorqueRPM  *float64 `json:"torque_peak_rpm"`
	DurationMS *float64 `json:"duration_ms"`
}

// runs fills in the list of runs.
func (v *view) runs(list []store.Run, total int, units sample.System) {
	v.Total = fmt.Sprintf("the latest %d of %d", len(list), total)
	for i := range list {
		r := &list[i]
		out := runView{ID: r.ID, Kind: r.Kind, Name: r.Name, Started: "–", Duration: "–"}
		var s summary
		if len(r.Summary) > 0 && json.Unmarshal(r.Summary, &s) != nil {
			s = summary{} // a summary of another shape: shown as not known
		}
		if r.StartedUS != nil {
			out.Started = sample.Time(*r.StartedUS).Local().Format("2006-01-02 15:04:05")
		}
		switch {
		case s.DurationMS != nil:
			out.Duration = duration(time.Duration(*s.DurationMS * float64(time.Millisecond)))
		case r.EndedUS == nil:
			out.Duration = "running"
		}
		out.Power = peak(s.PeakPower, s.PowerRPM, sample.Horsepower, units)
		out.Torque = peak(s.PeakTorque, s.TorqueRPM, sample.FootPound, units)
		v.Runs = append(v.Runs, out)
	}
}

func peak(value, rpm *float64, unit sample.Unit, units sample.System) string {
	if value == nil {
		return "–"
	}
	shown := unit.Shown(units)
	v := *value
	if conv, ok := unit.To(shown); ok {
		v = conv.Apply(v)
	}
	text := fmt.Sprintf("%.1f %s", v, shown)
	if rpm != nil {
		text += fmt.Sprintf(" at %.0f rpm", *rpm)
	}
	return text
}

// number shows a value with about four digits.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 0):
		return "infinite"
	case a >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
}

// count shows a whole number in groups of three digits.
func count(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "\u2009" + text[i:]
	}
	return text
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return count(int64(n)) + " " + what + "s"
}

func ageOf(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
}

func duration(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
