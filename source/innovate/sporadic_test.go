package innovate

import (
	"testing"

	"dynotap/sample"
)

func TestC6WhatComesOnlyInSomeStates(t *testing.T) {
	for label, c := range map[string]struct {
		id   uint32
		want bool
	}{
		"wideband_1_afr": {sensorID(1, afrChannel), false}, "wideband_1_lambda": {sensorID(1, lambdaChannel), false},
		"wideband_2_status": {sensorID(2, statusChannel), false}, "wideband_2_battery": {sensorID(2, batteryChannel), false},
		"wideband_2_warmup": {sensorID(2, warmupChannel), true}, "wideband_3_o2": {sensorID(3, o2Channel), true},
		"wideband_1_heater_countdown": {sensorID(1, countdownChannel), true}, "wideband_1_error": {sensorID(1, errorChannel), true},
		"aux_4": {auxIDs + 4, false}, "aux_5": {auxIDs + 5, false},
	} {
		if got := Sporadic(&sample.Channel{ID: c.id, Label: label}); got != c.want {
			t.Errorf("%s: %v", label, got)
		}
	}
}
