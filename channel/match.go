package channel

import (
	"strconv"
	"strings"

	"dynotap/sample"
)

// match is what a label was found to mean.
type match struct {
	quantity Quantity
	unit     sample.Unit // native
	place    place
	assumed  bool // neither source nor label gave a unit
}

// find finds what a label means on a device. Unit is the native unit, or none
// where only the label can tell; failing that too, an unambiguous name is
// taken to be in its canonical unit.
func find(label string, unit sample.Unit, on device) (match, bool) {
	if name, u := wholeUnit(label); name != "" {
		if m, ok := agree(meaning{quantity: name}, place{}, u, unit); ok {
			return m, true
		}
	}
	for _, r := range readings(label) {
		// As it stands first: "A/F" has an F that is not the front cylinder.
		for _, mean := range meanings(strings.Join(r.words, ""), on) {
			if m, ok := agree(mean, place{}, r.unit, unit); ok {
				return m, true
			}
		}
		rest, p, ok := takePlace(r.words)
		if !ok || p == (place{}) {
			continue
		}
		for _, mean := range meanings(strings.Join(rest, ""), on) {
			if m, ok := agree(mean, p, r.unit, unit); ok {
				return m, true
			}
		}
	}
	return match{}, false
}

// agree holds a meaning against the place and the two units, the label's and
// the native one, either of which may be missing.
func agree(mean meaning, p place, inLabel, native sample.Unit) (match, bool) {
	unit := native
	if unit == sample.NoUnit {
		unit = inLabel
	}
	if mean.quantity == "" || mean.unitNeeded && unit == sample.NoUnit {
		return match{}, false
	}
	q, ok := quantityAt(inMixture(mean.quantity, unit), p)
	if !ok {
		return match{}, false
	}
	for _, u := range []sample.Unit{inLabel, native} {
		if _, ok := u.To(q.Unit); !ok && u != sample.NoUnit {
			return match{}, false
		}
	}
	switch {
	case !p.corrected || correctable(q.Name):
	case p.correction == sample.CorrectionSAE: // "SAE.RPM", "Engine RPM (SAE)": a parameter of the SAE's standard
	default:
		return match{}, false
	}
	m := match{quantity: q, unit: unit, place: p, assumed: unit == sample.NoUnit}
	if m.assumed {
		m.unit = q.Unit
	}
	return m, true
}

// inMixture turns a name of the AFR family into its lambda counterpart or
// back, as the unit says: the unit is what was measured, the label habit.
func inMixture(name string, unit sample.Unit) string {
	afr, isAFR := strings.CutPrefix(name, AFR)
	lambda, isLambda := strings.CutPrefix(name, Lambda)
	switch {
	case isAFR && unit == sample.Lambda:
		return Lambda + afr
	case isLambda && unit == sample.AFR:
		return AFR + lambda
	}
	return name
}

// quantityAt finds the quantity for a place: afr at the front is afr_front,
// the second afr is afr_2, and the first of anything is the thing itself. A
// place the vocabulary does not have gives nothing: drum 2 is not the dyno.
func quantityAt(name string, p place) (Quantity, bool) {
	switch {
	case p.side != "" && p.number > 1:
		return Quantity{}, false
	case p.side != "":
		name += "_" + p.side
	case p.number > 1:
		name += "_" + strconv.Itoa(p.number)
	}
	return Lookup(name)
}

// correctable names are those that a weather correction can be part of.
func correctable(name string) bool { return name == Horsepower || name == Torque }
