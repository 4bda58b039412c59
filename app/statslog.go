package app

import (
	"context"
	"math"
	"time"
)

// logStatistics writes a line of statistics into the log every
// metrics_interval_sec until ctx ends.
func (a *recording) logStatistics(ctx context.Context) error {
	tick := time.NewTicker(a.loaded.Config.MetricsIntervalSec.Duration())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		_, total := a.pipeline.Ledger.Snapshot()
		queued := a.pipeline.Queue.Stats()
		a.logger.Info("statistics",
			"received", total.Received, "processed", total.Processed, "failed", total.Failed, "dropped", total.Dropped,
			"samples_per_second", int64(a.cell.rate()), "queue", queued.CurrentSize, "dead_letters", queued.DeadLetters,
			"p99_ms", math.Round(queued.Latency.P99*1e5)/100)
	}
}
