package jetdrive

// tripLog holds the answered pings of the window: one a second and some room.
type tripLog struct {
	trips [96]trip
	used  int
	next  int
	// The quickest is remembered until it is too old or another comes.
	quickest trip
	known    bool
}

func (l *tripLog) add(t trip) {
	l.trips[l.next] = t
	l.next = (l.next + 1) % len(l.trips)
	l.used = min(l.used+1, len(l.trips))
	if l.known && t.roundTrip() <= l.quickest.roundTrip() {
		l.quickest = t
	}
}

func (l *tripLog) best(now int64) (trip, bool) {
	if l.known && now-l.quickest.back <= clockWindow {
		return l.quickest, true
	}
	l.known = false
	for _, t := range l.trips[:l.used] {
		if now-t.back <= clockWindow && (!l.known || t.roundTrip() <= l.quickest.roundTrip()) {
			l.quickest, l.known = t, true
		}
	}
	return l.quickest, l.known
}

func (l *tripLog) keep(wanted func(trip) bool) {
	old := *l
	*l = tripLog{}
	for _, t := range old.trips[:old.used] {
		if wanted(t) {
			l.add(t)
		}
	}
}

// slidingMin is the smallest of the readings of the last 60 s, to 2 s.
type slidingMin struct {
	slots   [clockWindow / slotLength]struct{ number, smallest int64 }
	current int64 // number of the newest slot
	low     int64
	stale   bool
}

const slotLength = 2_000_000 // µs

func (m *slidingMin) reset() { *m = slidingMin{stale: true} }

func (m *slidingMin) add(now, reading int64) {
	number := now / slotLength
	slot := &m.slots[number%int64(len(m.slots))]
	if slot.number != number {
		slot.number, slot.smallest = number, reading
		m.stale = true
	}
	slot.smallest = min(slot.smallest, reading)
	m.low = min(m.low, reading)
}

// min is the smallest reading; false where the window holds none.
func (m *slidingMin) min(now int64) (int64, bool) {
	number := now / slotLength
	if !m.stale && number == m.current {
		return m.low, true
	}
	found := false
	for i := range m.slots {
		slot := &m.slots[i]
		if slot.number == 0 || number-slot.number >= int64(len(m.slots)) {
			continue
		}
		if !found || slot.smallest < m.low {
			m.low, found = slot.smallest, true
		}
	}
	m.current, m.stale = number, !found
	return m.low, found
}
