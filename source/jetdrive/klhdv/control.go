package klhdv

import (
	"encoding/binary"
	"math"
)

const (
	pingLen            = 5
	pongLen            = 9
	logResponseLen     = 7 // sent: the timestamp at offset 3 (PROTOCOLS 1.3)
	logResponseUnpad   = 5 // accepted as well: the timestamp at offset 1
	loadControlLen     = 6
	commandLen         = 1
	logStampOffset     = 3
	logStampUnpadded   = 1
	loadControlTarget  = 2
	pongRemoteTSOffset = 5
)

// Ping asks a host, or all of them, to answer.
type Ping struct {
	Version uint8
	HostTS  uint32 // ms of the asking host's clock
	Echo    []byte // part of the value that was decoded
}

// Pong answers a Ping.
type Pong struct {
	Version  uint8
	HostTS   uint32 // copied from the Ping
	RemoteTS uint32 // ms of the answering host's clock
	Echo     []byte // copied from the Ping; part of the value that was decoded
}

// DecodePing reads the value of a Ping. The error wraps ErrValue.
func DecodePing(value []byte) (Ping, error) {
	if err := need(KeyPing, value, pingLen); err != nil {
		return Ping{}, err
	}
	return Ping{Version: value[0], HostTS: binary.LittleEndian.Uint32(value[1:]), Echo: value[pingLen:]}, nil
}

// EncodePing appends the value of a Ping of our Version without echo data,
// which a vendor's node does not survive (PROTOCOLS 1.3).
func EncodePing(dst []byte, hostTS uint32) []byte {
	return binary.LittleEndian.AppendUint32(append(dst, Version), hostTS)
}

// DecodePong reads the value of a Pong. The error wraps ErrValue.
func DecodePong(value []byte) (Pong, error) {
	if err := need(KeyPong, value, pongLen); err != nil {
		return Pong{}, err
	}
	return Pong{
		Version:  value[0],
		HostTS:   binary.LittleEndian.Uint32(value[1:]),
		RemoteTS: binary.LittleEndian.Uint32(value[pongRemoteTSOffset:]),
		Echo:     value[pongLen:],
	}, nil
}

// EncodePong appends the value of the Pong of our Version that answers ping.
func EncodePong(dst []byte, ping Ping, remoteTS uint32) []byte {
	dst = binary.LittleEndian.AppendUint32(append(dst, Version), ping.HostTS)
	dst = binary.LittleEndian.AppendUint32(dst, remoteTS)
	return append(dst, ping.Echo...)
}

// LoggingCommand is what RequestLogging asks for.
type LoggingCommand uint8

// The commands of RequestLogging (PROTOCOLS 1.1).
const (
	LoggingEnd LoggingCommand = iota
	LoggingBegin
	LoggingCancel
	LoggingQuery
)

// LoggingRequest is the value of RequestLogging.
type LoggingRequest struct {
	Command LoggingCommand
}

// DecodeLoggingRequest reads the value. The error wraps ErrValue.
func DecodeLoggingRequest(value []byte) (LoggingRequest, error) {
	if err := need(KeyRequestLogging, value, commandLen); err != nil {
		return LoggingRequest{}, err
	}
	return LoggingRequest{Command: LoggingCommand(value[0])}, nil
}

// EncodeLoggingRequest appends the value to dst.
func EncodeLoggingRequest(dst []byte, r LoggingRequest) []byte { return append(dst, byte(r.Command)) }

// States of LoggingResponse.
const (
	LoggingStopped uint8 = 0
	LoggingStarted uint8 = 1
)

// LoggingResponse is the value of RequestLoggingResponse, which also comes
// unasked when the state changes.
type LoggingResponse struct {
	State uint8  // LoggingStopped or LoggingStarted
	Start uint32 // ms of the provider's clock at the start of the log
}

// DecodeLoggingResponse reads the value, with the timestamp at offset 3 or, in
// a value too short for that, at 1 (PROTOCOLS 1.3). The error wraps ErrValue.
func DecodeLoggingResponse(value []byte) (LoggingResponse, error) {
	if err := need(KeyLoggingResponse, value, logResponseUnpad); err != nil {
		return LoggingResponse{}, err
	}
	offset := logStampUnpadded
	if len(value) >= logResponseLen {
		offset = logStampOffset
	}
	return LoggingResponse{State: value[0], Start: binary.LittleEndian.Uint32(value[offset:])}, nil
}

// EncodeLoggingResponse appends the seven bytes of the value to dst.
func EncodeLoggingResponse(dst []byte, r LoggingResponse) []byte {
	return binary.LittleEndian.AppendUint32(append(dst, r.State, 0, 0), r.Start)
}

// NotEquipped answers LoadControl and Brake where the dynamometer has none.
const NotEquipped uint8 = 2

// LoadType is what load control holds constant.
type LoadType uint8

// The kinds of load control (PROTOCOLS 1.1).
const (
	LoadRPM LoadType = iota
	LoadSpeed
	LoadAcceleration
	LoadBrakePercent
	LoadTorque
)

// LoadControl is the value of RequestLoadControl and of its response.
type LoadControl struct {
	Enable uint8 // 0 off, 1 on, 2 query, or in the response NotEquipped
	Type   LoadType
	Target float32
}

// DecodeLoadControl reads the value of the request or the response. The error
// wraps ErrValue.
func DecodeLoadControl(value []byte) (LoadControl, error) {
	if err := need(KeyRequestLoadControl, value, loadControlLen); err != nil {
		return LoadControl{}, err
	}
	bits := binary.LittleEndian.Uint32(value[loadControlTarget:])
	return LoadControl{Enable: value[0], Type: LoadType(value[1]), Target: math.Float32frombits(bits)}, nil
}

// EncodeLoadControl appends the value to dst. The request is never sent: see
// SafeToSend.
func EncodeLoadControl(dst []byte, l LoadControl) []byte {
	return binary.LittleEndian.AppendUint32(append(dst, l.Enable, byte(l.Type)), math.Float32bits(l.Target))
}

// Brake is the value of RequestBrake and of its response.
type Brake struct {
	State uint8 // 0 off, 1 on, 2 query, or in the response NotEquipped
}

// DecodeBrake reads the value of the request or the response. The error wraps
// ErrValue.
func DecodeBrake(value []byte) (Brake, error) {
	if err := need(KeyRequestBrake, value, commandLen); err != nil {
		return Brake{}, err
	}
	return Brake{State: value[0]}, nil
}

// EncodeBrake appends the value to dst. The request is never sent: see
// SafeToSend.
func EncodeBrake(dst []byte, b Brake) []byte { return append(dst, b.State) }
