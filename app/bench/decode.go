package bench

import (
	"encoding/binary"
	"math"

	"dynotap/source/jetdrive/klhdv"
)

// mtu is Ethernet's: 146 values a message.
const mtu = 1500

// Decode measures how fast ChannelValues messages become values.
func Decode(rounds int) (Report, error) {
	values := make([]klhdv.Value, klhdv.MaxValues(mtu))
	for i := range values {
		values[i] = klhdv.Value{Channel: uint16(i), Stamp: uint32(1000 + i), Value: float32(i) / 3}
	}
	payload := klhdv.EncodeValues(nil, values)
	datagram, err := klhdv.AppendFrame(nil, klhdv.Header{Key: klhdv.KeyChannelValues, Host: 7, Dest: klhdv.AllHosts}, payload)
	if err != nil {
		return Report{}, err
	}
	out := make([]klhdv.Value, 0, len(values))
	decode := func() {
		frame, err := klhdv.Parse(datagram)
		if err == nil {
			out, _ = klhdv.AppendValues(out[:0], frame.Value)
		}
	}
	bare := func() { bareDecode(out[:len(values)], payload) }
	ours, base, ratios := paired(rounds,
		func() float64 { return rate(len(values), decode) },
		func() float64 { return rate(len(values), bare) })

	report := newReport("decode", rounds)
	report.Results = []Result{
		result("ChannelValues decoded", "values/s", ours).against(ratios).wanted(500e6).allocating(decode),
		result("bare loop", "values/s", base),
	}
	return report, nil
}

// bareDecode is the least a machine has to do: load and store each field.
func bareDecode(out []klhdv.Value, payload []byte) {
	for i := range out {
		record := payload[i*klhdv.ValueLen : (i+1)*klhdv.ValueLen]
		out[i] = klhdv.Value{
			Channel: binary.LittleEndian.Uint16(record),
			Stamp:   binary.LittleEndian.Uint32(record[2:]),
			Value:   math.Float32frombits(binary.LittleEndian.Uint32(record[6:])),
		}
	}
}
