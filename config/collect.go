package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"dynotap/channel"
)

// Keys of the tables that the code treats in a way of their own.
const (
	dataSources  = "data_sources"
	sensorRanges = "sensor_ranges"
	// innovateSensors is in the section innovate.
	innovateSensors = "innovate.sensors"
)

// maxSensor is the highest number of a sensor that innovate.channels and
// innovate.sensors take.
const maxSensor = 32

// assignment is one setting that somebody gave.
type assignment struct {
	at    path
	value reflect.Value
	from  origin
}

// collector gathers what the file, the environment and flags say, and what is
// wrong with it.
type collector struct {
	root *entry
	// sources are the names allowed in data_sources, own those whose custom
	// settings are all known here.
	sources, own []string
	problems     []Problem
	// failed are the settings given wrongly; what depends on them is not
	// judged.
	failed map[string]bool
}

func newCollector(root *entry, extraSources []string) *collector {
	own := sourceNames()
	all := slices.Clone(own)
	for _, name := range extraSources {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return &collector{root: root, sources: all, own: own, failed: map[string]bool{}}
}

// sourceNames are the sources and formats of this program that a file may
// name, built or not (DESIGN "Rooms").
func sourceNames() []string {
	return []string{"jetdrive", "innovate", "csv", "wp8", "winpep", "powervision", "jetdrivelog", "pcap", "mlg", "msl", "haltech"}
}

func (c *collector) add(from origin, at path, format string, args ...any) {
	c.problems = append(c.problems, from.problem(at, fmt.Sprintf(format, args...)))
	c.failed[at.String()] = true
}

// isNote reports whether a key is a note to people, allowed on every level
// (CONFORMANCE K3).
func isNote(key string) bool {
	return strings.HasPrefix(key, "_") || slices.Contains(noteNames(), key)
}

func noteNames() []string { return []string{"$schema", "description", "last_updated"} }

// child finds the entry of a key below e, which stands at the path at.
// Otherwise it says what is wrong.
func (c *collector) child(e *entry, at path, name string) (*entry, string) {
	switch e.shape {
	case section:
		if f := e.field(name); f != nil {
			return f, c.applies(f, at, name)
		}
		if len(at) > 1 && e.typ == reflect.TypeFor[Custom]() && !slices.Contains(c.own, at[1]) {
			return &entry{name: name, typ: reflect.TypeFor[any]()}, ""
		}
		return nil, c.unknown(e, at, name)
	case table:
		known := c.tableNames(at)
		if known != nil && !slices.Contains(known, name) && (at[0] != sensorRanges || !isChannel(name)) {
			if at.String() == innovateSensors {
				return nil, fmt.Sprintf("%q in %s is not the number of a sensor, 1 to %d", shorten(name), at, maxSensor)
			}
			return nil, fmt.Sprintf("unknown name %q in %s%s", shorten(name), at, c.suggest(name, known))
		}
		if strings.TrimSpace(name) == "" {
			return nil, fmt.Sprintf("a name in %s must not be empty", at)
		}
		return e.elem, ""
	}
	return nil, fmt.Sprintf("%s has nothing below it", at)
}

// applies refuses a custom setting on a source where it does nothing.
func (c *collector) applies(f *entry, at path, name string) string {
	if len(f.only) == 0 || len(at) < 2 || !slices.Contains(c.own, at[1]) || slices.Contains(f.only, at[1]) {
		return ""
	}
	return fmt.Sprintf("%s does nothing for the source %s: it belongs to %s", name, at[1], strings.Join(f.only, ", "))
}

// tableNames are the names that a table allows; nil allows any.
func (c *collector) tableNames(at path) []string {
	switch at.String() {
	case dataSources:
		return c.sources
	case sensorRanges:
		return channelNames()
	case innovateSensors:
		return sensorNumbers()
	}
	return nil
}

// sensorNumbers are the numbers that a sensor of a chain can have.
func sensorNumbers() []string {
	out := make([]string, maxSensor)
	for i := range out {
		out[i] = strconv.Itoa(i + 1)
	}
	return out
}

// channelNames are the canonical channels.
func channelNames() []string {
	out := make([]string, len(channel.Canonical))
	for i, q := range channel.Canonical {
		out[i] = q.Name
	}
	return out
}

func isChannel(name string) bool {
	_, ok := channel.Find(name)
	return ok
}

// suggest is the package's suggest as long as it will be read: the search
// costs more than all the rest, and a hostile file could ask for thousands.
func (c *collector) suggest(name string, known []string) string {
	if len(c.problems) > maxProblems {
		return ""
	}
	return suggest(name, known)
}

// unknown names the nearest key of the same section, or the section in which
// the key is at home.
func (c *collector) unknown(e *entry, at path, name string) string {
	where := "here"
	if len(at) > 0 {
		where = "in " + at.String()
	}
	if e.typ != reflect.TypeFor[Custom]() && len(c.problems) <= maxProblems {
		if _, distance := nearest(name, e.names()); distance > 2 {
			for _, other := range c.root.fields {
				if other.shape == section && other.field(name) != nil && other != e {
					return fmt.Sprintf("unknown key %q %s: it belongs into the section %q", name, where, other.name)
				}
			}
		}
	}
	return fmt.Sprintf("unknown key %q %s%s", shorten(name), where, c.suggest(name, e.names()))
}

// flatten checks the shape of v against e and gives every setting in it.
func (c *collector) flatten(e *entry, at path, v *value, place func(offset int) origin) []assignment {
	if e.shape == leaf {
		out, bad, message := e.read(v)
		if message != "" {
			c.add(place(bad.start), at, "%s %s", at, message)
			return nil
		}
		return []assignment{{at, out, place(v.start)}}
	}
	if v.kind != objectValue {
		name := at.String()
		if len(at) == 0 {
			name = "the configuration"
		}
		hint := ""
		if v.kind == nullValue {
			hint = ": leave it out to take the defaults"
		}
		c.add(place(v.start), at, "%s must be a section in braces, not %s%s", name, v.shown(), hint)
		return nil
	}
	var out []assignment
	first := map[string]int{}
	for _, m := range v.members {
		inner := at.child(m.key)
		if before, twice := first[m.key]; twice && !strings.HasPrefix(m.key, "_") {
			c.add(place(m.start), inner, "the key %q is here twice: it is in line %d already", shorten(m.key), place(before).line)
			continue
		}
		first[m.key] = m.start
		if isNote(m.key) {
			continue
		}
		f, message := c.child(e, at, m.key)
		if message != "" {
			c.add(place(m.start), inner, "%s", message)
			continue
		}
		out = append(out, c.flatten(f, inner, m.value, place)...)
	}
	return out
}

// at finds the entry of a setting, or of a table of plain settings, that a
// variable or flag can name.
func (c *collector) at(setting path) (*entry, bool) {
	e := c.root
	for i, name := range setting {
		var message string
		if e, message = c.child(e, setting[:i], name); message != "" {
			return nil, false
		}
	}
	return e, e.shape == leaf || e.shape == table && e.elem.shape == leaf
}

// text reads a setting given as text, by a variable or a flag; ok says
// whether there is such a setting.
func (c *collector) text(at path, text string, from origin) (out []assignment, ok bool) {
	e, ok := c.at(at)
	if !ok {
		return nil, false
	}
	v, err := e.fromText(text)
	if err != nil {
		c.add(from, at, "%s: %v", at, err)
		return nil, true
	}
	return c.flatten(e, at, v, func(int) origin { return from }), true
}

// settings lists the paths of all settings, as candidates for a suggestion.
func (c *collector) settings() []string {
	leaves := c.leaves(c.root, nil)
	out := make([]string, len(leaves))
	for i, at := range leaves {
		out[i] = at.String()
	}
	return out
}

// leaves lists the paths of all settings below e; tables with given names are
// listed by those.
func (c *collector) leaves(e *entry, at path) []path {
	var out []path
	switch e.shape {
	case leaf:
		return []path{at}
	case section:
		for _, f := range e.fields {
			if c.applies(f, at, f.name) == "" {
				out = append(out, c.leaves(f, at.child(f.name))...)
			}
		}
	case table:
		if e.elem.shape == leaf {
			return []path{at}
		}
		for _, name := range c.tableNames(at) {
			out = append(out, c.leaves(e.elem, at.child(name))...)
		}
	}
	return out
}
