package sim

import "math"

// Exact definitions (PROTOCOLS 8): the units between the dyno's SI physics and
// what tuners quote.
const (
	nmPerFtLb = 1.3558179483314
	kwPerHp   = 0.74569987158227
	// hpConstant is 33000/2π: hp = ft·lb × rpm / 5252.11.
	hpConstant = 33000 / (2 * math.Pi)
)

// The simulated engine, as it shows at the drum: a big V-twin. Torque at full
// throttle is the parabola
//
//	T(n) = 110 ft·lb × (1 - (n - 3600)² / 26.4e6)
//
// whose peak is 110 ft·lb at 3600 rpm. Power n×T(n)/5252.11 has its peak where
// its derivative is zero, at (2×3600 + √(3600² + 3×26.4e6)) / 3 = 5600 rpm:
// 99.5155 hp.
const (
	torquePeak    = 110.0 // ft·lb
	torquePeakRPM = 3600.0
	curveWidth2   = 26.4e6 // rpm²
)

// Peaks is what a perfect dyno would write under a pull.
type Peaks struct {
	HP        float64 // hp
	HPRPM     float64
	Torque    float64 // ft·lb
	TorqueRPM float64
}

// Peak gives the engine's exact peaks.
func Peak() Peaks {
	rpm := (2*torquePeakRPM + math.Sqrt(torquePeakRPM*torquePeakRPM+3*curveWidth2)) / 3
	return Peaks{
		HP:        fullTorque(rpm) * rpm / hpConstant,
		HPRPM:     rpm,
		Torque:    torquePeak,
		TorqueRPM: torquePeakRPM,
	}
}

// fullTorque is the torque at full throttle in ft·lb.
func fullTorque(rpm float64) float64 {
	d := rpm - torquePeakRPM
	return torquePeak * (1 - d*d/curveWidth2)
}

// overrunTorque is the torque with the throttle closed in ft·lb: the engine
// brakes, the more the faster it turns.
func overrunTorque(rpm float64) float64 { return -(7 + 0.003*rpm) }

// engineTorque is the torque in N·m at a throttle opening of 0 to 1.
func engineTorque(rpm, throttle float64) float64 {
	closed := overrunTorque(rpm)
	return (closed + throttle*(fullTorque(rpm)-closed)) * nmPerFtLb
}

// throttleFor is the opening that gives the torque (N·m) at rpm.
func throttleFor(rpm, torque float64) float64 {
	closed := overrunTorque(rpm)
	return (torque/nmPerFtLb - closed) / (fullTorque(rpm) - closed)
}
