package jetdrivelog

import (
	"context"
	"fmt"
	"io"

	"dynotap/format"
	"dynotap/format/text"
	"dynotap/sample"
)

// survey is what is known of a file before its rows are given.
type survey struct {
	header   string // the line as it stands
	channels []sample.Channel
	mixtures []*mixture
}

// mixture is a channel whose name says lambda. What it holds may be AFR all the
// same (PROTOCOLS 5): its values decide.
type mixture struct {
	channel     int
	lambda, afr int
}

// mostLambda is the greatest value that is taken for lambda; AFR begins far
// above.
const mostLambda = 4

// enoughRows is how many rows are looked at although all mixtures have values:
// one that is damaged must not decide.
const enoughRows = 1000

// survey reads the header, and rows until every mixture has shown what it is.
func (f *Format) survey(ctx context.Context, r io.ReaderAt, size int64) (*survey, error) {
	in, _, err := text.Open(r, size)
	if err != nil {
		return nil, &format.Error{Err: err}
	}
	rows := text.NewRows(in, ',')
	switch {
	case !rows.Next() && rows.Err() != nil:
		return nil, &format.Error{Line: 1, Err: fmt.Errorf("read header: %w", rows.Err())}
	case rows.Long():
		return nil, &format.Error{Line: 1, Err: errColumns}
	case !isHeader(rows):
		return nil, &format.Error{Line: 1, Err: errNoHeader}
	case len(rows.Cells()) > mostColumns:
		return nil, &format.Error{Line: 1, Err: errColumns}
	}
	s := &survey{header: string(rows.Raw())}
	for i, cell := range rows.Cells()[1:] {
		f.add(s, i, string(cell))
	}
	for n := 0; rows.Next() && (n < enoughRows || !s.known()); n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.row(rows.Cells())
	}
	for _, m := range s.mixtures {
		if m.afr > m.lambda {
			s.channels[m.channel].NativeUnit = sample.AFR
		}
	}
	return s, nil
}

func (f *Format) add(s *survey, i int, label string) {
	if label == "" {
		label = fmt.Sprintf("column_%d", i+2)
	}
	c := sample.Channel{Key: sample.ChannelKey(provider, uint32(i+1), 0), Provider: provider, ID: uint32(i + 1), Label: label}
	found := f.resolver.Resolve(c)
	c.NativeUnit = found.NativeUnit
	if found.Name != "" && found.NativeUnit == found.Unit { // the label names no other
		c.NativeUnit = metric(found.Unit)
	}
	if found.Unit == sample.Lambda {
		s.mixtures = append(s.mixtures, &mixture{channel: i})
	}
	s.channels = append(s.channels, c)
}

// known reports whether every mixture has had values.
func (s *survey) known() bool {
	for _, m := range s.mixtures {
		if m.lambda+m.afr == 0 {
			return false
		}
	}
	return true
}

func (s *survey) row(cells [][]byte) {
	if len(cells) != len(s.channels)+1 {
		return
	}
	for _, m := range s.mixtures {
		switch v, kind := number(cells[m.channel+1]); {
		case kind != text.Number || !(v > 0):
		case v > mostLambda:
			m.afr++
		default:
			m.lambda++
		}
	}
}

// metric gives JETDRIVE's unit for the one in which a canonical channel is kept
// (PROTOCOLS 1.1).
func metric(u sample.Unit) sample.Unit {
	switch u {
	case sample.Fahrenheit:
		return sample.Celsius
	case sample.MilePerHour:
		return sample.KilometrePerHour
	case sample.PSI, sample.InchHg:
		return sample.Kilopascal
	case sample.PoundForce:
		return sample.Newton
	case sample.FootPound:
		return sample.NewtonMetre
	case sample.Horsepower:
		return sample.Kilowatt
	case sample.Foot:
		return sample.Metre
	case sample.G:
		return sample.KilometreHourSecond
	}
	return u
}
