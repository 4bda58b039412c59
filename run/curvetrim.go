package run

import (
	"dynotap/run/series"
)

const (
	// trimReach is how long the throttle takes to open or close at the ends of a
	// pull, at most, µs.
	trimReach = 400_000
	// trimOpened and trimClosed are what is left there of the power nearby on a
	// point that belongs to the throttle and not to the engine.
	trimOpened = 0.8
	trimClosed = 0.9
)

// trim takes the ends off a pull where the throttle opens and closes: over engine
// speed they are upright lines that say nothing of the engine. A loss of power
// within the pull stays, and so does all of a run over time.
func (c *curving) trim() {
	p := c.out.Power.Series
	if !c.pull || c.options.Whole || p.Len() == 0 {
		return
	}
	from, to := trimmed(p)
	if from == 0 && to == p.Len()-1 {
		return
	}
	c.note("%.2g s at the ends, where the throttle opens and closes, are not drawn",
		float64(p.Times[from]-p.Times[0]+p.Times[p.Len()-1]-p.Times[to])/1e6)
	c.out.From, c.out.To = p.Times[from], p.Times[to]
	for _, line := range []*series.Series{&c.out.Power.Series, &c.out.Torque.Series} { // engine speed is looked up beside them
		*line = line.Between(c.out.From, c.out.To)
	}
}

// trimmed gives the first and the last index of what belongs to the engine.
func trimmed(p series.Series) (from, to int) {
	last := p.Len() - 1
	if p.Values[p.Peak()] <= 0 {
		return 0, last
	}
	begin := p.Between(p.Times[0], p.Times[0]+trimReach)
	for i := begin.Peak(); from < i && p.Values[from] < trimOpened*begin.Values[i]; {
		from++
	}
	end := p.Between(p.Times[last]-trimReach, p.Times[last])
	strongest := end.Values[end.Peak()]
	for to = last; to > from && p.Values[to] < trimClosed*strongest; {
		to--
	}
	return from, to
}
