package isp

// Protocol is one of the two.
type Protocol uint8

// Unknown is what a stream speaks before a packet has told.
const (
	Unknown Protocol = iota
	ISP2
	ISP1
)

// String gives ISP2, ISP1 or unknown.
func (p Protocol) String() string {
	switch p {
	case ISP2:
		return "ISP2"
	case ISP1:
		return "ISP1"
	}
	return "unknown"
}

// Function says what a sensor's value means (PROTOCOLS 2.1).
type Function uint8

// The functions. An LM-1 has four bits for them: 8 to 15 are reserved too.
const (
	Lambda Function = iota
	O2
	FreeAirCalibration
	NeedsCalibration
	WarmingUp
	HeaterCalibration
	ErrorCode
	Reserved
)

var functionNames = [...]string{
	"lambda", "o2", "free_air_calibration", "needs_calibration", "warming_up", "heater_calibration", "error", "reserved",
}

// String gives the function's name as it is shown and exported.
func (f Function) String() string { return functionNames[min(f, Reserved)] }

// Sensor is an LC or LM-1 sub-packet.
type Sensor struct {
	LM1      bool
	Function Function // 0 to 7, of an LM-1 0 to 15
	// Multiplier is the stoichiometric ratio times ten: 147 for petrol.
	Multiplier uint8
	// Value is the lambda word, 0 to 8191. What it means Function says.
	Value uint16

	// What follows an LM-1 alone has.
	Recording         bool
	HasBattery        bool
	BatteryValue      uint16 // 0 to 1023
	BatteryMultiplier uint8  // 0 to 7
}

// Lambda is the air-fuel equivalence ratio, 0.5 to 8.691; false unless the
// function says that the value is one.
func (s Sensor) Lambda() (float64, bool) { return float64(s.Value+500) / 1000, s.Function == Lambda }

// Stoichiometric is the air-fuel ratio of lambda 1 that the device works with.
func (s Sensor) Stoichiometric() float64 { return float64(s.Multiplier) / 10 }

// AFR is the air-fuel ratio by the device's own stoichiometric ratio; false
// unless the function is Lambda.
func (s Sensor) AFR() (float64, bool) {
	return float64(s.Value+500) * float64(s.Multiplier) / 10_000, s.Function == Lambda
}

// Percent is oxygen (O2) or the part of the operating temperature that is
// reached (WarmingUp), in per cent; false for any other function.
func (s Sensor) Percent() (float64, bool) {
	return float64(s.Value) / 10, s.Function == O2 || s.Function == WarmingUp
}

// Battery is an LM-1's supply in volts; false where the packet does not say.
func (s Sensor) Battery() (float64, bool) {
	return float64(s.BatteryValue) * 5 * float64(s.BatteryMultiplier) / maxAux, s.HasBattery
}

// Aux is one analog input.
type Aux struct {
	Value uint16 // 0 to 1023
	// After is how many of the packet's sensors come before it.
	After uint8
}

// Volts is the input's voltage, 0 to 5.
func (a Aux) Volts() float64 { return float64(a.Value) * 5 / maxAux }

// Packet is one packet of either protocol. An ISP1 packet has one sensor, an
// LM-1.
type Packet struct {
	Protocol Protocol
	Offset   int64 // of its first byte in the stream
	Size     int   // in bytes

	Recording bool // the sender is recording
	CanLog    bool // the sender is able to record; ISP2 only
	Spare     bool // bit 10 of an ISP2 header, to which no document gives a meaning

	Sensors []Sensor
	Aux     []Aux
	// Answer says that this answers a command; Reply is what it says, and
	// there are neither sensors nor inputs. ISP2 only.
	Answer bool
	Reply  []byte
}

// Limits of the two protocols.
const (
	maxWords  = 255 // of an ISP2 packet, after its header
	maxBytes  = 2 + 2*maxWords
	isp1Words = 8
	isp1Bytes = 2 * isp1Words
	isp1Least = 4 // bytes: it may stop after two words
	maxValue  = 1<<13 - 1
	maxAux    = 1<<10 - 1
)
