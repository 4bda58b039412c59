package channel

import (
	"dynotap/sample"

	"github.com/agnivade/levenshtein"
)

// Quantity is something a canonical channel measures.
type Quantity struct {
	// Name is the canonical name: rpm, afr_front, ...
	Name string
	// Unit is the one unit in which values of this name are compared and
	// checked; empty for a bare number.
	Unit sample.Unit
	// Family is the quantity of which this is one place or one purpose: afr for
	// afr_front and afr_target. It is the name itself where there is no other.
	Family string
}

// The canonical names, the words in which rooms above ask for a channel.
const (
	Time              = "time"
	RPM               = "rpm"
	DrumRPM           = "rpm_drum"
	Horsepower        = "horsepower"
	Torque            = "torque"
	Speed             = "speed"
	Force             = "force"
	Acceleration      = "acceleration"
	Distance          = "distance"
	AFR               = "afr"
	AFRFront          = "afr_front"
	AFRRear           = "afr_rear"
	AFR2              = "afr_2"
	AFR3              = "afr_3"
	AFR4              = "afr_4"
	AFRTarget         = "afr_target"
	Lambda            = "lambda"
	LambdaFront       = "lambda_front"
	LambdaRear        = "lambda_rear"
	Lambda2           = "lambda_2"
	Lambda3           = "lambda_3"
	Lambda4           = "lambda_4"
	LambdaTarget      = "lambda_target"
	MAP               = "map"
	Boost             = "boost"
	TPS               = "tps"
	IAT               = "iat"
	ECT               = "ect"
	OilTemp           = "oil_temp"
	OilPressure       = "oil_pressure"
	FuelPressure      = "fuel_pressure"
	Voltage           = "voltage"
	Knock             = "knock"
	KnockFront        = "knock_front"
	KnockRear         = "knock_rear"
	SparkAdvance      = "spark_advance"
	SparkAdvanceFront = "spark_advance_front"
	SparkAdvanceRear  = "spark_advance_rear"
	InjectorTime      = "injector_time"
	InjectorTimeFront = "injector_time_front"
	InjectorTimeRear  = "injector_time_rear"
	VE                = "ve"
	VEFront           = "ve_front"
	VERear            = "ve_rear"
	Barometric        = "barometric"
	Humidity          = "humidity"
	AmbientTemp       = "ambient_temp"
	CorrectionFactor  = "correction_factor"
)

// Canonical is the vocabulary, in the order in which people expect to see it.
// Units are those of the guide's tables (US, with manifold pressure in kPa). A
// number in a name is the sensor's, where a chain has more than one and nobody
// has said which cylinder it sits in.
var Canonical = []Quantity{
	{Time, sample.Second, Time},
	{RPM, sample.RPM, RPM},
	{DrumRPM, sample.RPM, DrumRPM},
	{Horsepower, sample.Horsepower, Horsepower},
	{Torque, sample.FootPound, Torque},
	{Speed, sample.MilePerHour, Speed},
	{Force, sample.PoundForce, Force},
	{Acceleration, sample.G, Acceleration},
	{Distance, sample.Foot, Distance},
	{AFR, sample.AFR, AFR},
	{AFRFront, sample.AFR, AFR},
	{AFRRear, sample.AFR, AFR},
	{AFR2, sample.AFR, AFR},
	{AFR3, sample.AFR, AFR},
	{AFR4, sample.AFR, AFR},
	{AFRTarget, sample.AFR, AFR},
	{Lambda, sample.Lambda, Lambda},
	{LambdaFront, sample.Lambda, Lambda},
	{LambdaRear, sample.Lambda, Lambda},
	{Lambda2, sample.Lambda, Lambda},
	{Lambda3, sample.Lambda, Lambda},
	{Lambda4, sample.Lambda, Lambda},
	{LambdaTarget, sample.Lambda, Lambda},
	{MAP, sample.Kilopascal, MAP},
	{Boost, sample.PSI, Boost},
	{TPS, sample.Percent, TPS},
	{IAT, sample.Fahrenheit, IAT},
	{ECT, sample.Fahrenheit, ECT},
	{OilTemp, sample.Fahrenheit, OilTemp},
	{OilPressure, sample.PSI, OilPressure},
	{FuelPressure, sample.PSI, FuelPressure},
	{Voltage, sample.Volt, Voltage},
	{Knock, sample.Degree, Knock},
	{KnockFront, sample.Degree, Knock},
	{KnockRear, sample.Degree, Knock},
	{SparkAdvance, sample.Degree, SparkAdvance},
	{SparkAdvanceFront, sample.Degree, SparkAdvance},
	{SparkAdvanceRear, sample.Degree, SparkAdvance},
	{InjectorTime, sample.Millisecond, InjectorTime},
	{InjectorTimeFront, sample.Millisecond, InjectorTime},
	{InjectorTimeRear, sample.Millisecond, InjectorTime},
	{VE, sample.Percent, VE},
	{VEFront, sample.Percent, VE},
	{VERear, sample.Percent, VE},
	{Barometric, sample.InchHg, Barometric},
	{Humidity, sample.Percent, Humidity},
	{AmbientTemp, sample.Fahrenheit, AmbientTemp},
	{CorrectionFactor, sample.NoUnit, CorrectionFactor},
}

// Lookup finds a quantity by its canonical name, spelled exactly so.
func Lookup(name string) (Quantity, bool) {
	for _, q := range Canonical {
		if q.Name == name {
			return q, true
		}
	}
	return Quantity{}, false
}

// Find finds a quantity by its canonical name or by an alias that means the
// canonical unit: map and map_kpa, but not iat_c. It is for names that people
// write into a configuration.
func Find(name string) (Quantity, bool) {
	if q, ok := Lookup(name); ok {
		return q, true
	}
	m, ok := find(name, sample.NoUnit, anyDevice)
	if !ok || m.unit != m.quantity.Unit {
		return Quantity{}, false
	}
	return m.quantity, true
}

// Nearest is the canonical name that looks most like name, for messages about
// a name that is not known.
func Nearest(name string) string {
	best, distance := "", 0
	for _, q := range Canonical {
		if d := levenshtein.ComputeDistance(name, q.Name); best == "" || d < distance {
			best, distance = q.Name, d
		}
	}
	return best
}
