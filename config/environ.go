package config

import (
	"maps"
	"slices"
	"strings"
)

const (
	environPrefix = "DYNOTAP_"
	// Variables of the tests, which are no settings.
	environSamples = "DYNOTAP_SAMPLES"
	environTests   = "DYNOTAP_TEST_"
)

// guideVariables are the variables that the guide's program read.
func guideVariables() map[string]string {
	return map[string]string{
		"JETDRIVE_MCAST_GROUP": "jetdrive.multicast_group",
		"JETDRIVE_PORT":        "jetdrive.port",
		"JETDRIVE_IFACE":       "jetdrive.interface",
	}
}

// variable is the name under which a setting stands in the environment.
func variable(at path) string {
	return environPrefix + strings.ToUpper(strings.Join(at, "__"))
}

// environment reads settings from variables as os.Environ gives them. Names
// are taken in any case, as Windows does; of a name that is there twice the
// last counts.
func (c *collector) environment(environ []string) []assignment {
	texts := map[string]string{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		texts[strings.ToUpper(name)] = text
	}
	var out []assignment
	given := map[string]string{} // setting -> variable
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		at, isOurs := c.variablePath(name)
		if !isOurs {
			continue
		}
		from := origin{layer: fromEnvironment, name: name}
		found, ok := c.text(at, texts[name], from)
		if !ok {
			c.add(from, at, "no such setting%s", c.suggest(name, c.variables()))
			continue
		}
		if before, twice := given[at.String()]; twice {
			c.add(from, at, "%s is set by %s too: keep one of them", at, before)
			continue
		}
		given[at.String()] = name
		out = append(out, found...)
	}
	return out
}

// variablePath is the setting that a variable names, if it is one of ours.
func (c *collector) variablePath(name string) (path, bool) {
	if setting, ok := guideVariables()[name]; ok {
		return c.root.splitPath(setting), true
	}
	rest, ok := strings.CutPrefix(name, environPrefix)
	if !ok || name == environSamples || strings.HasPrefix(name, environTests) {
		return nil, false
	}
	return strings.Split(strings.ToLower(rest), "__"), true
}

// variables lists all that can be set.
func (c *collector) variables() []string {
	leaves := c.leaves(c.root, nil)
	out := make([]string, 0, len(leaves))
	for _, at := range leaves {
		out = append(out, variable(at))
	}
	return out
}

// flags reads settings given on the command line by their paths.
func (c *collector) flags(overrides map[string]string) []assignment {
	var out []assignment
	from := origin{layer: fromFlag}
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		at := c.root.splitPath(name)
		found, ok := c.text(at, overrides[name], from)
		if !ok {
			c.add(from, at, "no setting %q%s", name, c.suggest(name, c.settings()))
			continue
		}
		out = append(out, found...)
	}
	return out
}
