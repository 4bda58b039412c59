package sample

import "strings"

// Unit is a unit of measurement by its symbol, as it is shown to people. The
// empty unit is "none" or "not known".
type Unit string

// The units dynotap knows: those of JETDRIVE (PROTOCOLS 1.1) and the
// canonical ones.
const (
	NoUnit              Unit = ""
	Second              Unit = "s"
	Millisecond         Unit = "ms"
	Metre               Unit = "m"
	Foot                Unit = "ft"
	KilometrePerHour    Unit = "km/h"
	MilePerHour         Unit = "mph"
	MetrePerSecond      Unit = "m/s"
	Newton              Unit = "N"
	PoundForce          Unit = "lbf"
	Kilowatt            Unit = "kW"
	Horsepower          Unit = "hp"
	MetricHorsepower    Unit = "PS" // 75 kgf·m/s: PS, ch, CV
	NewtonMetre         Unit = "N·m"
	FootPound           Unit = "ft·lb"
	KilogramMetre       Unit = "kgf·m"
	Celsius             Unit = "°C"
	Fahrenheit          Unit = "°F"
	Kilopascal          Unit = "kPa"
	PSI                 Unit = "psi"
	InchHg              Unit = "inHg"
	Bar                 Unit = "bar"
	Millibar            Unit = "mbar"
	RPM                 Unit = "rpm"
	KiloRPM             Unit = "krpm"
	RPMPerKilometreHour Unit = "rpm/(km/h)"
	KilometreHourSecond Unit = "(km/h)/s"
	MileHourSecond      Unit = "mph/s"
	G                   Unit = "g"
	AFR                 Unit = "AFR"
	Lambda              Unit = "lambda"
	KilogramPerHour     Unit = "kg/h"
	Volt                Unit = "V"
	Ampere              Unit = "A"
	Percent             Unit = "%"
	Degree              Unit = "°"
)

// Conversion leads from one unit to another: to = from*Scale + Offset.
type Conversion struct {
	Scale, Offset float64
}

// Identity changes nothing.
var identity = Conversion{Scale: 1}

// Apply converts one value.
func (c Conversion) Apply(v float64) float64 { return v*c.Scale + c.Offset }

// Invert leads back.
func (c Conversion) Invert() Conversion {
	return Conversion{Scale: 1 / c.Scale, Offset: -c.Offset / c.Scale}
}

// IsIdentity reports whether the conversion changes nothing.
func (c Conversion) IsIdentity() bool { return c == identity }

// dimension is what a unit measures; only units of one dimension convert.
type dimension uint8

const (
	duration dimension = iota + 1
	length
	speed
	force
	power
	torque
	temperature
	pressure
	rotation
	acceleration
	mixture
)

// measure places a unit on its dimension's reference unit.
type measure struct {
	dim   dimension
	toRef Conversion
}

// Stoichiometric is the air-fuel ratio of lambda 1 for petrol, used wherever
// no other is configured (PROTOCOLS 8).
const Stoichiometric = 14.7

// The factors are those of PROTOCOLS 8; 1 bar = 100 kPa and 1 ft = 0.3048 m by
// definition. 1 mph/s follows from the mile, 1 PS and 1 kgf·m from the standard
// acceleration of gravity.
const (
	kmhPerMph  = 1.609344
	newtonLbf  = 4.4482216152605
	nmPerFtLb  = 1.3558179483314
	kwPerHp    = 0.74569987158227
	kpaPerPsi  = 6.8947572931684
	kpaPerInHg = 3.386388640341
	gPerKmhS   = 0.0283254504
	metrePerFt = 0.3048

	standardGravity = 9.80665
	kwPerPS         = 75 * standardGravity / 1000
)

