package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
)

// Init writes a first configuration file for a preset, with notes that say
// what each setting is. It takes nothing from the preset away: loaded, the
// file is the preset. An existing file is left alone (fs.ErrExist).
func Init(name, preset string) error {
	config, err := Preset(preset)
	if err != nil {
		return err
	}
	text, err := starter(config)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is left as it is: choose another name or remove it first (%w)", name, fs.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the configuration: %w", errors.Join(err, os.Remove(name)))
	}
	return nil
}

// starterSettings are the settings people come to change first, sections
// together.
func starterSettings() []path {
	return []path{
		{"preset"}, {"log_level"}, {"time_zone"},
		{"queue", "max_size"}, {"queue", "persist_path"},
		{"jetdrive", "multicast_group"}, {"jetdrive", "port"}, {"jetdrive", "interface"}, {"jetdrive", "transmit"},
		{"jetdrive", "channel_filter"}, {"jetdrive", "provider_filter"},
		{"channels"}, {"critical_channels"},
		{"display", "units"},
		{"server", "listen"}, {"server", "token"},
	}
}

const about = "Settings of dynotap. Keys that begin with _ are notes and may hold anything. What is not here keeps its default: " +
	"`dynotap config schema` lists every setting, `dynotap config show` says where each value comes from."

// starter is the text of a first file. A note stands before what it explains.
func starter(config Config) (string, error) {
	root := schema()
	var out strings.Builder
	fmt.Fprintf(&out, "{\n  %s: %s", quote("_about"), quote(about))
	open := ""
	for _, at := range starterSettings() {
		v, e, ok := root.get(reflect.ValueOf(config), at)
		if !ok {
			return "", fmt.Errorf("the first configuration names no setting: %s", at)
		}
		text, err := encodeGo(v)
		if err != nil {
			return "", err
		}
		section, indent, comma := "", "  ", ","
		if len(at) > 1 {
			section, indent = at[0], "    "
		}
		if section != open {
			if open != "" {
				out.WriteString("\n  }")
			}
			if section != "" {
				fmt.Fprintf(&out, ",\n\n  %s: {", quote(section))
				comma = ""
			}
			open = section
		}
		key := at[len(at)-1]
		if section == "" {
			comma += "\n"
		}
		fmt.Fprintf(&out, "%s\n%s%s: %s,\n%s%s: %s", comma, indent, quote("_"+key), quote(e.doc), indent, quote(key), text)
	}
	if open != "" {
		out.WriteString("\n  }")
	}
	out.WriteString("\n}\n")
	return out.String(), nil
}

// encodeGo writes a setting's value as JSON; a list or table that is not
// there is written as an empty one.
func encodeGo(v reflect.Value) (string, error) {
	switch {
	case v.Kind() == reflect.Slice && v.Len() == 0:
		return "[]", nil
	case v.Kind() == reflect.Map && v.Len() == 0:
		return "{}", nil
	}
	data, err := json.Marshal(v.Interface())
	return string(data), err
}
