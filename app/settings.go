package app

import (
	"net"
	"net/url"
	"slices"
	"time"

	"dynotap/config"
	"dynotap/pipeline"
	"dynotap/queue"
	"dynotap/run/window"
	"dynotap/source"
)

// supervision turns a source's configuration into the supervisor's policies.
func supervision(s config.SourceSettings) source.Settings {
	return source.Settings{
		Retry: source.Retry{
			MaxAttempts:       s.Retry.MaxAttempts,
			InitialDelay:      s.Retry.InitialDelaySec.Duration(),
			MaxDelay:          s.Retry.MaxDelaySec.Duration(),
			Base:              s.Retry.ExponentialBase,
			Jitter:            s.Retry.Jitter,
			OnTimeout:         s.Retry.RetryOnTimeout,
			OnConnectionError: s.Retry.RetryOnConnectionError,
		},
		Breaker: source.Breaker{
			Enabled:          s.Breaker.Enabled,
			FailureThreshold: s.Breaker.FailureThreshold,
			SuccessThreshold: s.Breaker.SuccessThreshold,
			Timeout:          s.Breaker.TimeoutSec.Duration(),
			HalfOpenMaxCalls: s.Breaker.HalfOpenMaxCalls,
		},
		ConnectTimeout: s.ConnectTimeout,
		ReadTimeout:    s.ReadTimeout,
		AutoReconnect:  s.AutoReconnect,
		ReconnectDelay: s.ReconnectDelay,
		StaleAfter:     s.Custom.StaleDataThresholdSec.Duration(),
	}
}

// windowing turns the section aggregation into the pipeline's settings.
func windowing(a *config.Aggregation) pipeline.Windows {
	w := pipeline.Windows{Width: time.Duration(a.WindowMS * float64(time.Millisecond)), Statistics: map[string]window.Statistic{}}
	for statistic, channels := range map[window.Statistic][]string{window.Mean: a.Mean, window.Min: a.Min, window.Max: a.Max} {
		for _, name := range channels {
			w.Statistics[name] = statistic
		}
	}
	return w
}

// serverNames are the names under which the server may be reached: those given,
// and where it is known this machine's, as it is and as it is announced on the
// local network.
func serverNames(given []string, own func() (string, error)) []string {
	names := slices.Clone(given)
	if name, err := own(); err == nil && name != "" {
		names = append(names, name, name+".local")
	}
	return names
}

// fromElsewhere are the URLs under which other machines reach a server that
// listens on all addresses of this one; none for a server that does not.
func fromElsewhere(listen, local string, addresses func() ([]net.Addr, error)) (urls []string) {
	host, _, err := net.SplitHostPort(listen)
	if err != nil || host != "" && !net.ParseIP(host).IsUnspecified() {
		return nil
	}
	u, err := url.Parse(local)
	if err != nil {
		return nil
	}
	list, err := addresses()
	if err != nil {
		return nil // the address of this machine is told all the same
	}
	for _, a := range list {
		network, ok := a.(*net.IPNet)
		if ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			urls = append(urls, "http://"+net.JoinHostPort(network.IP.String(), u.Port())+"/")
		}
	}
	return urls
}

// days is a setting that counts days.
func days(n float64) time.Duration { return time.Duration(n * 24 * float64(time.Hour)) }

// queueing turns the sections queue and retention into the queue's settings.
func queueing(c *config.Config) queue.Settings {
	s, q := queue.Defaults(), &c.Queue
	s.DeadLetterMax = c.Retention.DeadLetters
	s.DeadLetterAge = days(c.Retention.DeadLetterDays)
	s.MaxSize = q.MaxSize
	s.BatchSize = q.BatchSize
	s.FlushInterval = q.FlushIntervalSec.Duration()
	s.DropOnFull = q.DropOnFull
	s.DropOldest = q.DropOldest
	s.MaxRetries = q.MaxRetries
	s.Workers = q.Workers
	s.PriorityEnabled = q.PriorityEnabled
	return s
}
