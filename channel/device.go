package channel

import "slices"

// device is the kind of device that sends a channel, as far as labels mean
// different things on different devices.
type device uint8

const (
	anyDevice device = iota
	// weatherDevice measures the air of the room ("DWRT ATMO").
	weatherDevice
	// engineDevice reports what the engine's own computer says ("PV",
	// "Harley - ECU Type 14 SW Level 141").
	engineDevice
	// drumDevice is the dyno itself ("DWRT CPU").
	drumDevice
)

// deviceOf reads the kind off the words of a provider's name. A "Dynojet Power
// Vision" is an engine device, a "DWRT ATMO" a weather station.
func deviceOf(provider string) device {
	words := splitWords(provider)
	has := func(names ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(names, w) })
	}
	switch {
	case has("atmo", "atmosphere", "atmospheric", "weather"):
		return weatherDevice
	case has("ecu", "ecm", "pcm", "pv", "obd", "vision", "powervision"):
		return engineDevice
	case has("dwrt", "dynoware", "dynojet", "dyno", "drum", "roller", "dynamometer"):
		return drumDevice
	}
	return anyDevice
}
