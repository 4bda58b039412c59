package sim

import "dynotap/sample"

// Provider is one simulated device on the network.
type Provider struct {
	Name     string
	Channels []Channel
}

// Channel is one instrument of a provider.
type Channel struct {
	// ID is unique within the provider only.
	ID uint16
	// Name has at most 29 bytes (PROTOCOLS 1.3).
	Name string
	// Unit is one that JETDRIVE has a code for.
	Unit sample.Unit
	// Value is what the instrument shows, with its noise.
	Value func(State) float64
}

// Names of the two providers.
const (
	Dyno       = "DWRT CPU"
	Atmosphere = "DWRT ATMO"
)

// The deviations of the instruments that decide about peaks: 0.05 % of the
// reading for power, force and torque. No reading is off by more than four
// deviations, so the highest reading of a pull lies within 0.25 % of Peak at
// any rate from 5 Hz up.
const peakNoise = 0.0005

// Providers gives the two devices of the demo: a dyno controller and an
// atmosphere module that passes on what the engine's control unit says, 60
// channels together. Channel ids collide throughout, and some names do.
func Providers() []Provider {
	devices := []Provider{
		{Name: Dyno, Channels: append(drumChannels(), housekeeping()...)},
		{Name: Atmosphere, Channels: append(atmosphere(), controlUnit()...)},
	}
	for d := range devices {
		for i := range devices[d].Channels {
			ch := &devices[d].Channels[i]
			ch.ID = uint16(i + 1)
			ch.Value = instrument(uint64(d)<<16|uint64(ch.ID), ch.Value)
		}
	}
	return devices
}

// instrument gives each channel a noise of its own.
func instrument(number uint64, value func(State) float64) func(State) float64 {
	return func(s State) float64 {
		s.seed ^= mix(number)
		return value(s)
	}
}

// off is a draw of the instrument's noise with deviation sigma.
func (s State) off(sigma float64) float64 {
	return sigma * noise(s.seed, 0, s.Time.Microseconds())
}

// shows makes an instrument with an absolute deviation.
func shows(name string, unit sample.Unit, sigma float64, of func(State) float64) Channel {
	return Channel{Name: name, Unit: unit, Value: func(s State) float64 { return of(s) + s.off(sigma) }}
}

// scales makes an instrument whose deviation is a part of its reading.
func scales(name string, unit sample.Unit, sigma float64, of func(State) float64) Channel {
	return Channel{Name: name, Unit: unit, Value: func(s State) float64 { return of(s) * (1 + s.off(sigma)) }}
}

// percent makes an instrument that stays within 0 to 100 %.
func percent(name string, sigma float64, of func(State) float64) Channel {
	return Channel{Name: name, Unit: sample.Percent, Value: func(s State) float64 {
		return max(0, min(100, of(s)+s.off(sigma)))
	}}
}

// fixed makes an instrument that shows the same for ever.
func fixed(name string, unit sample.Unit, value float64) Channel {
	return Channel{Name: name, Unit: unit, Value: func(State) float64 { return value }}
}

func drumChannels() []Channel {
	return []Channel{
		shows("Engine RPM", sample.RPM, 1.5, func(s State) float64 { return s.RPM }),
		shows("Digital RPM 1", sample.RPM, 0.2, func(s State) float64 { return s.DrumRPM }),
		scales("Speed", sample.KilometrePerHour, 0.0001, func(s State) float64 { return s.Speed }),
		scales("Force", sample.Newton, peakNoise, func(s State) float64 { return s.Force }),
		scales("Power", sample.Kilowatt, peakNoise, func(s State) float64 { return s.Power }),
		percent("Humidity", 0.1, func(s State) float64 { return s.Humidity }),
		scales("Torque", sample.NewtonMetre, peakNoise, func(s State) float64 { return s.Torque }),
		shows("Acceleration", sample.KilometreHourSecond, 0.02, func(s State) float64 { return s.Acceleration }),
		shows("Distance", sample.Metre, 0, func(s State) float64 { return s.Distance }),
		scales("Gear Ratio", sample.RPMPerKilometreHour, 0.0005, func(s State) float64 { return s.RPM / s.Speed }),
		shows("Air/Fuel Ratio 1", sample.AFR, 0.03, func(s State) float64 { return s.AFRFront }),
		shows("Air/Fuel Ratio 2", sample.AFR, 0.03, func(s State) float64 { return s.AFRRear }),
		shows("Temperature 1", sample.Celsius, 0.05, func(s State) float64 { return s.AmbientTemp }),
		shows("Pressure", sample.Kilopascal, 0.01, func(s State) float64 { return s.Pressure }),
		shows("Brake Current", sample.Ampere, 0.01, func(s State) float64 { return s.Brake / 150 }),
	}
}

