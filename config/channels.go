package config

// channelNames are the canonical channels (DESIGN "Words", CONFORMANCE V1).
func channelNames() []string {
	return []string{
		"rpm", "rpm_drum", "horsepower", "torque", "afr", "afr_front", "afr_rear", "lambda", "afr_target",
		"map", "tps", "iat", "ect", "speed", "force", "acceleration", "voltage", "knock", "barometric",
		"humidity", "ambient_temp",
	}
}
