package channel

import (
	"slices"
	"strings"

	"dynotap/sample"
)

// meaning is what a whole name says, perhaps on one kind of device only.
type meaning struct {
	device   device
	quantity string // empty: on this device the name means nothing we know
	// unitNeeded: the name alone is ambiguous, so a unit has to confirm it.
	unitNeeded bool
}

// aliasesByMeaning holds the names that dyno software, ECUs, weather stations and
// the guide (CONFORMANCE A3) use. A canonical name is always its own alias;
// front, rear, sensor numbers, corrections and units are read off before.
var aliasesByMeaning = []struct {
	meaning
	names []string
}{
	{meaning{quantity: Time}, []string{"time", "timestamp", "elapsed time"}},
	{meaning{quantity: RPM}, []string{
		"engine rpm", "engine speed", "eng rpm", "eng speed", "rpm engine", "motor rpm", "crank rpm", "crankshaft rpm",
		"inductive rpm", "rpm inductive", "tach", "tachometer", "tach rpm",
	}},
	{meaning{quantity: RPM, unitNeeded: true}, []string{"engine"}},
	{meaning{quantity: DrumRPM}, []string{"drum rpm", "roller rpm", "rpm roller", "digital rpm", "rpm digital"}},
	{meaning{device: engineDevice}, []string{"digital rpm", "rpm digital"}},
	{meaning{quantity: DrumRPM, unitNeeded: true}, []string{"drum speed", "roller speed"}},
	{meaning{quantity: Horsepower}, []string{
		"hp", "power", "engine power", "wheel power", "wheel hp", "wheel horsepower", "horsepower at the wheels", "power at the wheels", "brake horsepower", "power drum", "drum power",
	}},
	{meaning{quantity: Torque}, []string{"tq", "trq", "wheel torque", "torque at the wheels", "torque drum", "drum torque"}},
	{meaning{quantity: Speed}, []string{
		"vehicle speed", "vss", "wheel speed", "road speed", "ground speed", "speed obd", "obd speed", "drum speed", "roller speed", "speed drum",
	}},
	{meaning{quantity: Force}, []string{"drum force", "force drum", "tractive force"}},
	{meaning{quantity: Acceleration, unitNeeded: true}, []string{"accel"}},
	{meaning{quantity: Distance}, []string{"distance drum"}},
	{meaning{quantity: AFR}, []string{
		"air fuel ratio", "air fuel", "a/f", "a/f ratio", "wideband", "wideband afr", "wideband o2", "wb afr", "wbo2", "wbo2 afr",
		"measured afr", "air fuel ratio measured", "afr average", "average afr", "petrol afr", "af sens ratio", "lc afr", "lc volts petrol afr",
	}},
	{meaning{quantity: AFRTarget}, []string{
		"target afr", "desired afr", "commanded afr", "set afr", "afr desired", "afr setpoint", "desired air fuel",
		"desired air fuel ratio", "target air fuel ratio", "commanded air fuel ratio", "air fuel ratio commanded",
	}},
	{meaning{quantity: Lambda}, []string{
		"λ", "wideband lambda", "wb lambda", "wbo2 lambda", "measured lambda", "at lambda", "lc lambda", "exhaust lambda",
	}},
	{meaning{quantity: Lambda, unitNeeded: true}, []string{"wb eq ratio"}},
	{meaning{quantity: LambdaTarget}, []string{
		"target lambda", "desired lambda", "commanded lambda", "set lambda", "lambda desired", "lambda setpoint",
	}},
	{meaning{quantity: MAP}, []string{
		"manifold absolute pressure", "manifold pressure", "manifold air pressure", "intake manifold pressure",
		"intake manifold absolute pressure", "inlet manifold pressure",
	}},
	{meaning{quantity: MAP, unitNeeded: true}, []string{"map sensor"}},
	{meaning{quantity: Boost}, []string{"boost pressure"}},
	{meaning{quantity: TPS}, []string{"throttle position", "throttle pos", "throttle", "tp", "tp main", "tps main", "throttle position main", "throttle position manifold"}},
	{meaning{quantity: TPS, unitNeeded: true}, []string{"throttle position sensor"}},
	{meaning{quantity: IAT}, []string{
		"intake air temperature", "intake air temp", "intake temperature", "intake temp", "inlet air temperature", "inlet air temp",
		"mat", "manifold air temperature", "manifold air temp",
	}},
	{meaning{device: engineDevice, quantity: IAT}, []string{"air temperature", "air temp"}},
	{meaning{quantity: ECT}, []string{
		"engine coolant temperature", "engine coolant temp", "coolant temperature", "coolant temp", "coolant", "clt", "cts",
		"engine temperature", "engine temp", "water temperature", "water temp",
	}},
	{meaning{quantity: ECT, unitNeeded: true}, []string{"et"}}, // else it may be an elapsed time
	{meaning{device: engineDevice, quantity: ECT}, []string{"et"}},
	{meaning{quantity: OilTemp}, []string{"oil temperature", "engine oil temperature", "engine oil temp"}},
	{meaning{quantity: OilPressure}, []string{"engine oil pressure"}},
	{meaning{quantity: FuelPressure}, []string{"fuel rail pressure"}},
	{meaning{quantity: Voltage}, []string{
		"battery voltage", "battery volts", "battery", "batt voltage", "batt volts", "vbatt", "vbat", "b+", "system voltage",
	}},
	{meaning{quantity: Voltage, unitNeeded: true}, []string{"batt"}},
	{meaning{quantity: Knock}, []string{"spark knock", "knock retard", "spark knock retard"}},
	{meaning{quantity: SparkAdvance}, []string{
		"advance", "ignition advance", "ign advance", "timing advance", "ignition timing", "spark timing", "ignition angle", "ign angle", "spk spark advance",
	}},
	{meaning{quantity: InjectorTime}, []string{
		"injection time", "injector pulse width", "injector pulsewidth", "injector pw", "inj pw", "inj time", "inj pulse width", "inj actual pw",
	}},
	{meaning{quantity: InjectorTime, unitNeeded: true}, []string{"pw", "pulse width"}},
	{meaning{quantity: VE}, []string{"volumetric efficiency"}},
	{meaning{quantity: Barometric}, []string{
		"barometric pressure", "barometer", "baro", "baro pressure", "atmospheric pressure", "ambient pressure",
	}},
	{meaning{device: weatherDevice, quantity: Barometric}, []string{"pressure", "absolute pressure", "air pressure"}},
	{meaning{quantity: Humidity}, []string{"relative humidity", "rh", "ambient humidity"}},
	{meaning{quantity: AmbientTemp}, []string{"ambient temperature", "ambient air temperature", "ambient air temp"}},
	{meaning{device: weatherDevice, quantity: AmbientTemp}, []string{"temperature", "temp", "air temperature", "air temp"}},
	{meaning{quantity: CorrectionFactor}, []string{"cf", "sae correction factor", "std correction factor"}},
}

