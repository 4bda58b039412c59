package config

import (
	"reflect"
	"strconv"
	"strings"
)

// shape is what an entry of the schema is.
type shape uint8

const (
	// leaf is one setting.
	leaf shape = iota
	// section has fields of its own.
	section
	// table has entries of one shape under free names.
	table
)

// entry is one key of the configuration as the structs' tags describe it:
//
//	json       the key
//	doc        one or two sentences for people; every key has them
//	default    the value when nobody gives one, written as in the environment
//	min, max   the bounds of a number (of each number of a list), both included
//	enum       the texts allowed, separated by commas; case is ignored
//	format     how a text is checked, see formatProblem
//	nullable   null may be given and means the empty value
//	secret     the value is not shown
//	only       the sources on which a custom setting acts
type entry struct {
	name     string
	doc      string
	shape    shape
	typ      reflect.Type
	index    int // of the field in its struct
	fields   []*entry
	elem     *entry // of a table
	fallback *string
	min, max *float64
	enum     []string
	format   string
	nullable bool
	secret   bool
	only     []string
}

// schema reads the whole configuration's shape off Config.
func schema() *entry { return entryOf(reflect.TypeFor[Config]()) }

func entryOf(t reflect.Type) *entry {
	e := &entry{typ: t}
	switch {
	case t.Kind() == reflect.Struct:
		e.shape = section
		for i := range t.NumField() {
			f := t.Field(i)
			name := f.Tag.Get("json")
			if name == "-" {
				continue
			}
			child := entryOf(f.Type)
			child.name, child.index = name, i
			child.readTags(f.Tag)
			e.fields = append(e.fields, child)
		}
	case t.Kind() == reflect.Map:
		e.shape = table
		e.elem = entryOf(t.Elem())
	}
	return e
}

// readTags takes over what the tags say. That every bound is a number is
// tested; a bad default is found when it is applied.
func (e *entry) readTags(tag reflect.StructTag) {
	e.doc, e.format = tag.Get("doc"), tag.Get("format")
	e.nullable, e.secret = tag.Get("nullable") != "", tag.Get("secret") != ""
	if text, ok := tag.Lookup("default"); ok {
		e.fallback = &text
	}
	bound := func(key string) *float64 {
		n, err := strconv.ParseFloat(tag.Get(key), 64)
		if err != nil {
			return nil
		}
		return &n
	}
	e.min, e.max = bound("min"), bound("max")
	list := func(key string) []string {
		if tag.Get(key) == "" {
			return nil
		}
		return strings.Split(tag.Get(key), ",")
	}
	e.enum, e.only = list("enum"), list("only")
}

// field finds a key of a section.
func (e *entry) field(name string) *entry {
	for _, f := range e.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

// names lists a section's keys.
func (e *entry) names() []string {
	out := make([]string, len(e.fields))
	for i, f := range e.fields {
		out[i] = f.name
	}
	return out
}

// path is where a setting stands, outermost key first.
type path []string

func (p path) String() string { return strings.Join(p, ".") }

// child is the path one level further in; it shares no memory with p.
func (p path) child(name string) path {
	return append(append(make(path, 0, len(p)+1), p...), name)
}

// splitPath takes a path with dots apart. In a table of plain settings
// (channels) all that is left is one name, dots included.
func (e *entry) splitPath(text string) path {
	var out path
	for e != nil {
		if e.shape == leaf || e.shape == table && e.elem.shape == leaf {
			break
		}
		name, rest, more := strings.Cut(text, ".")
		out = append(out, name)
		if !more {
			return out
		}
		text = rest
		if e.shape == table {
			e = e.elem
		} else {
			e = e.field(name)
		}
	}
	return append(out, text)
}

// set stores v at a path below e in target, making table entries as needed.
func (e *entry) set(target reflect.Value, at path, v reflect.Value) {
	if len(at) == 0 {
		target.Set(v)
		return
	}
	switch e.shape {
	case leaf:
		target.Set(v)
	case section:
		if f := e.field(at[0]); f != nil {
			f.set(target.Field(f.index), at[1:], v)
			return
		}
		setExtra(target, at[0], v)
	case table:
		inner := reflect.New(e.typ.Elem()).Elem()
		key := reflect.ValueOf(at[0])
		if old := target.MapIndex(key); old.IsValid() {
			inner.Set(old)
		}
		e.elem.set(inner, at[1:], v)
		if target.IsNil() {
			target.Set(reflect.MakeMap(e.typ))
		}
		target.SetMapIndex(key, inner)
	}
}

// setExtra keeps a setting of somebody else's source.
func setExtra(target reflect.Value, name string, v reflect.Value) {
	custom, ok := target.Addr().Interface().(*Custom)
	if !ok {
		return
	}
	if custom.Extra == nil {
		custom.Extra = map[string]any{}
	}
	custom.Extra[name] = v.Interface()
}

// get finds the value at a path below e.
func (e *entry) get(from reflect.Value, at path) (reflect.Value, *entry, bool) {
	if len(at) == 0 {
		return from, e, true
	}
	switch e.shape {
	case section:
		if f := e.field(at[0]); f != nil {
			return f.get(from.Field(f.index), at[1:])
		}
		if custom, ok := from.Interface().(Custom); ok && len(at) == 1 {
			v, ok := custom.Extra[at[0]]
			return reflect.ValueOf(v), &entry{name: at[0], typ: reflect.TypeFor[any]()}, ok
		}
	case table:
		if inner := from.MapIndex(reflect.ValueOf(at[0])); inner.IsValid() {
			return e.elem.get(inner, at[1:])
		}
	}
	return reflect.Value{}, nil, false
}
