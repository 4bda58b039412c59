package jetdrive

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"dynotap/sample"
	"dynotap/source/jetdrive/klhdv"
)

const (
	// maxChannels bounds a provider's channels of one session, all generations
	// together.
	maxChannels = 8192
	// filteredOut in a channel table stands for a channel that is not wanted.
	filteredOut = math.MaxUint32
)

// channelState is what the provider said of a channel last.
type channelState uint8

const (
	provisional channelState = iota // values came, no ChannelInfo yet
	listed                          // named by ChannelInfo
	cleared                         // forgotten by ClearChannelInfo
	superseded                      // another generation of the id is in use
)

// entry is a channel id in one meaning.
type entry struct {
	id         uint16
	generation uint32
	state      channelState
	label      string
	named      bool // label is the provider's word, not chan_<id>
	unit       sample.Unit
	touched    int64  // position of the message that listed it, or made it
	before     *entry // of a provisional one: the cleared meaning it may turn out to be
	index      int    // in the channel set; -1: not in it
}

// means reports whether the entry has the meaning of a ChannelInfo record.
func (e *entry) means(c klhdv.Channel) bool {
	return e.named && e.label == c.Name && e.unit == klhdv.Unit(c.Unit)
}

// channelList is what one provider's channels are and were (DESIGN decision
// 9). Several ChannelInfo add up and only clear forgets. A channel that had
// values keeps its key and its index for the session:
//
//   - Values before their ChannelInfo go to a provisional chan_<id>, whose
//     label changes with the info and whose key does not.
//   - An id that is listed again after a clear with the same name and unit goes
//     on as the same channel; with another meaning it is the next generation.
//   - Values of a cleared id before any info start the next generation, too;
//     when the info says that the meaning is the old one, the old channel goes
//     on and the one in between keeps what it got, under the same label.
//   - What was sent before the clear but arrives after it counts as before.
type channelList struct {
	wanted     filter
	latest     map[uint16]*entry // by channel id
	generation map[uint16]uint32 // by channel id: of the next new meaning
	table      [256]*[256]uint32 // by channel id: index + 1, 0 unknown, or filteredOut
	inSet      []*entry          // by index
	counts     []uint64          // values by index
	total      int               // entries of all generations
	unlisted   int               // ids in use that no ChannelInfo named
	clearedAt  int64             // position of the newest clear
	changed    bool              // the channel set is out of date
}

func newChannelList(wanted filter) channelList {
	return channelList{
		wanted: wanted, latest: map[uint16]*entry{}, generation: map[uint16]uint32{}, clearedAt: math.MinInt64,
	}
}

// lookup is the index + 1 of a channel in use, 0 where resolve has to be
// asked, or filteredOut.
func (l *channelList) lookup(id uint16) uint32 {
	if page := l.table[id>>8]; page != nil {
		return page[id&0xFF]
	}
	return 0
}

// resolve finds or makes the channel for values of a message at the given
// position. 0 refuses: there are too many channels.
func (l *channelList) resolve(id uint16, position int64) uint32 {
	e := l.latest[id]
	switch {
	case e == nil:
		e = l.add(id, position)
	case e.state != cleared:
	case position < l.clearedAt:
		return l.place(e) // and the table stays without it
	case l.total < maxChannels:
		before := e
		e = l.add(id, position)
		e.before = before
	default: // too many: rather a blurred meaning than lost values
		e.touched = position
		l.turn(e, provisional)
	}
	if e == nil {
		return 0
	}
	return l.enter(e)
}

// list takes in one ChannelInfo record of a message at the given position.
func (l *channelList) list(c klhdv.Channel, position int64) {
	if position < l.clearedAt {
		return
	}
	e := l.latest[c.ID]
	switch {
	case e == nil:
		e = l.add(c.ID, position)
	case e.means(c):
	case e.state == provisional || e.state == listed && !e.named && e.unit == klhdv.Unit(c.Unit):
		e = l.settle(e, c)
	case l.total < maxChannels:
		l.turn(e, superseded)
		e = l.add(c.ID, position)
	}
	if e == nil {
		return
	}
	l.describe(e, c)
	e.touched = position
	l.turn(e, listed)
	l.enter(e)
}

