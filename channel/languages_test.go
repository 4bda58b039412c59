package channel_test

import (
	"testing"

	"dynotap/sample"
)

func TestV2NamesInOtherLanguages(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	for _, w := range []want{
		{"", "Motordrehzahl [1/min]", sample.NoUnit, "rpm", sample.RPM},
		{"", "Leistung (PS)", sample.NoUnit, "horsepower", sample.Horsepower},
		{"", "Radleistung", sample.Kilowatt, "horsepower", sample.Horsepower},
		{"", "Öltemperatur [°C]", sample.NoUnit, "oil_temp", sample.Fahrenheit},
		{"", "Oeltemperatur (°C)", sample.NoUnit, "oil_temp", sample.Fahrenheit},
		{"", "KUEHLMITTELTEMPERATUR", sample.Celsius, "ect", sample.Fahrenheit},
		{"", "Drehmoment Nm", sample.NoUnit, "torque", sample.FootPound},
		{"", "Régime moteur (tr/min)", sample.NoUnit, "rpm", sample.RPM},
		{"", "Regime moteur", sample.RPM, "rpm", sample.RPM},
		{"", "Puissance (ch)", sample.NoUnit, "horsepower", sample.Horsepower},
		{"", "Couple (m.kg)", sample.KilogramMetre, "torque", sample.FootPound},
		{"", "Température d'eau", sample.Celsius, "ect", sample.Fahrenheit},
		{"", "Pression atmosphérique (hPa)", sample.NoUnit, "barometric", sample.InchHg},
		{"", "Giri motore", sample.RPM, "rpm", sample.RPM},
		{"", "Velocità (km/h)", sample.NoUnit, "speed", sample.MilePerHour},
		{"", "Potencia CV", sample.NoUnit, "horsepower", sample.Horsepower},
		{"", "Posición mariposa", sample.Percent, "tps", sample.Percent},
		{"", "Par motor", sample.NewtonMetre, "torque", sample.FootPound},
		{"", "Temperatura del agua (ºC)", sample.NoUnit, "ect", sample.Fahrenheit},
		{"", "Temperatura de admisión (ºC)", sample.NoUnit, "iat", sample.Fahrenheit},
		{"", "Batería (V)", sample.NoUnit, "voltage", sample.Volt},
		{"", "Zündwinkel [°KW]", sample.NoUnit, "spark_advance", sample.Degree},
		{"", "Leistungsfaktor", sample.NoUnit, "", sample.NoUnit},
	} {
		check(t, r, w)
	}
}
