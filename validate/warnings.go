package validate

import (
	"log/slog"
	"sync"
	"time"

	"dynotap/sample"

	"golang.org/x/time/rate"
)

// WarningLog writes what the checks of one source found to a log, at most one
// line in an interval however much there is. It is safe for concurrent use.
type WarningLog struct {
	logger  *slog.Logger
	limiter *rate.Limiter

	mu   sync.Mutex
	held Counts // not written yet
}

// NewWarningLog writes to logger, which names the source, a line every interval
// at most. With LogWarnings off it writes nothing.
func NewWarningLog(logger *slog.Logger, settings Settings, interval time.Duration) *WarningLog {
	if !settings.LogWarnings {
		logger = slog.New(slog.DiscardHandler)
	}
	return &WarningLog{logger: logger, limiter: rate.NewLimiter(rate.Every(interval), 1)}
}

// Report takes what the check of one batch found and writes it, together with
// what earlier calls held back, when a line is due. Set is the batch's and
// names the channel of the example.
func (w *WarningLog) Report(set *sample.ChannelSet, n *Counts) {
	if !n.Troubled() && n.OutOfOrder == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held.Add(n)
	if !w.limiter.Allow() {
		return
	}
	attributes := []any{"suspect", w.held.Suspect, "bad", w.held.Bad, "out_of_order", w.held.OutOfOrder}
	for i, rejected := range w.held.Rejected {
		if rejected > 0 {
			attributes = append(attributes, "rejected_"+Reason(i).String(), rejected)
		}
	}
	if n.Troubled() {
		s := n.First.Sample
		attributes = append(attributes, "reason", n.First.Reason.String(), "value", s.Value)
		if int(s.Channel) < set.Len() {
			c := &set.Channels()[s.Channel]
			attributes = append(attributes, "channel", c.Address(), "unit", string(c.NativeUnit))
		}
	}
	w.logger.Warn("samples failed validation or look doubtful", attributes...)
	w.held = Counts{}
}
