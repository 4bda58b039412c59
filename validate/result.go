package validate

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"

	"dynotap/sample"
)

// Rules are settings and ranges together, for checks that explain themselves.
type Rules struct {
	Settings Settings
	Ranges   Ranges
}

// Compile prepares the fast check of a channel set.
func (r Rules) Compile(set *sample.ChannelSet) *Plan { return Compile(set, r.Settings, r.Ranges) }

// Reading is one value that somebody wants checked.
type Reading struct {
	Source  string
	Channel sample.Channel // resolved
	Time    int64          // µs, as Sample.Time
	Quality sample.Quality // what the source thinks of it
	// Value is any number type, json.Number or, where values may be
	// sanitised, text; in the channel's native unit.
	Value any
}

// Issue is one thing found wrong.
type Issue struct {
	Message string `json:"message"`
	// Field is the channel, or "timestamp" and the like where the value is not
	// to blame.
	Field  string `json:"field"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Result is what the check of one reading found. An error makes it invalid and
// bad, a warning suspect.
type Result struct {
	Valid    bool
	Rejected bool // the settings drop it
	Errors   []Issue
	Warnings []Issue
	// Value is the number that was read, in the channel's canonical unit; NaN
	// where there is none.
	Value   float64
	Quality sample.Quality
}

// CheckSample judges one reading as a Plan would, with reasons in words.
func (r Rules) CheckSample(in Reading) Result {
	native, complaint := r.Settings.coerce(in.Value)
	conv := in.Channel.Conversion()
	out := Result{Valid: true, Value: conv.Apply(native), Quality: in.Quality}
	if !r.Settings.Enabled {
		return out
	}
	if complaint != "" {
		out.Valid, out.Rejected, out.Quality = false, true, sample.Bad
		out.Errors = []Issue{in.issue(complaint)}
		return out
	}
	l := limitsOf(&in.Channel, r.Ranges)
	s := sample.Sample{Time: in.Time, Value: native, Quality: in.Quality}
	why := l.reason(&s)
	if why == Marked && in.Quality == sample.Good {
		return out
	}
	policy := policyOf(r.Settings)
	v := policy.decide(why, in.Quality)
	out.Quality, out.Rejected = v.quality, v.rejected
	found := in.issue(l.explain(why, out.Value, in.Channel.Unit))
	if why == Timestamp {
		found.Field, found.Value = "timestamp", strconv.FormatInt(in.Time, 10)
	}
	switch {
	case v.quality == sample.Bad:
		out.Errors = []Issue{found}
	case v.reason == Strict:
		out.Errors = []Issue{in.issue("suspect, which strict_mode rejects")}
		out.Warnings = []Issue{found}
	default:
		out.Warnings = []Issue{found}
	}
	out.Valid = len(out.Errors) == 0
	return out
}

// explain says a reason in words. Value is in unit, the canonical one.
func (l *limits) explain(why Reason, value float64, unit sample.Unit) string {
	amount := func(v float64) string {
		text := strconv.FormatFloat(v, 'g', 6, 64)
		if unit != sample.NoUnit {
			text += " " + string(unit)
		}
		return text
	}
	switch why {
	case NaN:
		return "value is NaN"
	case Infinite:
		return "value is infinite"
	case Below:
		return fmt.Sprintf("%s is below the minimum of %s", amount(value), amount(l.least))
	case Above:
		return fmt.Sprintf("%s is above the maximum of %s", amount(value), amount(l.most))
	case Low:
		return fmt.Sprintf("%s is below %s, where values are usual", amount(value), amount(l.low))
	case High:
		return fmt.Sprintf("%s is above %s, where values are usual", amount(value), amount(l.high))
	case Timestamp:
		return "timestamp is negative or after the year 2100"
	}
	return "marked by the source"
}

func (in *Reading) issue(message string) Issue {
	return Issue{Message: message, Field: in.Channel.DisplayName(), Value: fmt.Sprint(in.Value), Source: in.Source}
}

// coerce turns a value of any type into a number, or says why it is none.
func (s Settings) coerce(value any) (number float64, complaint string) {
	switch v := value.(type) {
	case float64:
		return v, ""
	case float32:
		return float64(v), ""
	case json.Number:
		return coerceText(string(v))
	case string:
		if !s.SanitizeValues {
			return math.NaN(), "value is text, and sanitize_values is off"
		}
		return coerceText(v)
	case nil:
		return math.NaN(), "value is missing"
	}
	switch v := reflect.ValueOf(value); {
	case v.CanInt():
		return float64(v.Int()), ""
	case v.CanUint():
		return float64(v.Uint()), ""
	}
	return math.NaN(), fmt.Sprintf("value has the wrong type %T", value)
}

func coerceText(text string) (number float64, complaint string) {
	v, kind := ParseNumber(text, '.')
	switch kind {
	case Missing:
		return v, "value is missing"
	case Malformed:
		return v, "value is not a number"
	}
	return v, ""
}
