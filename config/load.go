package config

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// LoadOptions says where settings come from.
type LoadOptions struct {
	// Path is the configuration file; empty means none.
	Path string
	// Environ is the environment as os.Environ gives it. Variables that are
	// not ours are ignored.
	Environ []string
	// Overrides are flags: values by the path of their setting
	// (server.listen), written as in the environment.
	Overrides map[string]string
	// Sources names sources beyond those of this program, so that
	// data_sources may hold them, with any custom settings.
	Sources []string
}

// Loaded is a configuration and where each of its values comes from. It is
// not safe for use while Set runs.
type Loaded struct {
	// Config is the effective configuration, to be read only.
	Config Config

	opts LoadOptions
	doc  *document
	// saved is the text that the file held when it was read or written.
	saved   string
	origins map[string]origin
	sources []string
	// order holds the settings that the user gave, as he gave them.
	order []string
}

// noFile is what a configuration file would hold to say the same as none
// (DESIGN decision 1).
const noFile = "{\n  \"preset\": \"" + PresetLiveCapture + "\"\n}\n"

// Load reads the configuration file, the environment and flags. What is wrong
// with them is an *InvalidError; a file that cannot be read is an error that
// wraps the system's.
func Load(opts LoadOptions) (*Loaded, error) {
	if opts.Path == "" {
		return load("", noFile, opts)
	}
	text, err := readFile(opts.Path)
	if err != nil {
		return nil, err
	}
	return load(opts.Path, text, opts)
}

// load is Load with the file's content at hand; no name means no file.
func load(name, text string, opts LoadOptions) (*Loaded, error) {
	doc, err := newDocument(name, text)
	if err != nil {
		return nil, err
	}
	c := newCollector(schema(), opts.Sources)
	given := c.flatten(c.root, nil, doc.root, doc.place)
	if name == "" && text == noFile {
		for i := range given {
			given[i].from = origin{}
		}
	}
	given = append(given, c.environment(opts.Environ)...)
	given = append(given, c.flags(opts.Overrides)...)
	r := c.resolve(given)
	c.check(r)
	if len(c.problems) > 0 {
		return nil, invalid(c.problems)
	}
	return &Loaded{Config: *r.config, opts: opts, doc: doc, saved: text, origins: r.origins, sources: c.sources, order: r.order}, nil
}

// Check lists what is wrong with a configuration file by itself, without
// environment and flags; nothing means that it can be used. See LoadOptions
// for sources.
func Check(path string, sources ...string) []Problem {
	_, err := Load(LoadOptions{Path: path, Sources: sources})
	var broken *InvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &broken):
		return broken.Problems
	}
	return []Problem{{File: path, Message: err.Error()}}
}

// Origin says where the value of a setting comes from: "default",
// "preset NAME", "FILE:LINE", "env VARIABLE" or "flag"; for a value taken
// over from another setting that one follows in parentheses. An unknown path
// gives "".
func (l *Loaded) Origin(setting string) string {
	root := schema()
	at := root.splitPath(setting)
	if _, _, ok := root.get(reflect.ValueOf(l.Config), at); !ok {
		return ""
	}
	from, via := l.origin(at)
	if via != "" && from.layer != fromDefault {
		return from.String() + " (" + via + ")"
	}
	return from.String()
}

func (l *Loaded) origin(at path) (from origin, via string) {
	if from, ok := l.origins[at.String()]; ok {
		return from, ""
	}
	if other := inherited(at); other != nil {
		return l.origins[other.String()], other.String()
	}
	if other := twin(at); other != nil {
		if from, ok := l.origins[other.String()]; ok {
			return from, other.String()
		}
	}
	return origin{}, ""
}

// NotBuilt lists, in the order in which they were given, the settings that
// the user gave and that lie at or below one of the given paths: what the
// program has no use for yet. Presets and defaults are not the user's.
func (l *Loaded) NotBuilt(paths []string) []string {
	var out []string
	for _, setting := range l.order {
		below := func(p string) bool { return setting == p || strings.HasPrefix(setting, p+".") }
		if slices.ContainsFunc(paths, below) {
			out = append(out, setting)
		}
	}
	return out
}

// Setting is one line of the effective configuration.
type Setting struct {
	Path string `json:"path"`
	// Value is as in the file; a secret shows as "***" when it is set.
	Value any `json:"value"`
	// Origin is as Loaded.Origin gives it.
	Origin string `json:"origin"`
	Doc    string `json:"doc"`
}

// Settings lists the effective configuration in the order of the structs. Of
// data_sources it lists the given sources and those that the user spoke of.
func (l *Loaded) Settings(sources []string) []Setting {
	root := schema()
	config := reflect.ValueOf(l.Config)
	var out []Setting
	for _, at := range l.valuePaths(root, config, sources) {
		v, e, ok := root.get(config, at)
		if !ok || v.Kind() == reflect.Pointer && v.IsNil() {
			continue
		}
		out = append(out, Setting{at.String(), e.shownValue(v), l.Origin(at.String()), e.doc})
	}
	return out
}

// shownValue is the value as a file would hold it, a secret covered.
func (e *entry) shownValue(v reflect.Value) any {
	switch {
	case e.secret && !v.IsZero():
		return "***"
	case e.nullable && v.IsZero():
		return nil
	case v.Kind() == reflect.Pointer:
		return v.Elem().Interface()
	case v.Kind() == reflect.Slice && v.IsNil():
		return reflect.MakeSlice(v.Type(), 0, 0).Interface()
	case !v.IsValid():
		return nil
	}
	return v.Interface()
}

// valuePaths are the paths of all values there are.
func (l *Loaded) valuePaths(root *entry, config reflect.Value, sources []string) []path {
	c := newCollector(root, l.opts.Sources)
	var out []path
	for _, f := range root.fields {
		if f.shape != table {
			out = append(out, c.leaves(f, path{f.name})...)
			continue
		}
		entries := config.Field(f.index)
		names := make([]string, 0, entries.Len())
		for _, key := range entries.MapKeys() {
			names = append(names, key.String())
		}
		slices.Sort(names)
		for _, name := range names {
			at := path{f.name, name}
			if f.name == dataSources && !slices.Contains(sources, name) && !l.spokenOf(at) {
				continue
			}
			out = append(out, c.leaves(f.elem, at)...)
			if custom, ok := l.Config.DataSources[name]; ok && f.name == dataSources {
				for _, key := range slices.Sorted(maps.Keys(custom.CustomSettings.Extra)) {
					out = append(out, path{f.name, name, "custom_settings", key})
				}
			}
		}
	}
	return out
}

func (l *Loaded) spokenOf(at path) bool {
	return slices.ContainsFunc(l.order, func(s string) bool { return strings.HasPrefix(s, at.String()+".") })
}