// aliases maps the joined words of a name to what it may mean.
var aliases = indexAliases()

func indexAliases() map[string][]meaning {
	index := make(map[string][]meaning)
	for _, q := range Canonical {
		if _, numbered := sensorNumber(q.Name); !numbered {
			index[joined(q.Name)] = []meaning{{quantity: q.Name}}
		}
	}
	for _, group := range aliasesByMeaning {
		for _, name := range group.names {
			index[joined(name)] = append(index[joined(name)], group.meaning)
		}
	}
	for _, group := range aliasesInLanguages {
		for _, name := range group.names {
			for _, words := range spellings(joined(name)) {
				index[words] = append(index[words], group.meaning)
			}
		}
	}
	return index
}

// spellings gives the joined words as they are, without accents, and with
// umlauts written out.
func spellings(words string) []string {
	var bare, out strings.Builder
	for _, r := range words {
		bare.WriteRune(withoutAccent(r))
		switch r {
		case 'ä', 'ö', 'ü':
			out.WriteRune(withoutAccent(r))
			out.WriteByte('e')
		case 'ß':
			out.WriteString("ss")
		default:
			out.WriteRune(withoutAccent(r))
		}
	}
	list := []string{words, bare.String(), out.String()}
	slices.Sort(list)
	return slices.Compact(list)
}

func withoutAccent(r rune) rune {
	for _, family := range []string{"aäàáâ", "eéèê", "iìí", "oöòó", "uüùú"} {
		if strings.ContainsRune(family, r) {
			return rune(family[0])
		}
	}
	return r
}

func joined(name string) string { return strings.Join(splitWords(name), "") }

// sensorNumber reads the number at the end of afr_2.
func sensorNumber(name string) (family string, numbered bool) {
	at := len(name) - 2
	if at > 0 && name[at] == '_' && name[at+1] >= '2' && name[at+1] <= '9' {
		return name[:at], true
	}
	return name, false
}

// meanings lists what the joined words may mean on a device: what is said of
// that kind of device alone counts before what holds on all.
func meanings(words string, on device) []meaning {
	all := aliases[words]
	special := slices.DeleteFunc(slices.Clone(all), func(m meaning) bool { return m.device != on || on == anyDevice })
	if len(special) > 0 {
		return special
	}
	return slices.DeleteFunc(slices.Clone(all), func(m meaning) bool { return m.device != anyDevice })
}

// wholeUnit gives the quantity of a label that is nothing but a unit ("MPH").
func wholeUnit(label string) (string, sample.Unit) {
	u, ok := sample.ParseUnit(label)
	if !ok {
		return "", sample.NoUnit
	}
	switch u {
	case sample.MilePerHour, sample.KilometrePerHour:
		return Speed, u
	case sample.RPM, sample.KiloRPM:
		return RPM, u
	case sample.Horsepower, sample.Kilowatt:
		return Horsepower, u
	case sample.FootPound, sample.NewtonMetre:
		return Torque, u
	}
	return "", sample.NoUnit
}
