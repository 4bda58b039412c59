package jetdrive

// lossMeter measures what share of a host's messages does not arrive.
type lossMeter struct {
	began, last int64  // of the running window, µs; 0: nothing yet
	came, lost  uint64 // when it began
	percent     float64
}

const (
	lossWindow = 10_000_000 // µs
	lossStale  = 25_000_000 // µs without a message after which nothing is known
)

// observe is called at each message, with how many have come and been lost.
// What was lost can become less, when messages are late.
func (m *lossMeter) observe(now int64, came, lost uint64) {
	took := now - m.began
	switch {
	case m.began == 0 || now-m.last > lossStale:
		*m = lossMeter{began: now, came: came, lost: lost}
	case took >= lossWindow:
		missing := max(0, int64(lost-m.lost))
		m.percent = 100 * float64(missing) / float64(missing+max(1, int64(came-m.came)))
		m.began, m.came, m.lost = now, came, lost
	}
	m.last = now
}

// share is per cent of the last full ten seconds; 0 if nothing is known.
func (m *lossMeter) share(now int64) float64 {
	if now-m.last > lossStale {
		return 0
	}
	return m.percent
}
