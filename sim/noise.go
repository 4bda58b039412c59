package sim

import "math"

// maxSigma bounds the noise: no reading is further off than four deviations.
const maxSigma = 4

// noise is a repeatable draw from a normal distribution with deviation 1 for
// one instrument at one microsecond. Being a function of the time it does not
// depend on who looked before, or how often.
func noise(seed, instrument uint64, micros int64) float64 {
	h := mix(mix(seed^mix(instrument)) ^ uint64(micros))
	// Box and Muller: (0,1] so that the logarithm is finite.
	u := (float64(h>>11) + 1) / (1 << 53)
	v := float64(mix(h)>>11) / (1 << 53)
	n := math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
	return max(-maxSigma, min(maxSigma, n))
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
