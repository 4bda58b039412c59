package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep brackets may nest.
const maxDepth = 64

// kind is what a JSON value is.
type kind uint8

const (
	nullValue kind = iota
	boolValue
	numberValue
	textValue
	listValue
	objectValue
)

var kindNames = [...]string{"null", "true or false", "a number", "text", "a list", "a section"}

func (k kind) String() string { return kindNames[k] }

// value is a JSON value and where it stands: text[start:end].
type value struct {
	kind       kind
	start, end int
	// text is a number's literal, a text's content, or true or false.
	text    string
	members []member
	items   []*value
}

type member struct {
	key   string
	start int // of the key's opening quote
	value *value
}

// syntaxError is broken JSON at a place.
type syntaxError struct {
	offset  int
	message string
}

func (e *syntaxError) Error() string { return e.message }

// parser reads JSON strictly as RFC 8259 has it. It exists beside
// encoding/json because that one keeps no positions of keys and values, takes
// duplicate keys and broken UTF-8 without a word, and because the usual slips
// of a hand (a trailing comma, a comment, Python's True) deserve to be named.
type parser struct {
	text string
	pos  int
}

// parse reads one value that fills the text. Errors are *syntaxError.
func parse(text string) (*value, error) {
	p := &parser{text: text}
	switch {
	case strings.HasPrefix(text, "\ufeff"):
		return nil, p.fail(0, "the file begins with a byte order mark: save it as UTF-8 without BOM")
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		return nil, p.fail(0, "the file is UTF-16: save it as UTF-8 without BOM")
	}
	p.space()
	if p.pos == len(text) {
		return nil, p.fail(0, "the file is empty: the least a configuration holds is {}")
	}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos < len(text) {
		return nil, p.fail(p.pos, "the configuration has ended before this: remove what follows")
	}
	return v, nil
}

