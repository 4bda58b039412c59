package channel_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dynotap/sample"
)

// samples is the folder with the shared files, or skips the test.
func samples(t *testing.T, parts ...string) []byte {
	t.Helper()
	dir := os.Getenv("DYNOTAP_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "samples")
	}
	data, err := os.ReadFile(filepath.Join(append([]string{dir}, parts...)...))
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal(err)
		}
		t.Skipf("shared samples are not here: %v", err)
	}
	return data
}

// What the header of a real WinPEP 8 export gives without any unit.
func TestV2RealWinPEPHeader(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	header, _, _ := strings.Cut(string(samples(t, "winpep", "winpep8-export-excerpt.txt")), "\n")
	got := map[string]string{}
	cell := regexp.MustCompile(`^\((.*?)\) (.*)$`)
	for c := range strings.SplitSeq(header, ", ") {
		if m := cell.FindStringSubmatch(c); m != nil {
			if named := r.Resolve(sample.Channel{Provider: m[1], Label: m[2]}); named.Name != "" {
				device, _, _ := strings.Cut(m[1], " - ")
				got[device+": "+m[2]] = named.Name
			}
		}
	}
	compare(t, got, `
DWRT ATMO: Humidity = humidity
DWRT ATMO: Pressure = barometric
DWRT ATMO: Temperature 1 = ambient_temp
DWRT CPU: Correction Factor = correction_factor
DWRT CPU: Acceleration = acceleration
DWRT CPU: Distance = distance
DWRT CPU: Distance 1 = distance
DWRT CPU: Engine RPM = rpm
DWRT CPU: Force = force
DWRT CPU: Force 1 = force
DWRT CPU: Force Drum 1 = force
DWRT CPU: LC1 Volts Petrol AFR = afr
DWRT CPU: LC2 Volts Petrol AFR2 = afr_2
DWRT CPU: Power = horsepower
DWRT CPU: Power (uncorrected) = horsepower
DWRT CPU: Power Drum 1 = horsepower
DWRT CPU: Power Drum 1 (uncorrected) = horsepower
DWRT CPU: Speed = speed
DWRT CPU: Speed 1 = speed
DWRT CPU: Torque = torque
DWRT CPU: Torque (uncorrected) = torque
DWRT CPU: Torque Drum 1 = torque
DWRT CPU: Torque Drum 1 (uncorrected) = torque
Harley: Desired Air/Fuel = afr_target
Harley: Engine Speed = rpm
Harley: Engine Temperature = ect
Harley: Front Spark Knock Retard = knock_front
Harley: Injector Time Front = injector_time_front
Harley: Injector Time Rear = injector_time_rear
Harley: Intake Air Temperature = iat
Harley: Manifold Absolute Pressure = map
Harley: Rear Spark Knock Retard = knock_rear
Harley: Spark Advance Front = spark_advance_front
Harley: Spark Advance Rear = spark_advance_rear
Harley: Throttle Position = tps
Harley: VE Front = ve_front
Harley: VE Rear = ve_rear
Harley: Vehicle Speed = speed
Harley: WBO2 AFR Front = afr_front
Harley: WBO2 AFR Rear = afr_rear
PV: AT Lambda 1 = lambda
PV: AT Lambda 2 = lambda_2
PV: Battery Voltage = voltage
PV: Desired Air/Fuel = afr_target
PV: Desired Lambda = lambda_target
PV: Engine Speed = rpm
PV: Engine Temperature = ect
PV: Front Spark Knock Retard = knock_front
PV: Injector Time Front = injector_time_front
PV: Injector Time Rear = injector_time_rear
PV: Intake Air Temperature = iat
PV: Manifold Absolute Pressure = map
PV: Rear Spark Knock Retard = knock_rear
PV: Spark Advance Front = spark_advance_front
PV: Spark Advance Rear = spark_advance_rear
PV: Throttle Position = tps
PV: VE Front = ve_front
PV: VE Rear = ve_rear
PV: Vehicle Speed = speed
PV: WBO2 AFR Front = afr_front
PV: WBO2 AFR Rear = afr_rear`)
}

func TestV2RealJetDriveCaptureHeader(t *testing.T) {
	t.Parallel()
	r := resolver(t, nil)
	header, err := csv.NewReader(strings.NewReader(string(samples(t, "jetdrive", "jetdrive-capture-idle.csv")))).Read()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, label := range header {
		if c := r.Resolve(sample.Channel{Label: label}); c.Name != "" {
			got[label] = c.Name
		}
	}
	compare(t, got, `
Timestamp = time
Battery Voltage = voltage
Desired Lambda = lambda_target
Engine Speed = rpm
Engine Temperature = ect
Front Spark Knock Retard = knock_front
Injector Time Front = injector_time_front
Injector Time Rear = injector_time_rear
Intake Air Temperature = iat
Rear Spark Knock Retard = knock_rear
Spark Advance Front = spark_advance_front
Spark Advance Rear = spark_advance_rear
Throttle Position = tps
VE Front = ve_front
VE Rear = ve_rear
Vehicle Speed = speed`)
}

func compare(t *testing.T, got map[string]string, list string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(list), "\n") {
		label, name, _ := strings.Cut(line, " = ")
		if got[label] != name {
			t.Errorf("%s is %q, want %q", label, got[label], name)
		}
		delete(got, label)
	}
	for label, name := range got {
		t.Errorf("%s is %s unexpectedly", label, name)
	}
}
