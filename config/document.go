package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"unicode/utf8"
)

// maxFile bounds the size of a configuration file, in bytes.
const maxFile = 1 << 20

// document is the text of a configuration and what it says.
type document struct {
	name string // as shown in places
	text string
	root *value
	// lines are the offsets at which lines begin.
	lines []int
}

func readFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("read the configuration: %w", err)
	}
	return string(data), nil
}

// newDocument parses text. Broken JSON is an *InvalidError.
func newDocument(name, text string) (*document, error) {
	d := &document{name: name, text: text, lines: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	if len(text) > maxFile {
		return nil, invalid([]Problem{d.place(0).problem(nil, fmt.Sprintf("the file is larger than %d bytes", maxFile))})
	}
	var err error
	if d.root, err = parse(text); err != nil {
		var broken *syntaxError
		if !errors.As(err, &broken) {
			return nil, err
		}
		return nil, invalid([]Problem{d.place(broken.offset).problem(nil, broken.message)})
	}
	return d, nil
}

// place is the line and column, from 1, of an offset in the text. Columns
// count characters, as editors do.
func (d *document) place(offset int) origin {
	line := sort.SearchInts(d.lines, offset+1) - 1
	start := d.lines[line]
	return origin{
		layer: fromFile, name: d.name,
		line: line + 1, column: utf8.RuneCountInString(d.text[start:offset]) + 1,
	}
}

// with gives the document's text with the setting at a path changed to, or
// added as, the given JSON; everything else stays as it is, byte by byte.
func (d *document) with(at path, json string) string {
	v := d.root
	for i, name := range at {
		next := v.member(name)
		if next == nil {
			return d.insert(v, at[i:], json)
		}
		v = next
	}
	return d.text[:v.start] + json + d.text[v.end:]
}

func (v *value) member(name string) *value {
	for i := range v.members {
		if v.members[i].key == name {
			return v.members[i].value
		}
	}
	return nil
}

// insert adds a member at the end of the section v, laid out like the one
// before it.
func (d *document) insert(v *value, at path, json string) string {
	for i := len(at) - 1; i > 0; i-- {
		json = "{" + quote(at[i]) + ": " + json + "}"
	}
	added := quote(at[0]) + ": " + json
	if len(v.members) == 0 {
		return d.text[:v.start] + "{" + added + "}" + d.text[v.end:]
	}
	last := v.members[len(v.members)-1]
	before := strings.TrimRight(d.text[:last.start], " \t\r\n")
	space := d.text[len(before):last.start]
	if i := strings.LastIndexByte(space, '\n'); i >= 0 {
		line := "\n"
		if strings.HasSuffix(space[:i], "\r") {
			line = "\r\n"
		}
		space = line + space[i+1:]
	} else {
		space = " "
	}
	end := last.value.end
	return d.text[:end] + "," + space + added + d.text[end:]
}
