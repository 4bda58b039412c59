package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"dynotap/channel"
	"dynotap/run/correct"
	"dynotap/run/series"
	"dynotap/run/smooth"
	"dynotap/sample"
)

// ErrNoCurves says that a run has nothing to draw, or not what was asked for;
// the message says what is missing.
var ErrNoCurves = errors.New("cannot be drawn")

// CurveOptions say what Read makes of a run's samples.
type CurveOptions struct {
	// Correction is the standard that power and torque are brought to; nil:
	// as recorded where they carry one, else SAE where weather and channels
	// allow it, else as recorded.
	Correction *correct.Standard
	// Smoothing is a level of package smooth, 0 to 5.
	Smoothing int
	// Whole asks for all of the run rather than for the one pull in it that
	// has the most power.
	Whole bool
}

// Curves are what a dyno sheet shows of one run. Power is in hp and torque in
// ft·lb; all are smoothed.
type Curves struct {
	Run      Run
	From, To int64 // what is shown, µs
	// Part says which pull of the run that is; empty: all of it.
	Part          string
	Power, Torque Curve
	RPM           series.Series
	Mixture       []Curve // AFR, or lambda where there is no AFR
	MixtureUnit   sample.Unit
	// Correction names what power and torque carry, for people.
	Correction string
	// Factor is what power was multiplied by; nil: nothing.
	Factor    *correct.Factor
	Weather   correct.Weather
	Smoothing int
	// Notes is what a reader of the sheet has to know.
	Notes []string
}

// Curve is one line.
type Curve struct {
	series.Series
	Label string
	// Device is who measured it; empty where it was computed.
	Device string
	// Derived is how it was computed; empty: it was recorded.
	Derived string
	// Target says that it is what should have been.
	Target bool
}

// mostPoints bounds a curve: longer ones become means over equal stretches of
// time.
const mostPoints = 20_000

// weatherReach is how far from a run weather may be taken, µs.
const weatherReach = 600_000_000

