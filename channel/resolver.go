package channel

import (
	"fmt"
	"slices"
	"strings"

	"dynotap/sample"
)

// Mapping is the user's own word on what channels are: from a label ("User
// Analog 1"), provider:label ("DWRT CPU:User Analog 1"), an address
// ("0x43FD:6:Humidity") or a channel key to a canonical name. Case and
// spacing do not matter. It counts before everything else.
type Mapping map[string]string

// UnknownNameError is a canonical name that does not exist.
type UnknownNameError struct {
	Name    string
	Nearest string
}

func (e *UnknownNameError) Error() string {
	return fmt.Sprintf("unknown channel name %q (did you mean %q?)", e.Name, e.Nearest)
}

// Resolver gives channels their canonical names. It is immutable and safe for
// concurrent use.
type Resolver struct {
	mapped map[string]Quantity
}

// NewResolver makes a resolver that follows the user's mapping, which may be
// nil. An unknown canonical name is an *UnknownNameError.
func NewResolver(user Mapping) (*Resolver, error) {
	r := &Resolver{mapped: make(map[string]Quantity, len(user))}
	from := make([]string, 0, len(user))
	for label := range user {
		from = append(from, label)
	}
	slices.Sort(from) // so that the same mapping gives the same error
	for _, label := range from {
		name := user[label]
		q, ok := Find(name)
		if !ok {
			return nil, fmt.Errorf("map channel %q: %w", label, &UnknownNameError{Name: name, Nearest: Nearest(name)})
		}
		key := fold(label)
		if key == "" {
			return nil, fmt.Errorf("map channel %q to %s: the label is empty", label, name)
		}
		if other, ok := r.mapped[key]; ok && other != q {
			return nil, fmt.Errorf("map channel %q: mapped to %s and to %s", label, other.Name, q.Name)
		}
		r.mapped[key] = q
	}
	return r, nil
}

// fold makes labels that differ in case and spacing equal.
func fold(label string) string { return strings.ToLower(strings.Join(strings.Fields(label), " ")) }

// Resolve fills Name, Unit and Corrected from what the source said. An unknown
// channel has no name and the US unit of its native one. Where the source gave
// no unit, NativeUnit becomes the one in the label, or for a known name the
// canonical one, so that Unit always converts from NativeUnit. A correction
// the source knows of is kept. Resolving twice changes nothing.
func (r *Resolver) Resolve(c sample.Channel) sample.Channel {
	c.Name = ""
	if q, ok := r.userSays(&c); ok {
		if unit, ok := unitFor(&c, q); ok {
			c.Name, c.Unit, c.NativeUnit = q.Name, q.Unit, unit
			c.Corrected = correctionOf(&c)
			return c
		}
	} else if m, ok := find(c.Label, c.NativeUnit, deviceOf(c.Provider)); ok {
		c.Name, c.Unit, c.NativeUnit = m.quantity.Name, m.quantity.Unit, m.unit
		c.Corrected = correctionOf(&c)
		return c
	}
	if c.NativeUnit == sample.NoUnit {
		c.NativeUnit = bracketedUnit(c.Label)
	}
	c.Unit = c.NativeUnit.Shown(sample.US)
	return c
}

// AssumesUnit reports whether Resolve takes a channel to be in the canonical unit
// because neither its source nor its label gives one. An RPM in a name is no
// unit for certain: WinPEP means thousands by it.
func (r *Resolver) AssumesUnit(c sample.Channel) bool {
	if c.NativeUnit != sample.NoUnit {
		return false
	}
	if q, ok := r.userSays(&c); ok {
		return q.Unit != sample.NoUnit && bracketedUnit(c.Label) == sample.NoUnit
	}
	m, ok := find(c.Label, c.NativeUnit, deviceOf(c.Provider))
	if ok && m.unit == sample.RPM {
		return bracketedUnit(c.Label) == sample.NoUnit
	}
	return ok && m.assumed && m.unit != sample.NoUnit
}

// ResolveSet resolves every channel of a set into a new one, in the same
// order. Two channels may get the same name, see Preferred.
func (r *Resolver) ResolveSet(set *sample.ChannelSet) *sample.ChannelSet {
	channels := make([]sample.Channel, set.Len())
	for i, c := range set.Channels() {
		channels[i] = r.Resolve(c)
	}
	return sample.NewChannelSet(set.Source(), channels)
}

// Misfits lists the channels of a set to which the user's mapping could not be
// applied because their unit does not convert to that of the name. They stay
// without a name.
func (r *Resolver) Misfits(set *sample.ChannelSet) []error {
	var out []error
	for i := range set.Channels() {
		c := &set.Channels()[i]
		q, ok := r.userSays(c)
		if !ok {
			continue
		}
		if _, ok := unitFor(c, q); !ok {
			out = append(out, fmt.Errorf("channel %s cannot be %s: its unit %s does not convert to %s", c.Address(), q.Name, c.NativeUnit, q.Unit))
		}
	}
	return out
}

// userSays looks the channel up in the user's mapping, most specific first.
func (r *Resolver) userSays(c *sample.Channel) (Quantity, bool) {
	if len(r.mapped) == 0 {
		return Quantity{}, false
	}
	for _, key := range []string{c.Key, c.Address(), c.Provider + ":" + c.Label, c.Label} {
		if q, ok := r.mapped[fold(key)]; ok && key != "" {
			return q, true
		}
	}
	return Quantity{}, false
}

// correctionOf is the correction of a named channel: what the source knew, else
// what the label says. Only power and torque can carry one.
func correctionOf(c *sample.Channel) sample.Correction {
	if c.Corrected != sample.CorrectionUnknown || !correctable(c.Name) {
		return c.Corrected
	}
	_, p, _ := takePlace(splitWords(c.Label))
	return p.correction
}

// unitFor is the native unit of a channel that the user says is q.
func unitFor(c *sample.Channel, q Quantity) (sample.Unit, bool) {
	unit := c.NativeUnit
	if unit == sample.NoUnit {
		unit = bracketedUnit(c.Label)
	}
	if unit == sample.NoUnit {
		return q.Unit, true
	}
	_, ok := unit.To(q.Unit)
	return unit, ok
}

// Preferred picks, among the channels of a resolved set that have the given
// canonical name, the one to show where only one is wanted, and reports false
// where there is none. Before others come: what the user mapped, the dyno's
// own channels before what an ECU says, corrected before uncorrected power,
// the whole before drum 1; then the first in the list.
func Preferred(set *sample.ChannelSet, name string) (index int, ok bool) {
	best := 0
	for i := range set.Channels() {
		c := &set.Channels()[i]
		if c.Name != name {
			continue
		}
		if rank := rankOf(c); !ok || rank < best {
			index, best, ok = i, rank, true
		}
	}
	return index, ok
}

// rankOf is 0 for the channel everybody means and grows from there.
func rankOf(c *sample.Channel) int {
	on := deviceOf(c.Provider)
	m, ok := find(c.Label, c.NativeUnit, on)
	if !ok || m.quantity.Name != c.Name {
		return -1 // only the user can have named it
	}
	rank := 0
	if on == engineDevice {
		rank += 4
	}
	if c.Corrected == sample.CorrectionNone {
		rank += 2
	}
	if m.place.number > 0 {
		rank++
	}
	return rank
}
