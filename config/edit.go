package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dynotap/internal/durable"
)

// Set changes a setting in the file's text, in memory; Save writes it. The
// value is written as in the environment and checked together with all
// others: on an *InvalidError nothing has changed. A flag or variable that
// sets the same goes on to win.
func (l *Loaded) Set(setting, text string) error {
	c := newCollector(schema(), l.opts.Sources)
	at := c.root.splitPath(setting)
	e, ok := c.at(at)
	if !ok {
		return invalid([]Problem{{Setting: setting, Message: fmt.Sprintf("no setting %q%s", setting, suggest(setting, c.settings()))}})
	}
	v, err := e.fromText(text)
	if err != nil {
		return invalid([]Problem{{Setting: setting, Message: fmt.Sprintf("%s: %v", setting, err)}})
	}
	c.flatten(e, at, v, func(int) origin { return origin{} })
	if len(c.problems) > 0 {
		return invalid(c.problems)
	}
	doc := l.doc
	for setting, v := range settingsIn(e, at, v) {
		if doc, err = newDocument(doc.name, doc.with(setting, v.encode())); err != nil {
			return err
		}
	}
	next, err := load(doc.name, doc.text, l.opts)
	if err != nil {
		return err
	}
	next.saved = l.saved
	*l = *next
	return nil
}

// settingsIn yields the value itself, or one by one those of a table.
func settingsIn(e *entry, at path, v *value) func(yield func(path, *value) bool) {
	return func(yield func(path, *value) bool) {
		if e.shape != table {
			yield(at, v)
			return
		}
		for _, m := range v.members {
			if !isNote(m.key) && !yield(at.child(m.key), m.value) {
				return
			}
		}
	}
}

// ErrChanged means that somebody else changed the file after it was read.
var ErrChanged = errors.New("the configuration file has changed since it was read: read it again")

// Save writes the file with the changes made by Set, whole or not at all.
// Notes, order and layout stay as they were. The environment and flags are not
// written. It refuses to write over changes of somebody else (ErrChanged).
func (l *Loaded) Save(name string) error {
	if name == l.doc.name {
		if now, err := readFile(name); err == nil && now != l.saved {
			return fmt.Errorf("%s: %w", name, ErrChanged)
		}
	}
	mode := fs.FileMode(0o600) // the file may hold the server's token
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
		if info, err := os.Stat(name); err == nil {
			mode = info.Mode().Perm()
		}
	}
	if err := writeFile(name, l.doc.text, mode); err != nil {
		return fmt.Errorf("save the configuration: %w", err)
	}
	next, err := load(name, l.doc.text, l.opts)
	if err != nil {
		return fmt.Errorf("read the saved configuration: %w", err)
	}
	*l = *next
	return nil
}

// writeFile replaces a file so that a reader sees the old or the new one,
// also after a crash.
func writeFile(name, text string, mode fs.FileMode) (err error) {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	return durable.Dir(dir)
}

// encode writes the value as JSON on one line.
func (v *value) encode() string {
	switch v.kind {
	case textValue:
		return quote(v.text)
	case boolValue, numberValue:
		return v.text
	case listValue:
		parts := make([]string, len(v.items))
		for i, item := range v.items {
			parts[i] = item.encode()
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case objectValue:
		parts := make([]string, len(v.members))
		for i, m := range v.members {
			parts[i] = quote(m.key) + ": " + m.value.encode()
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "null"
}

// quote writes text as JSON, leaving < > & as people wrote them.
func quote(text string) string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSuffix(out.String(), "\n")
}
