package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// walk visits every entry of the schema.
func walk(e *entry, at path, visit func(*entry, path)) {
	visit(e, at)
	for _, f := range e.fields {
		walk(f, at.child(f.name), visit)
	}
	if e.elem != nil {
		walk(e.elem, at.child("*"), visit)
	}
}

func TestEverySettingIsDescribed(t *testing.T) {
	t.Parallel()
	count := 0
	walk(schema(), nil, func(e *entry, at path) {
		if len(at) == 0 || at[len(at)-1] == "*" {
			return
		}
		count++
		if len(e.doc) < 8 || !strings.HasSuffix(e.doc, ".") {
			t.Errorf("%s has no sentence of its own: %q", at, e.doc)
		}
		if !regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`).MatchString(e.name) {
			t.Errorf("%s: no environment variable can name it", at)
		}
		if e.shape != leaf {
			return
		}
		typ := e.typ
		if typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		isNumber := typ.Kind() == reflect.Int || typ.Kind() == reflect.Float64
		if isNumber != (e.min != nil) || isNumber != (e.max != nil) || isNumber && *e.min >= *e.max {
			t.Errorf("%s: bounds %v %v", at, e.min, e.max)
		}
		if isNumber && typ.Kind() == reflect.Int && *e.max > 1<<53 {
			t.Errorf("%s: a float64 does not count to %v", at, *e.max)
		}
	})
	if count < 100 {
		t.Errorf("only %d entries: the schema lost some", count)
	}
}

// another is a value that a setting may have and does not have by default.
func another(t *testing.T, e *entry, at path) (text, json string) {
	t.Helper()
	switch at.String() {
	case "server.token":
		return "secret", `"secret"`
	case "default_retry.max_delay_sec", "data_sources.jetdrive.retry.max_delay_sec":
		return "31", "31"
	}
	if e.enum != nil && e.typ.Kind() != reflect.Slice {
		last := e.enum[len(e.enum)-1]
		return last, quote(last)
	}
	switch e.format {
	case "multicast group":
		return "239.1.2.3", `"239.1.2.3"`
	case "listen address":
		return "localhost:0", `"localhost:0"`
	case "time zone":
		return "Asia/Tokyo", `"Asia/Tokyo"`
	}
	switch e.typ.Kind() {
	case reflect.Bool:
		flipped := fmt.Sprint(e.fallback == nil || *e.fallback != "true")
		return flipped, flipped
	case reflect.Int, reflect.Float64, reflect.Pointer:
		if strings.HasSuffix(e.name, "max") { // of a range: above every built-in minimum
			return "1e6", "1e6"
		}
		number := number(*e.min + 7)
		return number, number
	case reflect.Slice:
		if e.typ.Elem().Kind() == reflect.Int {
			return "3,4", "[3, 4]"
		}
		if e.enum != nil {
			return e.enum[0], `["` + e.enum[0] + `"]`
		}
		return "a,b", `["a", "b"]`
	}
	return "other", `"other"`
}

// Every setting can be given in the file, in the environment and by a flag,
// and arrives; a value of the wrong type never does.
func TestEverySettingIsReachable(t *testing.T) {
	t.Parallel()
	root := schema()
	c := newCollector(root, nil)
	for _, at := range c.leaves(root, nil) {
		if at[0] == "data_sources" && (at[1] != "jetdrive" && at[2] != "custom_settings" || at[2] == "name") || at[0] == "channels" ||
			strings.HasPrefix(at.String(), innovateSensors) && at[2] != "1" {
			continue // the same shape again, or tested by name
		}
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			e, ok := c.at(at)
			if !ok {
				t.Fatal("no such entry")
			}
			value, asJSON := another(t, e, at)
			// With a port given, auto_detect_port may be false.
			const start = `{"innovate": {"port": "COM5"}}`
			before := text(t, start, LoadOptions{}).Config
			old, _, _ := root.get(reflect.ValueOf(before), at)
			doc, err := newDocument("x", start)
			if err != nil {
				t.Fatal(err)
			}
			inFile := doc.with(at, asJSON)
			for name, l := range map[string]*Loaded{
				"file":        text(t, inFile, LoadOptions{}),
				"environment": text(t, start, LoadOptions{Environ: []string{variable(at) + "=" + value}}),
				"flag":        text(t, start, LoadOptions{Overrides: map[string]string{at.String(): value}}),
			} {
				got, _, ok := root.get(reflect.ValueOf(l.Config), at)
				if !ok || old.IsValid() && reflect.DeepEqual(got.Interface(), old.Interface()) {
					t.Errorf("%s: %s = %s does not arrive", name, at, value)
				}
				if l.Origin(at.String()) == "default" {
					t.Errorf("%s: %s is called a default", name, at)
				}
			}
			wrong := doc.with(at, `{"a": []}`)
			if _, err := load("x", wrong, LoadOptions{}); err == nil {
				t.Errorf("%s may be a section", at)
			}
		})
	}
}

func TestK3SchemaAgreesWithTheLoader(t *testing.T) {
	t.Parallel()
	data, err := Schema("mine")
	if err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := json.Unmarshal(data, &top); err != nil {
		t.Fatal(err)
	}
	if top["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %v", top["$schema"])
	}
	for _, file := range corpus(t, "good/*.json") {
		if filepath.Base(file) == "preset-and-more.json" {
			continue // writes "warning", which the loader takes and the schema has in capitals
		}
		if got := faults(top, top, decode(t, file), ""); len(got) > 0 {
			t.Errorf("%s: %v", file, got)
		}
	}
	// What the schema alone can see is wrong there too.
	for _, name := range []string{"unknown-key", "wrong-type", "null-section", "not-an-object"} {
		file := filepath.Join("testdata", "bad", name+".json")
		if got := faults(top, top, decode(t, file), ""); len(got) == 0 {
			t.Errorf("%s passes the schema", file)
		}
	}
	free := map[string]any{"data_sources": map[string]any{"mine": map[string]any{"custom_settings": map[string]any{"x": 1.0}}}}
	if got := faults(top, top, free, ""); len(got) > 0 {
		t.Errorf("custom settings of somebody else's source: %v", got)
	}
}

func TestK1SamplesFitTheSchema(t *testing.T) {
	t.Parallel()
	data, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := json.Unmarshal(data, &top); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ingestion-full.json", "ingestion-guide.json"} {
		if got := faults(top, top, decode(t, filepath.Join(samples(t), "config", name)), ""); len(got) > 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func decode(t *testing.T, file string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(read(t, file)), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// faults checks v against the part of JSON Schema that Schema uses.
func faults(top, s map[string]any, v any, at string) []string {
	if ref, ok := s["$ref"].(string); ok {
		target := top
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			target = target[part].(map[string]any)
		}
		return faults(top, target, v, at)
	}
	var out []string
	if want, ok := s["type"]; ok && !hasType(want, v) {
		return []string{fmt.Sprintf("%s is no %v", at, want)}
	}
	if allowed, ok := s["enum"].([]any); ok && !slices.Contains(allowed, v) {
		out = append(out, at+" is none of the allowed")
	}
	switch v := v.(type) {
	case float64:
		if low, ok := s["minimum"].(float64); ok && v < low {
			out = append(out, at+" is too low")
		}
		if high, ok := s["maximum"].(float64); ok && v > high {
			out = append(out, at+" is too high")
		}
	case []any:
		if items, ok := s["items"].(map[string]any); ok {
			for _, item := range v {
				out = append(out, faults(top, items, item, at+"[]")...)
			}
		}
	case map[string]any:
		properties, _ := s["properties"].(map[string]any)
		_, hasNotes := s["patternProperties"]
		for key, inner := range v {
			below, known := properties[key].(map[string]any)
			rest, isSchema := s["additionalProperties"].(map[string]any)
			switch {
			case known:
				out = append(out, faults(top, below, inner, at+"."+key)...)
			case hasNotes && strings.HasPrefix(key, "_"), isNote(key):
			case isSchema:
				out = append(out, faults(top, rest, inner, at+"."+key)...)
			case s["additionalProperties"] == false:
				out = append(out, at+"."+key+" is not known")
			}
		}
	}
	return out
}

func hasType(want, v any) bool {
	if list, ok := want.([]any); ok {
		return slices.ContainsFunc(list, func(w any) bool { return hasType(w, v) })
	}
	switch v := v.(type) {
	case nil:
		return want == "null"
	case bool:
		return want == "boolean"
	case float64:
		return want == "number" || want == "integer" && v == float64(int64(v))
	case string:
		return want == "string"
	case []any:
		return want == "array"
	}
	return want == "object"
}
