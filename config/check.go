package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"dynotap/channel"
	"dynotap/validate"
)

// check judges what several settings say together. What depends on a setting
// that is wrong by itself is left alone.
func (c *collector) check(r *resolved) {
	cfg := r.config
	c.checkRetry(r, path{"default_retry"}, cfg.DefaultRetry)
	for _, name := range c.sources {
		s := cfg.DataSources[name]
		at := path{dataSources, name}
		if s.Name != name {
			c.conflict(r, fmt.Sprintf("%s.name must be %q, the name under which it stands, not %q", at, name, shorten(s.Name)), at.child("name"))
		}
		if s.Retry != cfg.DefaultRetry {
			c.checkRetry(r, at.child("retry"), s.Retry)
		}
	}
	c.checkRanges(r)
	c.checkSensors(r)
	if cfg.Innovate.Port == "" && !cfg.Innovate.AutoDetectPort {
		c.conflict(r, "innovate.port must be given, or innovate.auto_detect_port be true",
			path{"innovate", "auto_detect_port"}, path{"innovate", "port"})
	}
	if cfg.Server.Token == "" && !Loopback(cfg.Server.Listen) {
		c.conflict(r, fmt.Sprintf("server.listen %q can be reached from other machines: set server.token, or listen on 127.0.0.1", cfg.Server.Listen),
			path{"server", "listen"}, path{"server", "token"})
	}
	c.checkChannels(r)
	c.checkAggregation(r)
}

// checkAggregation checks that a channel has one statistic.
func (c *collector) checkAggregation(r *resolved) {
	lists, seen := r.config.Aggregation, map[string]string{}
	for _, list := range []struct {
		name     string
		channels []string
	}{{"mean", lists.Mean}, {"min", lists.Min}, {"max", lists.Max}} {
		at := path{"aggregation", list.name}
		for _, name := range list.channels {
			if other, twice := seen[name]; twice && other != list.name {
				c.conflict(r, fmt.Sprintf("%s: %q is in aggregation.%s too: keep one of them", at, shorten(name), other), at)
			}
			seen[name] = list.name
		}
	}
}

// checkSensors checks that what is known of sensors is of sensors that are
// read, and that no two are in one place.
func (c *collector) checkSensors(r *resolved) {
	at := c.root.splitPath(innovateSensors)
	places := map[string]string{}
	for _, name := range slices.SortedFunc(maps.Keys(r.config.Innovate.Sensors), byNumber) {
		of := at.child(name)
		own := []path{of.child("place"), of.child("multiplier"), of.child("offset"), of.child("stoichiometric")}
		n, err := strconv.Atoi(name)
		if err == nil && !slices.Contains(r.config.Innovate.Channels, n) {
			c.conflict(r, fmt.Sprintf("%s is of a sensor that is not read: add %d to innovate.channels", of, n), append(own, c.root.splitPath("innovate.channels"))...)
		}
		place := r.config.Innovate.Sensors[name].Place
		if place == nil {
			continue
		}
		if other, twice := places[*place]; twice {
			c.conflict(r, fmt.Sprintf("%s.place: the sensors %s and %s cannot both be at the %s", of, other, name, *place), of.child("place"))
		}
		places[*place] = name
	}
}

func byNumber(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// conflict reports what the settings at these paths say together, at the
// first of them that somebody gave.
func (c *collector) conflict(r *resolved, message string, paths ...path) {
	var from origin
	at := paths[0]
	for i := len(paths) - 1; i >= 0; i-- {
		p := paths[i]
		if c.failed[p.String()] {
			return
		}
		o, ok := r.origins[p.String()]
		if other := inherited(p); !ok && other != nil {
			if c.failed[other.String()] {
				return
			}
			o, ok = r.origins[other.String()]
		}
		if ok {
			from, at = o, p
		}
	}
	c.add(from, at, "%s", message)
}

func (c *collector) checkRetry(r *resolved, at path, retry Retry) {
	if retry.MaxDelaySec < retry.InitialDelaySec {
		c.conflict(r, fmt.Sprintf("%s.max_delay_sec must be at least initial_delay_sec (%s), not %s", at,
			number(float64(retry.InitialDelaySec)), number(float64(retry.MaxDelaySec))),
			at.child("max_delay_sec"), at.child("initial_delay_sec"))
	}
}

// checkRanges checks each range by itself and laid over the built-in one, and
// that a channel has only one.
func (c *collector) checkRanges(r *resolved) {
	ranges, quantities := validate.DefaultRanges(), map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(r.config.SensorRanges)) {
		at, own := path{sensorRanges, name}, r.config.SensorRanges[name]
		bounds := []path{at.child("min"), at.child("max"), at.child("warn_min"), at.child("warn_max")}
		q, _ := channel.Find(name)
		if other, twice := quantities[q.Name]; twice {
			c.conflict(r, fmt.Sprintf("%s and %s.%s are the same channel: keep one of them", at, sensorRanges, other), bounds...)
		}
		quantities[q.Name] = name
		if !c.checkRange(r, at, own) {
			continue
		}
		merged, err := ranges.Override(validate.Ranges{name: validate.Range(own)})
		if err != nil {
			c.conflict(r, fmt.Sprintf("%v: give the other bound too, the built-in one does not fit", err), bounds...)
			continue
		}
		ranges = merged
	}
}

// checkRange checks the bounds that are given against each other.
func (c *collector) checkRange(r *resolved, at path, s SensorRange) bool {
	order := []struct {
		low, high         *float64
		lowName, highName string
		strict            bool
	}{
		{s.Min, s.Max, "min", "max", true},
		{s.Min, s.WarnMin, "min", "warn_min", false},
		{s.Min, s.WarnMax, "min", "warn_max", false},
		{s.WarnMin, s.WarnMax, "warn_min", "warn_max", true},
		{s.WarnMin, s.Max, "warn_min", "max", false},
		{s.WarnMax, s.Max, "warn_max", "max", false},
	}
	for _, o := range order {
		if o.low == nil || o.high == nil || *o.low < *o.high || !o.strict && *o.low == *o.high {
			continue
		}
		relation := "not be above"
		if o.strict {
			relation = "be below"
		}
		c.conflict(r, fmt.Sprintf("%s.%s (%s) must %s %s (%s)", at, o.lowName, number(*o.low), relation, o.highName, number(*o.high)),
			at.child(o.lowName), at.child(o.highName))
		return false
	}
	return true
}

// checkChannels checks that the user's mapping leads to channels there are,
// and that labels which differ in case and spacing only agree, as the
// resolver wants it.
func (c *collector) checkChannels(r *resolved) {
	labels := map[string]string{}
	for _, label := range slices.Sorted(maps.Keys(r.config.Channels)) {
		at, name := path{"channels", label}, r.config.Channels[label]
		q, ok := channel.Find(name)
		if !ok {
			c.conflict(r, fmt.Sprintf("%s: no canonical channel %q%s", at, shorten(name), c.suggest(name, channelNames())), at)
			continue
		}
		key := strings.ToLower(strings.Join(strings.Fields(label), " "))
		if other, twice := labels[key]; twice && other != q.Name {
			c.conflict(r, fmt.Sprintf("%s is %s here and %s under another spelling of the label", at, q.Name, other), at)
		}
		labels[key] = q.Name
	}
}
