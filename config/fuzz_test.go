package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*.json"))
	if err != nil {
		f.Fatal(err)
	}
	shared, err := filepath.Glob(filepath.Join("..", "..", "shared", "samples", "config", "*.json"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range append(files, shared...) {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, content string) {
		l, err := load("f", content, LoadOptions{})
		if err == nil {
			again, err := load("f", l.doc.text, LoadOptions{})
			if err != nil || !reflect.DeepEqual(again.Config, l.Config) {
				t.Errorf("not the same a second time: %v", err)
			}
			return
		}
		var broken *InvalidError
		if !errors.As(err, &broken) || len(broken.Problems) == 0 {
			t.Fatalf("an error without problems: %v", err)
		}
		lines := strings.Split(content, "\n")
		for _, p := range broken.Problems {
			if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > utf8.RuneCountInString(lines[p.Line-1])+1 {
				t.Errorf("no such place in the file: %v", p)
			}
			if len(p.Message) > 1000 || !utf8.ValidString(p.Message) {
				t.Errorf("unreadable message: %q", p.Message)
			}
		}
	})
}

// The parser takes what encoding/json takes, apart from what it refuses on
// purpose: bytes that are not UTF-8, halves of surrogate pairs, deep nesting.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a": [1, -0.5e+3, true, null, "\u00e4\ud83d\ude00\n"]}`, "[", `"\ud800"`, "01", "-", "1.", "1e", "[1,]", "{\"a\" 1}", "nul", "\"\x01\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		v, err := parse(content)
		valid := json.Valid([]byte(content))
		switch {
		case err == nil && !valid:
			t.Fatalf("took what is no JSON: %q", content)
		case err == nil:
			var want any
			if json.Unmarshal([]byte(content), &want) == nil && !reflect.DeepEqual(v.plain(), want) {
				t.Fatalf("got %v, want %v", v.plain(), want)
			}
		case valid && utf8.ValidString(content) && !strings.Contains(content, `\u`) && strings.Count(content, "[")+strings.Count(content, "{") < maxDepth:
			t.Fatalf("refused %q: %v", content, err)
		}
	})
}

// FuzzText is what a shell may hand over.
func FuzzText(f *testing.F) {
	f.Add("queue.max_size", "5")
	f.Add("channels", `{"a": "rpm"}`)
	f.Add("data_sources.jetdrive.custom_settings.x", "[")
	f.Fuzz(func(t *testing.T, setting, value string) {
		_, err := load("f", "{}", LoadOptions{
			Environ:   []string{variable(strings.Split(setting, ".")) + "=" + value},
			Overrides: map[string]string{setting: value},
		})
		var broken *InvalidError
		if err != nil && !errors.As(err, &broken) {
			t.Fatalf("got %v", err)
		}
	})
}

// Whatever is set is there after a save and a load, and nothing else is.
func TestK3LoadOfSaveIsTheSame(t *testing.T) {
	t.Parallel()
	root := schema()
	c := newCollector(root, nil)
	leaves := c.leaves(root, nil)
	dir := t.TempDir()
	starts := []string{noFile, "{}", "{\n  \"_n\": 1,\n  \"queue\": {\"_n\": 2}\n}\n", read(t, filepath.Join("testdata", "good", "notes-everywhere.json"))}
	rapid.Check(t, func(rt *rapid.T) {
		name := filepath.Join(dir, "p.json")
		l, err := load(name, rapid.SampledFrom(starts).Draw(rt, "start"), LoadOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(l.doc.text), 0o600); err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(0, 8).Draw(rt, "changes") {
			at := rapid.SampledFrom(leaves).Draw(rt, "setting")
			e, _ := c.at(at)
			value := draw(rt, e, at)
			before := l.Config
			if err := l.Set(at.String(), value); err != nil {
				if !reflect.DeepEqual(l.Config, before) {
					rt.Fatalf("%s=%s was refused and changed something", at, value)
				}
				continue
			}
		}
		want := l.Config
		if err := l.Save(name); err != nil {
			rt.Fatal(err)
		}
		again, err := Load(LoadOptions{Path: name})
		if err != nil {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(again.Config, want) || !reflect.DeepEqual(l.Config, want) {
			rt.Fatalf("saved %+v\nloaded %+v", want, again.Config)
		}
		if problems := Check(name); len(problems) > 0 {
			rt.Fatal(problems)
		}
	})
}

// draw makes a value that mostly fits.
func draw(rt *rapid.T, e *entry, at path) string {
	switch {
	case e.shape == table:
		label := rapid.String().Draw(rt, "label")
		return "{" + quote(label) + ": " + quote(rapid.SampledFrom(channelNames()).Draw(rt, "channel")) + "}"
	case e.enum != nil:
		return rapid.SampledFrom(e.enum).Draw(rt, "enum")
	case e.typ.Kind() == reflect.Bool:
		return rapid.SampledFrom([]string{"true", "false"}).Draw(rt, "bool")
	case e.typ.Kind() == reflect.Int:
		return number(float64(rapid.IntRange(int(*e.min), int(*e.max)).Draw(rt, "int")))
	case e.min != nil && e.typ.Kind() != reflect.Slice:
		return number(rapid.Float64Range(*e.min, *e.max).Draw(rt, "number"))
	case e.min != nil:
		return rapid.StringMatching(`([1-9](,[12][0-9])?)?`).Draw(rt, "ints")
	case e.format == "multicast group":
		return rapid.StringMatching(`2(2[4-9]|3[0-9])\.1\.2\.3`).Draw(rt, "group")
	case e.format == "listen address":
		return rapid.StringMatching(`127\.0\.0\.1:[1-9][0-9]{0,3}`).Draw(rt, "address")
	case e.format == "time zone":
		return rapid.SampledFrom([]string{"UTC", "Local", "America/New_York"}).Draw(rt, "zone")
	}
	return rapid.String().Draw(rt, at.String())
}
