package source

import "time"

const (
	rateBuckets = 20
	rateBucket  = 250 * time.Millisecond
	rateWindow  = rateBuckets * rateBucket
	// rateStart is the least time a rate is taken over, so that the first
	// packet does not show as a burst.
	rateStart = time.Second
)

// rate counts events over a sliding window of five seconds; it decays to zero
// when nothing comes. The zero value is ready.
type rate struct {
	first  time.Time // of the first event
	bucket int64     // number of the newest bucket since first
	counts [rateBuckets]int64
}

func (r *rate) add(now time.Time, n int64) {
	if r.first.IsZero() {
		r.first = now
	}
	r.roll(now)
	r.counts[r.bucket%rateBuckets] += n
}

// perSecond is the mean rate over the window that ends now.
func (r *rate) perSecond(now time.Time) float64 {
	if r.first.IsZero() {
		return 0
	}
	r.roll(now)
	var sum int64
	for _, n := range r.counts {
		sum += n
	}
	into := now.Sub(r.first) - time.Duration(r.bucket)*rateBucket
	covered := min(rateWindow-rateBucket+into, now.Sub(r.first))
	return float64(sum) / max(covered, rateStart).Seconds()
}

// roll empties the buckets that have left the window.
func (r *rate) roll(now time.Time) {
	bucket := int64(now.Sub(r.first) / rateBucket)
	if bucket-r.bucket >= rateBuckets {
		r.counts = [rateBuckets]int64{}
		r.bucket = bucket
	}
	for r.bucket < bucket {
		r.bucket++
		r.counts[r.bucket%rateBuckets] = 0
	}
}