// ReadCurves reads what a sheet shows of a run. ErrNoCurves where it has no
// power, torque or engine speed, or cannot be corrected as asked; weather that
// is missing, or untrue, is in the error's words. Nothing stored is changed.
func ReadCurves(ctx context.Context, r Reader, run Run, o CurveOptions) (*Curves, error) {
	if _, err := smooth.Reach(o.Smoothing); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCurves, err)
	}
	c := &curving{gathering: gathering{reader: r, capture: run.Capture, memory: memorySamples}, options: o}
	c.out = &Curves{Run: run, Smoothing: o.Smoothing, From: math.MinInt64, To: math.MaxInt64}
	if k := run.Kind; k == KindPull || k == KindRecording {
		if run.From != nil {
			c.out.From = *run.From
		}
		if run.To != nil {
			c.out.To = *run.To
		}
	}
	if err := c.survey(ctx); err != nil {
		return nil, err
	}
	c.pull = run.Kind == KindPull
	if run.Kind != KindPull && !o.Whole {
		if err := c.narrow(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.read(ctx); err != nil {
		return nil, err
	}
	if c.damaged {
		c.note("%s", warnDamaged)
	}
	return c.out, nil
}

// curving makes curves.
type curving struct {
	gathering
	options CurveOptions
	out     *Curves
	pull    bool // what is shown is a pull
}

func (c *curving) note(format string, args ...any) {
	c.out.Notes = append(c.out.Notes, fmt.Sprintf(format, args...))
}

// survey finds out what channels there are.
func (c *curving) survey(ctx context.Context) error {
	c.tally = tally{}
	err := c.gathering.read(ctx, c.out.From, c.out.To, c.tally.addPoints)
	if err == nil && c.tally.Samples == 0 {
		err = fmt.Errorf("%w: the run has no samples", ErrNoCurves)
	}
	if err != nil {
		return err
	}
	c.out.From, c.out.To = max(c.out.From, c.tally.First), min(c.out.To, c.tally.Last)
	return nil
}

// narrow chooses one pull of a run: the one with the highest power, or the last
// where no channel has power.
func (c *curving) narrow(ctx context.Context) error {
	pulls, err := c.pulls(ctx, c.out.From, c.out.To, PullSettings{})
	if err != nil || len(pulls) == 0 {
		return err
	}
	chosen := len(pulls) - 1
	if power := c.tally.preferred(channel.Horsepower, nil); power != nil {
		for i, p := range pulls {
			if p.Start <= power.MaxAt && power.MaxAt <= p.End {
				chosen = i
			}
		}
	}
	if len(pulls) > 1 {
		c.out.Part = fmt.Sprintf("pull %d of %d", chosen+1, len(pulls))
	}
	c.out.From, c.out.To = pulls[chosen].Start, pulls[chosen].End
	c.pull = true
	return c.survey(ctx)
}

// read reads the chosen channels.
func (c *curving) read(ctx context.Context) error {
	s, err := c.choose(ctx)
	if err != nil {
		return err
	}
	rpm := c.tally.preferred(channel.RPM, s.power.a)
	if rpm == nil && !c.options.Whole {
		return fmt.Errorf("%w over engine speed: no channel has it; draw it over time", ErrNoCurves)
	}
	if err := c.readPower(ctx, s, rpm); err != nil {
		return err
	}
	c.trim()
	if err := c.readMixture(ctx); err != nil {
		return err
	}
	c.smoothAll()
	return nil
}

// readPower reads power, torque and engine speed.
func (c *curving) readPower(ctx context.Context, s chosen, rpm *channelTally) error {
	list, err := c.curves(ctx, s.power.a, s.power.b, s.torque, rpm)
	if err != nil {
		return err
	}
	power, torque := list[0], list[2]
	c.out.RPM = list[3]
	if s.power.formula != "" {
		power = s.power.of(list[0], list[1], aroundPeak)
		c.out.Power.Derived = s.power.formula
	}
	if s.torque == nil && rpm != nil {
		torque = series.ShaftTorque(power, c.out.RPM, aroundPeak)
		c.out.Torque.Derived = fromPower
	}
	if power.Len() == 0 {
		return fmt.Errorf("%w: no power can be computed, the channels of %s are never there at one time", ErrNoCurves, s.power.formula)
	}
	c.out.Power.Series, c.out.Torque.Series = power.Scaled(s.scale), torque.Scaled(s.scale)
	c.out.Power.Label, c.out.Torque.Label = "Power", "Torque"
	if c.out.Power.Derived != "" {
		c.note("power derived from %s", c.out.Power.Derived)
	}
	if c.out.Torque.Derived != "" && torque.Len() > 0 {
		c.note("torque derived from %s", c.out.Torque.Derived)
	}
	return nil
}

// curves loads channels of the interval; long ones become means.
func (c *curving) curves(ctx context.Context, channels ...*channelTally) ([]series.Series, error) {
	most := int64(0)
	for _, ch := range channels {
		if ch != nil {
			most = max(most, ch.samples())
		}
	}
	if most <= 5*mostPoints {
		return c.load(ctx, c.out.From, c.out.To, channels...)
	}
	width := (c.out.To-c.out.From)/mostPoints + 1
	note := fmt.Sprintf("lines are means over %.3g s", float64(width)/1e6)
	if len(c.out.Notes) == 0 || c.out.Notes[len(c.out.Notes)-1] != note {
		c.out.Notes = append(c.out.Notes, note)
	}
	return c.loadMeans(ctx, width, channels...)
}

// smoothAll smooths what is to be drawn, engine speed with it.
func (c *curving) smoothAll() {
	lines := []*series.Series{&c.out.RPM, &c.out.Power.Series, &c.out.Torque.Series}
	for i := range c.out.Mixture {
		if !c.out.Mixture[i].Target {
			lines = append(lines, &c.out.Mixture[i].Series)
		}
	}
	for _, line := range lines {
		*line, _ = smooth.Apply(*line, c.options.Smoothing) // the level was checked
	}
}

// afrNames and lambdaNames are the channels of a mixture plot with what people
// call them.
var afrNames = []struct{ name, label string }{
	{channel.AFR, "AFR"}, {channel.AFRFront, "AFR front"}, {channel.AFRRear, "AFR rear"}, {channel.AFR2, "AFR 2"},
	{channel.AFR3, "AFR 3"}, {channel.AFR4, "AFR 4"}, {channel.AFRTarget, "AFR target"},
}

var lambdaNames = []struct{ name, label string }{
	{channel.Lambda, "λ"}, {channel.LambdaFront, "λ front"}, {channel.LambdaRear, "λ rear"}, {channel.Lambda2, "λ 2"},
	{channel.Lambda3, "λ 3"}, {channel.Lambda4, "λ 4"}, {channel.LambdaTarget, "λ target"},
}

// readMixture reads the AFR channels, or those of lambda where nothing measures
// AFR.
func (c *curving) readMixture(ctx context.Context) error {
	lines := afrNames
	c.out.MixtureUnit = sample.AFR
	measured := func() bool {
		for _, line := range lines {
			if !strings.HasSuffix(line.label, "target") && c.tally.preferred(line.name, nil) != nil {
				return true
			}
		}
		return false
	}
	if !measured() {
		if lines, c.out.MixtureUnit = lambdaNames, sample.Lambda; !measured() {
			return nil
		}
	}
	var channels []*channelTally
	for _, line := range lines {
		channels = append(channels, c.tally.preferred(line.name, nil))
	}
	list, err := c.curves(ctx, channels...)
	if err != nil {
		return err
	}
	for i, line := range lines {
		if list[i].Len() > 0 {
			c.out.Mixture = append(c.out.Mixture, Curve{
				Series: list[i], Label: line.label, Device: channels[i].Channel.Device, Target: strings.HasSuffix(line.label, "target"),
			})
		}
	}
	return nil
}