func measureOf(u Unit) (measure, bool) {
	scaled := func(d dimension, scale float64) (measure, bool) {
		return measure{d, Conversion{Scale: scale}}, true
	}
	switch u {
	case Second:
		return scaled(duration, 1)
	case Millisecond:
		return scaled(duration, 0.001)
	case Metre:
		return scaled(length, 1)
	case Foot:
		return scaled(length, metrePerFt)
	case KilometrePerHour:
		return scaled(speed, 1)
	case MilePerHour:
		return scaled(speed, kmhPerMph)
	case MetrePerSecond:
		return scaled(speed, 3.6)
	case Newton:
		return scaled(force, 1)
	case PoundForce:
		return scaled(force, newtonLbf)
	case Kilowatt:
		return scaled(power, 1)
	case Horsepower:
		return scaled(power, kwPerHp)
	case MetricHorsepower:
		return scaled(power, kwPerPS)
	case NewtonMetre:
		return scaled(torque, 1)
	case FootPound:
		return scaled(torque, nmPerFtLb)
	case KilogramMetre:
		return scaled(torque, standardGravity)
	case Celsius:
		return scaled(temperature, 1)
	case Fahrenheit:
		return measure{temperature, Conversion{Scale: 5.0 / 9, Offset: -160.0 / 9}}, true
	case Kilopascal:
		return scaled(pressure, 1)
	case PSI:
		return scaled(pressure, kpaPerPsi)
	case InchHg:
		return scaled(pressure, kpaPerInHg)
	case Bar:
		return scaled(pressure, 100)
	case Millibar:
		return scaled(pressure, 0.1)
	case RPM:
		return scaled(rotation, 1)
	case KiloRPM:
		return scaled(rotation, 1000)
	case KilometreHourSecond:
		return scaled(acceleration, 1)
	case MileHourSecond:
		return scaled(acceleration, kmhPerMph)
	case G:
		return scaled(acceleration, 1/gPerKmhS)
	case AFR:
		return scaled(mixture, 1)
	case Lambda:
		return scaled(mixture, Stoichiometric)
	}
	return measure{}, false
}

// To gives the conversion from u to v. It reports false where the two do not
// measure the same thing; equal units always convert.
func (u Unit) To(v Unit) (Conversion, bool) {
	if u == v {
		return identity, true
	}
	// Written out because 9/5 and 32 are exact where a way over the
	// reference would round.
	if u == Celsius && v == Fahrenheit {
		return Conversion{Scale: 1.8, Offset: 32}, true
	}
	from, ok1 := measureOf(u)
	to, ok2 := measureOf(v)
	if !ok1 || !ok2 || from.dim != to.dim {
		return Conversion{}, false
	}
	return Conversion{
		Scale:  from.toRef.Scale / to.toRef.Scale,
		Offset: (from.toRef.Offset - to.toRef.Offset) / to.toRef.Scale,
	}, true
}

// System is a choice of units for people: US or metric.
type System uint8

// The two systems. US is the default and the canonical one.
const (
	US System = iota
	Metric
)

// ParseSystem reads "us" or "metric".
func ParseSystem(name string) (System, bool) {
	switch strings.ToLower(name) {
	case "us", "imperial":
		return US, true
	case "metric":
		return Metric, true
	}
	return US, false
}

var shown = [...]struct{ us, metric Unit }{
	{MilePerHour, KilometrePerHour},
	{PoundForce, Newton},
	{Horsepower, Kilowatt},
	{FootPound, NewtonMetre},
	{Fahrenheit, Celsius},
	{InchHg, Kilopascal},
	{Foot, Metre},
}

// Shown gives the unit in which a value of unit u is shown in system s: the
// counterpart where the two systems differ, else u itself. Pressure in kPa
// stays kPa in both (manifold pressure is read in kPa everywhere).
func (u Unit) Shown(s System) Unit {
	for _, pair := range shown {
		switch {
		case s == US && u == pair.metric && u != Kilopascal && u != Metre:
			return pair.us
		case s == Metric && u == pair.us:
			return pair.metric
		}
	}
	return u
}

