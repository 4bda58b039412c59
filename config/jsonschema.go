package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// Schema is the configuration as JSON Schema 2020-12, indented, for editors
// that complete and check. The sources are those of LoadOptions.
func Schema(sources ...string) ([]byte, error) {
	c := newCollector(schema(), sources)
	top, err := c.jsonSchema(c.root, nil)
	if err != nil {
		return nil, err
	}
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["title"] = "dynotap configuration"
	out, err := json.MarshalIndent(top, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return append(out, '\n'), nil
}

type object = map[string]any

// described is the key of JSON Schema for a text to people.
const described = "description"

func (c *collector) jsonSchema(e *entry, at path) (object, error) {
	out := object{}
	if e.doc != "" {
		out[described] = e.doc
	}
	switch e.shape {
	case leaf:
		return out, c.leafSchema(e, at, out)
	case section:
		return out, c.sectionSchema(e, at, out)
	}
	out["type"] = "object"
	names := c.tableNames(at)
	if at.String() == innovateSensors { // the numbers by a pattern rather than one by one
		inner, err := c.jsonSchema(e.elem, at.child("1"))
		closed(out, object{})
		out["patternProperties"] = object{"^_": object{described: "A note."}, "^([1-9]|[12][0-9]|3[0-2])$": inner}
		return out, err
	}
	if names == nil {
		inner, err := c.jsonSchema(e.elem, at.child(""))
		out["additionalProperties"] = inner
		return out, err
	}
	properties := object{}
	for _, name := range names {
		inner, err := c.jsonSchema(e.elem, at.child(name))
		if err != nil {
			return nil, err
		}
		properties[name] = inner
	}
	closed(out, properties)
	return out, nil
}

func (c *collector) sectionSchema(e *entry, at path, out object) error {
	out["type"] = "object"
	properties := object{}
	for _, f := range e.fields {
		if c.applies(f, at, f.name) != "" {
			continue
		}
		if from := "default_" + f.name; len(at) == 2 && c.root.field(from) != nil {
			properties[f.name] = object{"$ref": "#/properties/" + from, described: f.doc}
			continue
		}
		inner, err := c.jsonSchema(f, at.child(f.name))
		if err != nil {
			return err
		}
		properties[f.name] = inner
	}
	closed(out, properties)
	if e.typ == reflect.TypeFor[Custom]() && len(at) > 1 && !slices.Contains(c.own, at[1]) {
		out["additionalProperties"] = true
	}
	return nil
}

// closed allows these properties and notes, nothing else.
func closed(out, properties object) {
	for _, note := range noteNames() {
		properties[note] = object{described: "A note."}
	}
	out["properties"] = properties
	out["patternProperties"] = object{"^_": object{described: "A note."}}
	out["additionalProperties"] = false
}

func (c *collector) leafSchema(e *entry, at path, out object) error {
	t := e.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice {
		item := object{}
		bounds(e, t.Elem(), item)
		out["type"], out["items"], out["uniqueItems"], out["maxItems"] = "array", item, true, maxItems
	} else {
		bounds(e, t, out)
	}
	if e.nullable {
		out["type"] = []any{out["type"], "null"}
	}
	if e.fallback == nil || len(at) == 3 && at[0] == dataSources {
		return nil // times and sizes differ from source to source
	}
	v, err := e.fromText(*e.fallback)
	if err != nil {
		return fmt.Errorf("default of %s: %w", at, err)
	}
	out["default"] = v.plain()
	return nil
}

// bounds describes one value of type t.
func bounds(e *entry, t reflect.Type, out object) {
	switch t.Kind() {
	case reflect.Bool:
		out["type"] = "boolean"
	case reflect.Int:
		out["type"] = "integer"
	case reflect.Float64:
		out["type"] = "number"
	case reflect.String:
		out["type"] = "string"
	}
	if e.min != nil {
		out["minimum"] = *e.min
	}
	if e.max != nil {
		out["maximum"] = *e.max
	}
	if e.enum != nil {
		out["enum"] = e.enum
	}
}