func (p *parser) fail(offset int, format string, args ...any) error {
	return &syntaxError{offset, fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

// unexpected names what stands at the present position instead of what is
// wanted.
func (p *parser) unexpected(wanted string) error {
	rest := p.text[p.pos:]
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case rest == "":
		return p.fail(p.pos, "the file ends where there should be %s", wanted)
	case r == utf8.RuneError && size == 1:
		return p.fail(p.pos, "byte 0x%02X is not UTF-8: save the file as UTF-8", rest[0])
	case strings.HasPrefix(rest, "//"), strings.HasPrefix(rest, "/*"), r == '#':
		return p.fail(p.pos, "JSON has no comments: write a note as a key that begins with _")
	case r == '\'':
		return p.fail(p.pos, "text stands in double quotes in JSON, not in single ones")
	}
	if word := leadingWord(rest); word != "" {
		return p.fail(p.pos, "expected %s, not %s", wanted, shorten(word))
	}
	return p.fail(p.pos, "expected %s, not %q", wanted, r)
}

// leadingWord is the run of letters, digits and what numbers hold at the start.
func leadingWord(text string) string {
	n := 0
	for n < len(text) {
		c := text[n]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("_+-.", c) < 0 {
			break
		}
		n++
	}
	return text[:n]
}

func (p *parser) value(depth int) (*value, error) {
	if depth > maxDepth {
		return nil, p.fail(p.pos, "brackets nest deeper than %d", maxDepth)
	}
	if p.pos == len(p.text) {
		return nil, p.unexpected("a value")
	}
	start := p.pos
	switch c := p.text[p.pos]; {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.list(depth)
	case c == '"':
		text, err := p.quoted()
		if err != nil {
			return nil, err
		}
		return &value{kind: textValue, start: start, end: p.pos, text: text}, nil
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	return p.word()
}

func (p *parser) word() (*value, error) {
	start := p.pos
	word := leadingWord(p.text[start:])
	v := &value{start: start, end: start + len(word), text: word}
	switch word {
	case "true", "false":
		v.kind = boolValue
	case "null":
		v.kind = nullValue
	case "True", "False", "TRUE", "FALSE":
		return nil, p.fail(start, "write %s, in small letters", strings.ToLower(word))
	case "None", "nil", "undefined":
		return nil, p.fail(start, "write null, not %s", word)
	case "":
		return nil, p.unexpected("a value")
	default:
		return nil, p.fail(start, "%s is no value: text stands in double quotes", shorten(word))
	}
	p.pos = v.end
	return v, nil
}

func (p *parser) number() (*value, error) {
	start := p.pos
	digits := func() int {
		from := p.pos
		for p.pos < len(p.text) && p.text[p.pos] >= '0' && p.text[p.pos] <= '9' {
			p.pos++
		}
		return p.pos - from
	}
	next := func(set string) bool {
		if p.pos < len(p.text) && strings.IndexByte(set, p.text[p.pos]) >= 0 {
			p.pos++
			return true
		}
		return false
	}
	next("-")
	zero := p.pos
	whole := digits()
	ok := whole > 0 && (whole == 1 || p.text[zero] != '0')
	if next(".") {
		ok = digits() > 0 && ok
	}
	if next("eE") {
		next("+-")
		ok = digits() > 0 && ok
	}
	if word := leadingWord(p.text[start:]); !ok || len(word) > p.pos-start {
		return nil, p.fail(start, "%s is no number as JSON writes them", shorten(word))
	}
	return &value{kind: numberValue, start: start, end: p.pos, text: p.text[start:p.pos]}, nil
}

func (p *parser) list(depth int) (*value, error) {
	v := &value{kind: listValue, start: p.pos}
	p.pos++
	for {
		p.space()
		if p.pos < len(p.text) && p.text[p.pos] == ']' && len(v.items) == 0 {
			break
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, item)
		more, err := p.comma(']')
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	p.pos++
	v.end = p.pos
	return v, nil
}

func (p *parser) object(depth int) (*value, error) {
	v := &value{kind: objectValue, start: p.pos}
	p.pos++
	for {
		p.space()
		if p.pos < len(p.text) && p.text[p.pos] == '}' && len(v.members) == 0 {
			break
		}
		m, err := p.member(depth)
		if err != nil {
			return nil, err
		}
		v.members = append(v.members, m)
		more, err := p.comma('}')
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	p.pos++
	v.end = p.pos
	return v, nil
}

func (p *parser) member(depth int) (member, error) {
	m := member{start: p.pos}
	if p.pos == len(p.text) || p.text[p.pos] != '"' {
		if word := leadingWord(p.text[p.pos:]); word != "" {
			return m, p.fail(p.pos, "the key %s must stand in double quotes", shorten(word))
		}
		return m, p.unexpected("a key in double quotes")
	}
	var err error
	if m.key, err = p.quoted(); err != nil {
		return m, err
	}
	p.space()
	if p.pos == len(p.text) || p.text[p.pos] != ':' {
		return m, p.unexpected(fmt.Sprintf("a colon after the key %q", shorten(m.key)))
	}
	p.pos++
	p.space()
	m.value, err = p.value(depth + 1)
	return m, err
}

// comma steps over a comma and reports whether one was there, or stops at the
// closing bracket.
func (p *parser) comma(closing byte) (bool, error) {
	p.space()
	if p.pos < len(p.text) && p.text[p.pos] == closing {
		return false, nil
	}
	if p.pos == len(p.text) || p.text[p.pos] != ',' {
		return false, p.unexpected(fmt.Sprintf("a comma or %c", closing))
	}
	at := p.pos
	p.pos++
	p.space()
	if p.pos < len(p.text) && p.text[p.pos] == closing {
		return false, p.fail(at, "no comma may stand before %c", closing)
	}
	return true, nil
}

var errNoEscape = errors.New("no such escape")

// quoted reads a text in double quotes.
func (p *parser) quoted() (string, error) {
	open := p.pos
	p.pos++
	var out strings.Builder
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		switch {
		case c == '"':
			p.pos++
			return out.String(), nil
		case c == '\n' || c == '\r':
			return "", p.fail(open, "the text that begins here has no closing quote on its line")
		case c < ' ':
			return "", p.fail(p.pos, "control character 0x%02X in a text: write it as an escape", c)
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", p.fail(p.pos, "no such escape in a text: a backslash is written \\\\")
			}
			out.WriteRune(r)
		default:
			r, size := utf8.DecodeRuneInString(p.text[p.pos:])
			if r == utf8.RuneError && size == 1 {
				return "", p.unexpected("text")
			}
			out.WriteString(p.text[p.pos : p.pos+size])
			p.pos += size
		}
	}
	return "", p.fail(open, "the text that begins here has no closing quote")
}

// escape reads an escape sequence; on an error the position stays at its
// backslash.
func (p *parser) escape() (rune, error) {
	rest := p.text[p.pos+1:]
	if rest == "" {
		return 0, errNoEscape
	}
	if i := strings.IndexByte(`"\/bfnrt`, rest[0]); i >= 0 {
		p.pos += 2
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	r, err := hexUnit(rest)
	if err != nil {
		return 0, err
	}
	size := 6
	if utf16.IsSurrogate(r) {
		if len(rest) < 6 || rest[5] != '\\' {
			return 0, errNoEscape
		}
		low, err := hexUnit(rest[6:])
		if err != nil {
			return 0, err
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return 0, errNoEscape
		}
		size = 12
	}
	p.pos += size
	return r, nil
}

// hexUnit reads the u and four digits of a \u escape.
func hexUnit(text string) (rune, error) {
	if len(text) < 5 || text[0] != 'u' {
		return 0, errNoEscape
	}
	n, err := strconv.ParseUint(text[1:5], 16, 16)
	if err != nil {
		return 0, errNoEscape
	}
	return rune(n), nil
}

// shorten keeps a message readable whatever the file holds.
func shorten(text string) string {
	const limit = 40
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit]) + "…"
}
