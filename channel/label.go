package channel

import (
	"slices"
	"strings"
	"unicode"

	"dynotap/sample"
)

// reading is one way to read a label: its words and the unit it names. A label
// may allow several: the F of "IAT F" is a unit, that of "Advance F" means the
// front cylinder. The first that makes sense is taken.
type reading struct {
	words []string
	unit  sample.Unit
}

// maxLabel bounds the work for one label, in bytes; no device names a channel
// at greater length, and what a file says there is then no name we know.
const maxLabel = 256

// readings lists the ways to read a label, those that find a unit first.
func readings(label string) []reading {
	if len(label) > maxLabel {
		return nil
	}
	label = strings.ReplaceAll(label, "(x1000)", "x1000") // "Engine RPM (x1000)": a factor, no group
	text, groups := splitGroups(label)
	unit := sample.NoUnit
	var ambiguous bool
	words := splitWords(text)
	for _, g := range groups {
		if u, ok := sample.ParseUnit(g); ok {
			unit, ambiguous = u, ambiguous || sideWord(g)
		} else {
			words = append(words, splitWords(g)...)
		}
	}
	if unit != sample.NoUnit {
		out := []reading{{words, unit}}
		if ambiguous {
			out = append(out, reading{splitWords(label), sample.NoUnit})
		}
		return out
	}
	out := bareUnits(text, words[len(splitWords(text)):])
	return append(out, reading{words, sample.NoUnit})
}

// bareUnits reads a unit that stands in the label without brackets: at its
// end ("speed_mph", "Torque ft lb") or, if it cannot be a word, anywhere
// ("Temperature °C 1"). More is what the brackets held.
func bareUnits(text string, more []string) []reading {
	var out []reading
	fields := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == '_' || r == ',' || r == ';' })
	for i, f := range fields {
		if u, ok := sample.ParseUnit(f); ok && strings.ContainsAny(f, "°º℃℉%") {
			rest := slices.Delete(slices.Clone(fields), i, i+1)
			out = append(out, reading{append(splitWords(strings.Join(rest, " ")), more...), u})
		}
	}
	for n := min(3, len(fields)-1); n > 0; n-- {
		at := len(fields) - n
		if u, ok := sample.ParseUnit(strings.Join(fields[at:], " ")); ok {
			out = append(out, reading{append(splitWords(strings.Join(fields[:at], " ")), more...), u})
		}
	}
	return out
}

// bracketedUnit is the unit in brackets at a label we do not know otherwise.
// A single F or R there may mean front or rear, so it does not count.
func bracketedUnit(label string) sample.Unit {
	if len(label) > maxLabel {
		return sample.NoUnit
	}
	_, groups := splitGroups(label)
	for _, g := range groups {
		if u, ok := sample.ParseUnit(g); ok && !sideWord(g) {
			return u
		}
	}
	return sample.NoUnit
}

// splitGroups takes the outermost brackets out of a label: "Speed (km/h) 1"
// gives "Speed   1" and "km/h".
func splitGroups(label string) (text string, groups []string) {
	var outside, inside strings.Builder
	depth := 0
	for _, r := range label {
		switch {
		case r == '(' || r == '[':
			if depth++; depth == 1 {
				outside.WriteByte(' ')
				continue
			}
		case (r == ')' || r == ']') && depth > 0:
			if depth--; depth == 0 {
				groups = append(groups, inside.String())
				inside.Reset()
				outside.WriteByte(' ')
				continue
			}
		}
		if depth > 0 {
			inside.WriteRune(r)
		} else {
			outside.WriteRune(r)
		}
	}
	if depth > 0 { // never closed
		groups = append(groups, inside.String())
	}
	return outside.String(), groups
}

// splitWords gives the words of a name in lower case: split where letters and
// digits stop, inside "engineSpeed" and "AFRFront", and before a number at the
// end ("AFR2"), except in the name of a gas sensor ("WBO2").
func splitWords(text string) []string {
	var words []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = appendWord(words, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(text)
	for i, r := range runes {
		switch {
		case r == '+':
			end()
			words = append(words, "plus")
			continue
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case len(word) > 0 && unicode.IsUpper(r):
			before := word[len(word)-1]
			nextLower := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if unicode.IsLower(before) || unicode.IsUpper(before) && nextLower {
				end()
			}
		}
		word = append(word, r)
	}
	end()
	return words
}

func appendWord(words []string, word string) []string {
	stem := strings.TrimRight(word, "0123456789")
	if stem == "" || stem == word || stem == "o" || stem == "wbo" || stem == "co" {
		return append(words, word)
	}
	return append(words, stem, word[len(stem):])
}

// place is what a label says beside the quantity's name.
type place struct {
	side       string // front, rear or empty
	number     int    // of the sensor or drum; 0: none
	correction sample.Correction
	corrected  bool // a word about correction stands in the label
}

func sideWord(word string) bool {
	side, ok := sideOf(strings.ToLower(word))
	return ok && side != ""
}

func sideOf(word string) (string, bool) {
	switch word {
	case "front", "frt", "f":
		return "front", true
	case "rear", "r":
		return "rear", true
	}
	return "", false
}

// takePlace takes the words that say where and how off the others. It reports
// false where they contradict each other.
func takePlace(words []string) (rest []string, p place, ok bool) {
	for _, w := range words {
		side, isSide := sideOf(w)
		switch {
		case isSide:
			if p.side != "" && p.side != side {
				return nil, p, false
			}
			p.side = side
		case len(w) == 1 && w[0] >= '1' && w[0] <= '9':
			n := int(w[0] - '0')
			if p.number != 0 && p.number != n {
				return nil, p, false
			}
			p.number = n
		case w == "corrected", w == "corr":
			p.corrected = true
		case w == "uncorrected", w == "uncorr":
			p.corrected, p.correction = true, sample.CorrectionNone
		case w == "sae":
			p.corrected, p.correction = true, sample.CorrectionSAE
		case w == "std":
			p.corrected, p.correction = true, sample.CorrectionSTD
		default:
			rest = append(rest, w)
		}
	}
	return rest, p, len(rest) > 0
}
