package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// maxItems bounds a list.
const maxItems = 1000

// read makes a JSON value the value of a setting. The message, empty if all
// is well, says what the value must be and what it is; bad is the value it
// speaks of, one of a list's items perhaps.
func (e *entry) read(v *value) (out reflect.Value, bad *value, message string) {
	out = reflect.New(e.typ).Elem()
	if v.kind == nullValue && e.nullable {
		return out, v, ""
	}
	switch e.typ.Kind() {
	case reflect.Slice:
		return e.readList(v)
	case reflect.Pointer:
		inner, message := e.readOne(e.typ.Elem(), v)
		if message != "" {
			return out, v, message
		}
		out.Set(reflect.New(e.typ.Elem()))
		out.Elem().Set(inner)
		return out, v, ""
	case reflect.Interface:
		if plain := v.plain(); plain != nil {
			out.Set(reflect.ValueOf(plain))
		}
		return out, v, ""
	}
	out, message = e.readOne(e.typ, v)
	return out, v, message
}

func (e *entry) readList(v *value) (reflect.Value, *value, string) {
	out := reflect.MakeSlice(e.typ, 0, len(v.items))
	switch {
	case v.kind != listValue:
		return out, v, "must be a list in brackets, not " + v.shown()
	case len(v.items) > maxItems:
		return out, v, fmt.Sprintf("must hold at most %d values, not %d", maxItems, len(v.items))
	}
	for i, item := range v.items {
		one, message := e.readOne(e.typ.Elem(), item)
		if message != "" {
			return out, item, fmt.Sprintf("holds a wrong value: number %d %s", i+1, message)
		}
		for j := range i {
			if out.Index(j).Equal(one) {
				return out, item, fmt.Sprintf("holds %s twice", item.shown())
			}
		}
		out = reflect.Append(out, one)
	}
	return out, v, ""
}

func (e *entry) readOne(t reflect.Type, v *value) (reflect.Value, string) {
	out := reflect.New(t).Elem()
	var message string
	switch t.Kind() {
	case reflect.Bool:
		if v.kind != boolValue {
			return out, "must be true or false, not " + v.shown()
		}
		out.SetBool(v.text == "true")
	case reflect.Int:
		var n float64
		if n, message = e.readNumber(v, "a whole number"); message == "" {
			out.SetInt(int64(n))
		}
	case reflect.Float64:
		var n float64
		if n, message = e.readNumber(v, "a number"); message == "" {
			out.SetFloat(n)
		}
	case reflect.String:
		var s string
		if s, message = e.readText(v); message == "" {
			out.SetString(s)
		}
	default:
		message = "has no type that a file can hold"
	}
	return out, message
}

// readNumber checks kind, wholeness (every setting of type int lies well
// inside what a float64 counts exactly) and bounds.
func (e *entry) readNumber(v *value, what string) (float64, string) {
	wanted := "must be " + what
	switch {
	case e.min != nil && e.max != nil:
		wanted += fmt.Sprintf(" from %s to %s", number(*e.min), number(*e.max))
	case e.min != nil:
		wanted += " of at least " + number(*e.min)
	case e.max != nil:
		wanted += " of at most " + number(*e.max)
	}
	wanted += ", not " + v.shown()
	if v.kind != numberValue {
		return 0, wanted
	}
	n, err := strconv.ParseFloat(v.text, 64)
	switch {
	case err != nil, math.IsInf(n, 0):
		return 0, wanted
	case what == "a whole number" && n != math.Trunc(n):
		return 0, wanted
	case e.min != nil && n < *e.min, e.max != nil && n > *e.max:
		return 0, wanted
	}
	return n, ""
}

func (e *entry) readText(v *value) (string, string) {
	if v.kind != textValue {
		if e.enum != nil {
			return "", fmt.Sprintf("must be one of %s, not %s", strings.Join(e.enum, ", "), v.shown())
		}
		return "", "must be text in double quotes, not " + v.shown()
	}
	if e.enum != nil {
		i := slices.IndexFunc(e.enum, func(s string) bool { return strings.EqualFold(s, v.text) })
		if i < 0 {
			return "", fmt.Sprintf("must be one of %s, not %s%s", strings.Join(e.enum, ", "), v.shown(), suggest(v.text, e.enum))
		}
		return e.enum[i], ""
	}
	if message := formatProblem(e.format, v.text); message != "" {
		if e.secret || v.text == "" {
			return "", message
		}
		return "", message + ", not " + v.shown()
	}
	return v.text, ""
}

// shown is the value in a message.
func (v *value) shown() string {
	switch v.kind {
	case numberValue, boolValue:
		return shorten(v.text)
	case textValue:
		return strconv.Quote(shorten(v.text))
	case nullValue:
		return "null"
	}
	return v.kind.String()
}

// plain is the value as encoding/json would give it; numbers too large for a
// float64 stay text.
func (v *value) plain() any {
	switch v.kind {
	case boolValue:
		return v.text == "true"
	case numberValue:
		if n, err := strconv.ParseFloat(v.text, 64); err == nil {
			return n
		}
		return v.text
	case textValue:
		return v.text
	case listValue:
		out := make([]any, len(v.items))
		for i, item := range v.items {
			out[i] = item.plain()
		}
		return out
	case objectValue:
		out := make(map[string]any, len(v.members))
		for _, m := range v.members {
			out[m.key] = m.value.plain()
		}
		return out
	}
	return nil
}

// fromText makes of a variable's or flag's text the JSON value that a file
// would hold for this setting. Broken JSON is a *syntaxError.
func (e *entry) fromText(text string) (*value, error) {
	switch {
	case e.nullable && (text == "" || text == "null"):
		return &value{kind: nullValue}, nil
	case e.shape == table:
		return parse(text)
	case e.typ.Kind() == reflect.String:
		return &value{kind: textValue, text: text}, nil
	case e.typ.Kind() == reflect.Interface:
		if v, err := parse(text); err == nil {
			return v, nil
		}
		return &value{kind: textValue, text: text}, nil
	case e.typ.Kind() == reflect.Slice:
		return e.listFromText(text)
	}
	if v, err := parse(text); err == nil {
		return v, nil
	}
	return &value{kind: textValue, text: text}, nil
}

func (e *entry) listFromText(text string) (*value, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "[") {
		return parse(text)
	}
	list := &value{kind: listValue}
	if text == "" {
		return list, nil
	}
	one := &entry{typ: e.typ.Elem()}
	for part := range strings.SplitSeq(text, ",") {
		v, err := one.fromText(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		list.items = append(list.items, v)
	}
	return list, nil
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