// unitSpellings maps what people and files write, lower-cased and without
// spaces, to the unit.
var unitSpellings = map[string]Unit{
	"s": Second, "sec": Second, "secs": Second, "second": Second, "seconds": Second,
	"ms": Millisecond, "msec": Millisecond, "milliseconds": Millisecond,
	"m": Metre, "ft": Foot, "feet": Foot,
	"km/h": KilometrePerHour, "kph": KilometrePerHour, "kmh": KilometrePerHour, "kmph": KilometrePerHour,
	"mph": MilePerHour, "mi/h": MilePerHour, "m/s": MetrePerSecond, "meters/second": MetrePerSecond, "metres/second": MetrePerSecond,
	"km/hr": KilometrePerHour, "miles/hour": MilePerHour,
	"n": Newton, "lbf": PoundForce, "lbs": PoundForce, "lb": PoundForce,
	"kw": Kilowatt, "hp": Horsepower, "bhp": Horsepower,
	"ps": MetricHorsepower, "ch": MetricHorsepower, "cv": MetricHorsepower,
	"kgf·m": KilogramMetre, "kgfm": KilogramMetre, "kgf-m": KilogramMetre, "kgm": KilogramMetre, "kg·m": KilogramMetre, "kg-m": KilogramMetre, "mkg": KilogramMetre, "m.kg": KilogramMetre, "m·kg": KilogramMetre,
	"nm": NewtonMetre, "n·m": NewtonMetre, "n-m": NewtonMetre, "n.m": NewtonMetre, "n*m": NewtonMetre,
	"ft·lb": FootPound, "ft-lb": FootPound, "ftlb": FootPound, "ft-lbs": FootPound, "ft.lb": FootPound,
	"lb-ft": FootPound, "lbft": FootPound, "lb·ft": FootPound, "ft-lbf": FootPound, "ft·lbf": FootPound, "ftlbs": FootPound,
	"ft.lbs": FootPound, "ft/lbs": FootPound, "lb.ft": FootPound, "lbs-ft": FootPound, "lbsft": FootPound, "pound-feet": FootPound, "foot-pounds": FootPound,
	"°c": Celsius, "ºc": Celsius, "℃": Celsius, "c": Celsius, "degc": Celsius, "deg.c": Celsius, "celsius": Celsius,
	"°f": Fahrenheit, "ºf": Fahrenheit, "℉": Fahrenheit, "f": Fahrenheit, "degf": Fahrenheit, "deg.f": Fahrenheit, "fahrenheit": Fahrenheit,
	"kpa": Kilopascal, "psi": PSI, "inhg": InchHg, "in.hg": InchHg, "in-hg": InchHg, "bar": Bar,
	"mbar": Millibar, "hpa": Millibar,
	"rpm": RPM, "1/min": RPM, "u/min": RPM, "min-1": RPM, "min^-1": RPM, "r/min": RPM, "rev/min": RPM, "tr/min": RPM, "giri/min": RPM, "krpm": KiloRPM, "rpm/1000": KiloRPM, "1000rpm": KiloRPM, "x1000rpm": KiloRPM, "rpm(x1000)": KiloRPM, "rpmx1000": KiloRPM, "rpm*1000": KiloRPM,
	"rpm/(km/h)": RPMPerKilometreHour, "rpm/kph": RPMPerKilometreHour,
	"(km/h)/s": KilometreHourSecond, "kph/s": KilometreHourSecond, "km/h/s": KilometreHourSecond,
	"mph/s": MileHourSecond, "g": G, "afr": AFR, "lambda": Lambda, "λ": Lambda, "la": Lambda,
	"kg/h": KilogramPerHour, "kg/hr": KilogramPerHour,
	"v": Volt, "volt": Volt, "volts": Volt, "a": Ampere, "amps": Ampere,
	"%": Percent, "percent": Percent, "pct": Percent,
	"°": Degree, "deg": Degree, "degrees": Degree, "°btdc": Degree, "degbtdc": Degree, "dbtdc": Degree, "º": Degree, "°kw": Degree, "°crank": Degree, "deg.btdc": Degree,
}

// ParseUnit reads a unit as people and files write it ("ft-lb", "kph",
// "degF"), case and spaces ignored.
func ParseUnit(text string) (Unit, bool) {
	u, ok := unitSpellings[strings.ToLower(strings.Join(strings.Fields(text), ""))]
	return u, ok
}