// settle decides what a provisional channel turns out to be: itself, or the
// one of before the clear.
func (l *channelList) settle(e *entry, c klhdv.Channel) *entry {
	for old := e.before; old != nil; old = old.before {
		if old.means(c) {
			for between := e; between != old; between = between.before {
				l.describe(between, c)
				l.turn(between, superseded)
			}
			l.latest[c.ID] = old
			return old
		}
		if old.named {
			break
		}
	}
	return e
}

// describe gives an entry its name and unit.
func (l *channelList) describe(e *entry, c klhdv.Channel) {
	label, named := c.Name, c.Name != ""
	if !named {
		label = provisionalLabel(c.ID)
	}
	unit := klhdv.Unit(c.Unit)
	if e.label != label || e.unit != unit {
		e.label, e.unit = label, unit
		l.changed = l.changed || e.index >= 0
	}
	e.named = named
}

// clear forgets the channels listed before the given position.
func (l *channelList) clear(position int64) {
	l.clearedAt = max(l.clearedAt, position)
	for id, e := range l.latest {
		if (e.state == listed || e.state == provisional) && e.touched < position {
			l.turn(e, cleared)
			if page := l.table[id>>8]; page != nil {
				page[id&0xFF] = 0
			}
		}
	}
}

// adopt makes the list that of another host, whose numbering is its own: the
// provider came back.
func (l *channelList) adopt() {
	l.clear(math.MaxInt64)
	l.clearedAt = math.MinInt64
	l.changed = true
}

// add makes the next generation of an id the latest; nil: too many.
func (l *channelList) add(id uint16, position int64) *entry {
	if l.total >= maxChannels {
		return nil
	}
	l.total++
	e := &entry{id: id, generation: l.generation[id], label: provisionalLabel(id), touched: position, index: -1}
	l.generation[id]++
	l.latest[id] = e
	l.unlisted++
	return e
}

// turn changes an entry's state.
func (l *channelList) turn(e *entry, to channelState) {
	if e.state == provisional {
		l.unlisted--
	}
	if to == provisional {
		l.unlisted++
	}
	e.state = to
}

// enter puts an entry into the table, where the filter lets it.
func (l *channelList) enter(e *entry) uint32 {
	page := l.table[e.id>>8]
	if page == nil {
		page = new([256]uint32)
		l.table[e.id>>8] = page
	}
	page[e.id&0xFF] = l.place(e)
	return page[e.id&0xFF]
}

// place gives an entry its index in the channel set, once, and returns what
// lookup would.
func (l *channelList) place(e *entry) uint32 {
	name := e.label
	if !e.named {
		name = ""
	}
	if l.wanted.excludes(e.id, name) {
		return filteredOut
	}
	if e.index < 0 {
		e.index = len(l.inSet)
		l.inSet = append(l.inSet, e)
		l.counts = append(l.counts, 0)
		l.changed = true
	}
	return uint32(e.index) + 1
}

// set builds the channel set.
func (l *channelList) set(source, key, provider string, host uint16) *sample.ChannelSet {
	channels := make([]sample.Channel, len(l.inSet))
	for i, e := range l.inSet {
		channels[i] = sample.Channel{
			Key:      sample.ChannelKey(key, uint32(e.id), e.generation),
			Provider: provider, HostID: host,
			ID: uint32(e.id), Label: e.label, NativeUnit: e.unit,
		}
	}
	return sample.NewChannelSet(source, channels)
}

// inUse is the channels that are listed or send values, by id.
func (l *channelList) inUse() []*entry {
	var out []*entry
	for _, e := range l.latest {
		if e.state == listed || e.state == provisional {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *entry) int { return cmp.Compare(a.id, b.id) })
	return out
}

// alike counts the records that mean the same as what the list knows.
func (l *channelList) alike(records []klhdv.Channel) int {
	n := 0
	for _, c := range records {
		if e := l.latest[c.ID]; e != nil && e.means(c) {
			n++
		}
	}
	return n
}

func provisionalLabel(id uint16) string { return "chan_" + strconv.Itoa(int(id)) }
