package config

import "reflect"

// resolved is a configuration with the origin of every value that is not the
// guide's default.
type resolved struct {
	config  *Config
	origins map[string]origin
	order   []string
}

// inherited is the setting from which a source's setting takes its value when
// nobody gave one (CONFORMANCE K2): default_retry.x for
// data_sources.jetdrive.retry.x.
func inherited(at path) path {
	if len(at) != 4 || at[0] != dataSources || at[2] == "custom_settings" {
		return nil
	}
	return path{"default_" + at[2], at[3]}
}

// twin is the other place of a setting that stands in a section of the
// source's name and in data_sources.
func twin(at path) path {
	switch {
	case len(at) == 3 && at[0] == dataSources:
		return at[1:]
	case len(at) == 2:
		return path{dataSources}.child(at[0]).child(at[1])
	}
	return nil
}

// resolve lays what was given over preset and defaults. Of two assignments to
// one setting the later wins.
func (c *collector) resolve(given []assignment) *resolved {
	r := &resolved{config: &Config{}, origins: map[string]origin{}}
	target := reflect.ValueOf(r.config).Elem()
	c.defaults(c.root, nil, target)
	preset := ""
	for _, a := range given {
		if a.at.String() == "preset" {
			preset = a.value.String()
		}
	}
	from := origin{layer: fromPreset, name: preset}
	var all []assignment
	for _, s := range presetSettings(preset) {
		found, ok := c.text(c.root.splitPath(s.path), s.value, from)
		if !ok {
			c.add(from, nil, "the preset names no setting: %s", s.path)
		}
		all = append(all, found...)
	}
	all = append(all, given...)

	ofSource := func(a assignment) bool { return a.at[0] == dataSources }
	for _, a := range all {
		if !ofSource(a) {
			c.apply(r, target, a)
		}
	}
	c.seedSources(r.config)
	for _, a := range all {
		if ofSource(a) {
			c.apply(r, target, a)
		}
	}
	c.joinTwins(r, target)
	return r
}

func (c *collector) apply(r *resolved, target reflect.Value, a assignment) {
	c.root.set(target, a.at, a.value)
	name := a.at.String()
	if a.from.layer >= fromFile && r.origins[name].layer < fromFile {
		r.order = append(r.order, name)
	}
	r.origins[name] = a.from
}

// defaults fills in what the tags say, tables left aside.
func (c *collector) defaults(e *entry, at path, target reflect.Value) {
	switch {
	case e.shape == section:
		for _, f := range e.fields {
			c.defaults(f, at.child(f.name), target.Field(f.index))
		}
	case e.shape == leaf && e.fallback != nil:
		v, err := e.fromText(*e.fallback)
		if err != nil {
			c.add(origin{}, at, "default of %s: %v", at, err)
			return
		}
		out, _, message := e.read(v)
		if message != "" {
			c.add(origin{}, at, "default of %s %s", at, message)
			return
		}
		target.Set(out)
	}
}

// seedSources gives every source its entry: the defaults, the guide's times
// for this source, and what it inherits.
func (c *collector) seedSources(config *Config) {
	e := c.root.field(dataSources).elem
	config.DataSources = make(map[string]DataSource, len(c.sources))
	for _, name := range c.sources {
		var s DataSource
		c.defaults(e, path{dataSources, name}, reflect.ValueOf(&s).Elem())
		s.Name = name
		s.Retry, s.CircuitBreaker, s.Validation = config.DefaultRetry, config.DefaultCircuitBreaker, config.DefaultValidation
		switch name {
		case "jetdrive":
			s.ReadTimeoutSec = 0.5
		case "csv":
			s.ConnectionTimeoutSec, s.ReadTimeoutSec = 10, 60
		case "wp8":
			s.ConnectionTimeoutSec, s.ReadTimeoutSec = 10, 30
		}
		config.DataSources[name] = s
	}
}

// joinTwins makes one setting of two places: the section wins over
// data_sources unless a stronger layer speaks there.
func (c *collector) joinTwins(r *resolved, target reflect.Value) {
	sources := c.root.field(dataSources)
	for _, name := range c.sources {
		section := c.root.field(name)
		if section == nil {
			continue
		}
		for _, f := range section.fields {
			if other := sources.elem.field(f.name); other == nil || other.typ != f.typ {
				continue
			}
			winner := path{name, f.name}
			loser := twin(winner)
			if r.origins[loser.String()].layer > r.origins[winner.String()].layer {
				winner, loser = loser, winner
			}
			v, _, _ := c.root.get(target, winner)
			c.root.set(target, loser, v)
			delete(r.origins, loser.String())
		}
	}
}
