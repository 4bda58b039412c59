package sim

import (
	"math"
	"time"
)

// The air in the cell.
const (
	ambientTemp     = 21.5  // °C
	ambientPressure = 100.2 // kPa
	ambientHumidity = 42.0  // %
	displacement    = 1.75  // litres, four-stroke
	airDensity      = 1.18  // kg/m³
	stoichiometric  = 14.7
)

// State is the truth about the cell at one moment, without noise, in the
// metric units of JETDRIVE. What an instrument shows of it is Channel.Value.
type State struct {
	Time         time.Duration // since the start
	Throttle     float64       // 0 to 1
	RPM          float64       // engine; Ratio times DrumRPM
	DrumRPM      float64
	Speed        float64 // km/h at the rim
	Distance     float64 // m
	Force        float64 // N at the rim, the drum's own drag and the absorber added back
	Power        float64 // kW: Force × Speed
	Torque       float64 // N·m at the engine: Power / RPM
	Acceleration float64 // (km/h)/s
	Brake        float64 // N of the absorber
	MAP          float64 // kPa
	AFRFront     float64
	AFRRear      float64
	AFRTarget    float64
	Intake       float64 // °C of the intake air
	Coolant      float64 // °C
	Voltage      float64 // V
	Knock        float64 // degrees of retard
	Spark        float64 // degrees of advance
	VE           float64 // %
	Airflow      float64 // kg/h
	Injection    float64 // s a cylinder and cycle
	AmbientTemp  float64 // °C
	Pressure     float64 // kPa
	Humidity     float64 // %

	seed uint64
}

// At gives the state at t after the start; before the start it is that of the
// start.
func (c *Cell) At(t time.Duration) State {
	t = max(t, 0)
	m := c.at(t.Seconds())
	rpm := m.speed / msPerRPM
	force := driveForce(m.speed, m.throttle)
	watts := force * m.speed
	s := State{
		Time:         t,
		Throttle:     m.throttle,
		RPM:          rpm,
		DrumRPM:      rpm / ratio,
		Speed:        m.speed * 3.6,
		Distance:     m.distance,
		Force:        force,
		Power:        watts / 1000,
		Torque:       watts / (rpm * 2 * math.Pi / 60),
		Acceleration: 3.6 * acceleration(m.speed, m.throttle, m.brake),
		Brake:        m.brake,
		AmbientTemp:  ambientTemp + 0.4*math.Sin(t.Hours()*2*math.Pi),
		Pressure:     ambientPressure,
		Humidity:     ambientHumidity + 1.5*math.Sin(t.Hours()*4*math.Pi),
		seed:         c.seed,
	}
	s.engine(m)
	return s
}

// engine adds what sensors on the engine see: manifold pressure rises with the
// throttle, the mixture is enriched under load, the coolant warms up slowly.
func (s *State) engine(m moment) {
	s.MAP = 26 + (ambientPressure-2-26)*math.Pow(m.charge, 0.45)
	s.AFRTarget = 14.6 - 1.7*smooth((m.throttle-0.3)/0.5)
	rich := smooth((m.mixture - 0.3) / 0.5)
	afr := 14.6 - 1.7*rich + 0.9*(1-smooth(m.mixture/0.1))
	s.AFRFront, s.AFRRear = afr-0.12*rich, afr+0.15*rich
	s.Intake = s.AmbientTemp + 10 - 3*m.flow
	s.Coolant = 96 - 36*math.Exp(-s.Time.Seconds()/180) + 1.5*m.flow
	s.Voltage = 13.9 + 0.25*smooth((s.RPM-1800)/1500) - 0.1*m.flow
	near := (s.RPM - torquePeakRPM) / 500
	s.Knock = 1.8 * rich * math.Exp(-near*near)
	s.Spark = 16 + 14*smooth((s.RPM-1500)/3500) - 6*m.charge - s.Knock
	s.VE = 62 + 40*m.charge*fullTorque(s.RPM)/torquePeak
	s.Airflow = s.RPM / 2 * 60 * displacement / 1000 * airDensity * s.MAP / ambientPressure * s.VE / 100
	fuelPerCycle := s.Airflow / afr / 3600 / (s.RPM / 120) / 2 // kg a cylinder
	s.Injection = 0.0008 + fuelPerCycle/0.0045                 // dead time, then 4.5 g/s
}

// smooth rises from 0 to 1 while x does, without corners.
func smooth(x float64) float64 {
	x = max(0, min(1, x))
	return x * x * (3 - 2*x)
}
