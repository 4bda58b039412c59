package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/sample"
	"dynotap/source"
)

// metrics gives Prometheus the same snapshots that the API shows, at the
// moment of the scrape.
type metrics struct {
	cell     *cell
	pipeline *pipeline.Pipeline
	pressure *pressure
}

// describe gives the descriptions, by field, in one place.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("dynotap_"+name, help, labels, nil)
}

// Describe sends nothing: the set of series depends on what is running.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect sends everything.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.collectAccounts(out)
	m.collectQueue(out)
	m.collectSources(out)
}

func counter(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (m *metrics) collectAccounts(out chan<- prometheus.Metric) {
	accounts, _ := m.pipeline.Accounts()
	for _, s := range m.cell.sources {
		if _, ok := accounts[s.name]; !ok {
			accounts[s.name] = pipeline.Account{}
		}
	}
	received := describe("samples_received_total", "Samples received, duplicates removed.", "source")
	recovered := describe("samples_recovered_total", "Samples found in the queue and the dead letters at start.", "source")
	processed := describe("samples_processed_total", "Samples stored.", "source")
	failed := describe("samples_failed_total", "Samples rejected by validation.", "source", "reason")
	dropped := describe("samples_dropped_total", "Samples lost, by reason.", "source", "reason")
	discarded := describe("samples_discarded_total", "Samples removed by the user.", "source")
	queued := describe("samples_queued", "Samples accepted and not yet stored.", "source")
	dead := describe("samples_dead", "Samples among the dead letters.", "source")
	for name, a := range accounts {
		counter(out, received, float64(a.Received), name)
		counter(out, recovered, float64(a.Recovered), name)
		counter(out, processed, float64(a.Processed), name)
		counter(out, discarded, float64(a.Discarded), name)
		gauge(out, queued, float64(a.Queued), name)
		gauge(out, dead, float64(a.Dead), name)
		for reason, n := range a.FailedBy {
			counter(out, failed, float64(n), name, reason)
		}
		for reason, n := range a.DroppedBy {
			counter(out, dropped, float64(n), name, reason)
		}
	}
}

func (m *metrics) collectQueue(out chan<- prometheus.Metric) {
	stats := m.pipeline.Queue.Stats()
	depth := describe("queue_depth", "Batches in the queue.", "priority")
	for p := range sample.Priorities {
		name := sample.Priority(p).String()
		gauge(out, depth, float64(stats.ByPriority[name]), name)
	}
	gauge(out, describe("queue_capacity", "Batches the queue holds before it is full."), float64(stats.MaxSize))
	gauge(out, describe("queue_high_watermark", "Most batches in the queue since the start."), float64(stats.HighWatermark))
	gauge(out, describe("queue_oldest_age_seconds", "Age of the oldest batch in the queue."), stats.OldestAge)
	gauge(out, describe("queue_processed_per_second", "Batches stored a second, over the last ten seconds."), stats.Rate)
	latency := describe("queue_latency_seconds", "Time from acceptance to the store, of the last one to two minutes.", "quantile")
	gauge(out, latency, stats.Latency.P50, "0.5")
	gauge(out, latency, stats.Latency.P99, "0.99")
	gauge(out, latency, stats.Latency.Max, "1")
	counter(out, describe("queue_enqueued_total", "Batches accepted."), float64(stats.TotalEnqueued))
	counter(out, describe("queue_processed_total", "Batches stored."), float64(stats.TotalProcessed))
	counter(out, describe("queue_failed_total", "Batches that became dead letters."), float64(stats.TotalFailed))
	counter(out, describe("queue_retried_total", "Deliveries that are repeated."), float64(stats.TotalRetried))
	dropped := describe("queue_dropped_total", "Batches lost, by reason.", "source", "reason")
	for _, d := range stats.Dropped {
		counter(out, dropped, float64(d.Items), d.Source, d.Reason)
	}
	m.collectPressure(out, &stats)
	gauge(out, describe("dead_letters", "Batches among the dead letters."), float64(stats.DeadLetters))
}

// collectPressure gives what a full queue and a slow disk do to the sources.
func (m *metrics) collectPressure(out chan<- prometheus.Metric, stats *queue.Stats) {
	gauge(out, describe("queue_waiting", "Sources that wait for room in the full queue."), float64(stats.Waiting))
	counter(out, describe("queue_waits_total", "Times that a source had to wait for room."), float64(stats.TotalWaits))
	counter(out, describe("queue_wait_seconds_total", "Time that sources have waited for room, in waits that have ended."), stats.WaitSeconds)
	v := m.pressure.view()
	for _, what := range []string{spellFull, spellSlow, spellUnread} {
		gauge(out, describe("pressure", "Whether the queue is full, the disk slow or the network not read in time at present.", "what"),
			truth(v.Present != nil && v.Present.What == what), what)
	}
	waiting := describe("source_waiting_seconds", "How long the batch in hand has been on its way into the queue.", "source")
	refused := describe("source_refused_seconds", "For how long the full queue has refused everything of the source.", "source")
	hindered := map[string]hindranceView{}
	for _, h := range v.Hindered {
		hindered[h.Source] = h
	}
	for _, s := range m.cell.sources {
		gauge(out, waiting, hindered[s.name].Waiting, s.name)
		gauge(out, refused, hindered[s.name].Refused, s.name)
	}
	datagrams := describe("overrun_datagrams_total", "Datagrams lost because the network was not read in time.", "source")
	samples := describe("overrun_samples_total", "Samples in them, about.", "source")
	for source, o := range m.cell.overruns() {
		counter(out, datagrams, float64(o.Datagrams), source)
		counter(out, samples, float64(o.Samples), source)
	}
}

func (m *metrics) collectSources(out chan<- prometheus.Metric) {
	circuit := describe("circuit_state", "State of the circuit breaker: 0 closed, 1 half open, 2 open.", "source")
	healthy := describe("source_healthy", "Whether the source is healthy.", "source")
	bytes := describe("bytes_received_total", "Bytes received.", "source")
	reconnects := describe("reconnects_total", "Connections after the first.", "source")
	rate := describe("samples_per_second", "Samples received a second, over the last seconds.", "source")
	streak := describe("consecutive_errors", "Failures in a row.", "source")
	latency := describe("avg_latency_seconds", "Mean time from arrival to acceptance.", "source")
	for _, s := range m.cell.sources {
		stats, health := s.supervisor.Stats(), s.supervisor.Health()
		gauge(out, circuit, circuitNumber(stats.CircuitState), s.name)
		gauge(out, healthy, truth(health.Healthy), s.name)
		counter(out, bytes, float64(stats.BytesReceived), s.name)
		counter(out, reconnects, float64(stats.Reconnects), s.name)
		gauge(out, rate, stats.SamplesPerSecond, s.name)
		gauge(out, streak, float64(stats.ConsecutiveErrors), s.name)
		gauge(out, latency, stats.AvgLatencyMS/1000, s.name)
		collectChannels(out, s.name, &health)
		if s.live.Losses == nil {
			continue
		}
		lost := describe("packets_total", "Packets that did not become samples, by what became of them.", "source", "reason")
		for reason, n := range s.live.Losses() {
			counter(out, lost, float64(n), s.name, reason)
		}
	}
}

func circuitNumber(s source.CircuitState) float64 {
	switch s {
	case source.HalfOpen:
		return 1
	case source.Open:
		return 2
	default:
		return 0
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
