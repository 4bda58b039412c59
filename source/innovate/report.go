package innovate

import (
	"errors"
	"fmt"
	"io"

	"dynotap/source/innovate/isp"
)

// Report is what a raw serial dump holds, as `decode innovate --json` prints
// it (DESIGN).
type Report struct {
	Protocol     string         `json:"protocol"` // ISP2, ISP1 or unknown
	Device       string         `json:"device"`
	Packets      uint64         `json:"packets"`
	Resyncs      uint64         `json:"resyncs"`
	BytesSkipped uint64         `json:"bytes_skipped"`
	Sensors      []SensorReport `json:"sensors"`
	Aux          []AuxReport    `json:"aux"`
	Hints        []string       `json:"hints"`
}

// SensorReport is one sensor of the chain.
type SensorReport struct {
	Index  int         `json:"index"` // from 1
	States StateCounts `json:"states"`
	// Lambda and AFR are those of valid packets; nil: there is none.
	Lambda *Span `json:"lambda"`
	AFR    *Span `json:"afr"`
}

// StateCounts is how many packets had the sensor in each state.
type StateCounts struct {
	Lambda             uint64 `json:"lambda"`
	O2                 uint64 `json:"o2"`
	FreeAirCalibration uint64 `json:"free_air_calibration"`
	NeedsCalibration   uint64 `json:"needs_calibration"`
	WarmingUp          uint64 `json:"warming_up"`
	HeaterCalibration  uint64 `json:"heater_calibration"`
	Error              uint64 `json:"error"`
	Reserved           uint64 `json:"reserved,omitempty"`
}

// AuxReport is one analog input, in volts.
type AuxReport struct {
	Index int `json:"index"` // from 1
	Span
}

// Span is what values came.
type Span struct {
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	Last float64 `json:"last"`
}

// include takes one value into the span, which may be nil.
func (s *Span) include(v float64) *Span {
	if s == nil {
		return &Span{v, v, v}
	}
	s.Min, s.Max, s.Last = min(s.Min, v), max(s.Max, v), v
	return s
}

func (c *StateCounts) count(f isp.Function) {
	counters := [...]*uint64{
		&c.Lambda, &c.O2, &c.FreeAirCalibration, &c.NeedsCalibration, &c.WarmingUp, &c.HeaterCalibration, &c.Error, &c.Reserved,
	}
	*counters[min(f, isp.Reserved)]++
}

// reportPiece is how much of a dump is looked at at a time.
const reportPiece = 4096

// reporter gathers a Report.
type reporter struct {
	report Report
	last   shape // of the newest packet with sensors or inputs
}

// Inspect decodes a raw dump to its end. Only reading can fail.
func Inspect(r io.Reader) (Report, error) {
	var decoder isp.Decoder
	var flow isp.FlowControl
	p := reporter{report: Report{Sensors: []SensorReport{}, Aux: []AuxReport{}, Hints: []string{}}}
	buf := make([]byte, reportPiece)
	for ended := false; !ended; {
		n, err := io.ReadFull(r, buf)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			ended = true
		case err != nil:
			return Report{}, fmt.Errorf("read dump: %w", err)
		}
		decoder.Feed(buf[:n], p.packet)
		if ended {
			decoder.End(p.packet)
		}
		flow.Look(buf[:n], decoder.Counters())
	}
	c := decoder.Counters()
	out := p.report
	out.Protocol, out.Device = decoder.Protocol().String(), identify(decoder.Protocol(), &p.last)
	out.Packets, out.Resyncs, out.BytesSkipped = c.Packets, c.Resyncs, c.BytesSkipped
	for _, h := range streamHints(c, flow.Damage()) {
		out.Hints = append(out.Hints, h.Text)
	}
	return out, nil
}

func (r *reporter) packet(p *isp.Packet) {
	if p.Answer {
		return
	}
	r.last = shapeOf(p)
	for i := range p.Sensors {
		if i == len(r.report.Sensors) {
			r.report.Sensors = append(r.report.Sensors, SensorReport{Index: i + 1})
		}
		to, s := &r.report.Sensors[i], &p.Sensors[i]
		to.States.count(s.Function)
		if v, ok := s.Lambda(); ok {
			to.Lambda = to.Lambda.include(v)
		}
		if v, ok := s.AFR(); ok {
			to.AFR = to.AFR.include(v)
		}
	}
	for i, a := range p.Aux {
		if i == len(r.report.Aux) {
			r.report.Aux = append(r.report.Aux, AuxReport{Index: i + 1, Span: *(*Span)(nil).include(a.Volts())})
			continue
		}
		r.report.Aux[i].include(a.Volts())
	}
}