func housekeeping() []Channel {
	return []Channel{
		shows("Internal Temp 1", sample.Celsius, 0.05, func(s State) float64 { return s.AmbientTemp + 14 }),
		shows("Internal Temp 2", sample.Celsius, 0.05, func(s State) float64 { return s.AmbientTemp + 11 }),
		percent("Inductive 1 Signal Strength", 2, func(State) float64 { return 85 }),
		percent("Inductive 2 Signal Strength", 2, func(State) float64 { return 12 }),
		shows("User Analog 1", sample.Volt, 0.004, func(s State) float64 { return 0.5 + 4*s.Throttle }),
		shows("User Analog 2", sample.Volt, 0.004, func(s State) float64 { return s.MAP / 40 }),
		shows("User Analog 3", sample.Volt, 0.004, func(s State) float64 { return (s.AFRFront - 7) / 3 }),
		shows("User Analog 4", sample.Volt, 0.004, func(State) float64 { return 0.02 }),
		shows("Supply Voltage", sample.Volt, 0.01, func(State) float64 { return 12.1 }),
		fixed("Link 0 Status", sample.NoUnit, 1),
		fixed("Link 1 Status", sample.NoUnit, 0),
		shows("TCP TX kB/s", sample.NoUnit, 0.2, func(State) float64 { return 3 }),
		shows("UDP TX kB/s", sample.NoUnit, 0.5, func(State) float64 { return 14 }),
		fixed("Sampling", sample.NoUnit, 0),
		percent("CPU Load", 1, func(State) float64 { return 31 }),
	}
}

func atmosphere() []Channel {
	return []Channel{
		shows("Temperature 1", sample.Celsius, 0.05, func(s State) float64 { return s.AmbientTemp + 0.2 }),
		shows("Temperature 2", sample.Celsius, 0.05, func(s State) float64 { return s.AmbientTemp - 0.3 }),
		shows("Pressure", sample.Kilopascal, 0.01, func(s State) float64 { return s.Pressure + 0.03 }),
		shows("Internal Temp 1", sample.Celsius, 0.05, func(s State) float64 { return s.AmbientTemp + 8 }),
		fixed("Link 0 Status", sample.NoUnit, 1),
		percent("Humidity", 0.1, func(s State) float64 { return s.Humidity - 0.4 }),
	}
}

// controlUnit is what the engine's control unit says; the names are those of
// real units, cut as the network cuts them.
func controlUnit() []Channel {
	trim := func(State) float64 { return 100 }
	return []Channel{
		shows("Engine Speed", sample.RPM, 4, func(s State) float64 { return s.RPM }),
		shows("Vehicle Speed", sample.KilometrePerHour, 0.2, func(s State) float64 { return s.Speed }),
		shows("Engine Temperature", sample.Celsius, 0.2, func(s State) float64 { return s.Coolant }),
		shows("Intake Air Temperature", sample.Celsius, 0.2, func(s State) float64 { return s.Intake }),
		shows("Manifold Absolute Pressure", sample.Kilopascal, 0.3, func(s State) float64 { return s.MAP }),
		percent("Throttle Position", 0.1, func(s State) float64 { return 100 * s.Throttle }),
		shows("Throttle Position Sensor Volt", sample.Volt, 0.004, func(s State) float64 { return 0.6 + 3.8*s.Throttle }),
		percent("Twistgrip Position", 0.1, func(s State) float64 { return 100 * s.Throttle }),
		shows("WBO2 AFR Front", sample.AFR, 0.03, func(s State) float64 { return s.AFRFront }),
		shows("WBO2 AFR Rear", sample.AFR, 0.03, func(s State) float64 { return s.AFRRear }),
		shows("Desired Lambda", sample.Lambda, 0, func(s State) float64 { return s.AFRTarget / stoichiometric }),
		shows("Battery Voltage", sample.Volt, 0.02, func(s State) float64 { return s.Voltage }),
		shows("Front Spark Knock Retard", sample.NoUnit, 0, func(s State) float64 { return s.Knock }),
		shows("Rear Spark Knock Retard", sample.NoUnit, 0, func(s State) float64 { return 0.7 * s.Knock }),
		shows("Spark Advance Front", sample.NoUnit, 0.1, func(s State) float64 { return s.Spark }),
		shows("Spark Advance Rear", sample.NoUnit, 0.1, func(s State) float64 { return s.Spark - 0.5 }),
		scales("Injector Time Front", sample.Second, 0.002, func(s State) float64 { return s.Injection }),
		scales("Injector Time Rear", sample.Second, 0.002, func(s State) float64 { return 1.02 * s.Injection }),
		percent("VE Front", 0.2, func(s State) float64 { return s.VE * 0.95 }),
		percent("VE Rear", 0.2, func(s State) float64 { return s.VE * 0.94 }),
		scales("Mass Air Flow", sample.KilogramPerHour, 0.003, func(s State) float64 { return s.Airflow }),
		shows("Front Adaptive Fuel Factor", sample.Percent, 0.3, trim),
		shows("Idle Air Control Motor Posit", sample.NoUnit, 0, func(State) float64 { return 40 }),
		fixed("Idle Set Speed", sample.RPM, 950),
	}
}
