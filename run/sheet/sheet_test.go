package sheet_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dynotap/run"
	"dynotap/run/correct"
	"dynotap/run/series"
	"dynotap/run/sheet"
	"dynotap/sample"
	"dynotap/sim"
)

const epoch = 1_790_000_000_000_000

// pull is a pull of the simulated cell as run.ReadCurves gives it.
func pull(t *testing.T, name string, scale float64) *run.Curves {
	t.Helper()
	cell, err := sim.New(sim.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	p := cell.Pulls(30 * time.Second)[0]
	c := &run.Curves{
		Run:  run.Run{ID: name, Name: name, Kind: run.KindPull, Source: "jetdrive", StartedAt: new(sample.Time(epoch))},
		From: epoch, To: epoch + (p.End - p.Start).Microseconds(), MixtureUnit: sample.AFR,
		Correction: correct.SAE.Title(), Factor: &correct.Factor{Standard: correct.SAE, Value: scale},
		Weather:   correct.Weather{Temperature: new(24.1), Pressure: new(98.9), Humidity: new(45.0)},
		Smoothing: 2, Notes: []string{"power derived from drum force × speed / 375"},
	}
	var front, rear, target series.Series
	for at := p.Start; at <= p.End; at += 50 * time.Millisecond {
		us, s := epoch+(at-p.Start).Microseconds(), cell.At(at)
		add := func(to *series.Series, v float64) {
			to.Times, to.Values = append(to.Times, us), append(to.Values, v)
		}
		add(&c.RPM, s.RPM)
		add(&c.Power.Series, scale*s.Power/0.74569987158227)
		add(&c.Torque.Series, scale*s.Torque/1.3558179483314)
		add(&front, s.AFRFront)
		add(&rear, s.AFRRear)
		add(&target, s.AFRTarget)
	}
	c.Mixture = []run.Curve{{Series: front, Label: "AFR front"}, {Series: rear, Label: "AFR rear"}, {Series: target, Label: "AFR target", Target: true}}
	return c
}

func several(t *testing.T, n int) (list []*run.Curves) {
	t.Helper()
	for i := range n {
		list = append(list, pull(t, fmt.Sprintf("Pull %d with stage %d cams", i+1, i), 1-0.03*float64(i)))
	}
	return list
}

func draw(t *testing.T, o sheet.Options, runs ...*run.Curves) string {
	t.Helper()
	var out bytes.Buffer
	if err := sheet.Draw(&out, runs, o); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("SHEETS"); dir != "" {
		name := strings.NewReplacer("/", "_").Replace(t.Name()) + "." + string(o.Format)
		if err := os.WriteFile(filepath.Join(dir, name), out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// texts are the words of an SVG, which must be well formed.
func texts(t *testing.T, svg string) (list []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	inside := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inside = token.Name.Local == "text"
		case xml.EndElement:
			inside = false
		case xml.CharData:
			if inside {
				list = append(list, string(token))
			}
		}
	}
}

func TestASheetNamesItsFigures(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		options sheet.Options
		runs    int
		want    []string
	}{
		{"one run", sheet.Options{Format: sheet.SVG}, 1, []string{
			"99.5 hp @ 56", "110.0 ft·lb @ 36", "SAE J1349, factor 1.0000", "smoothing: 2", "75.4 °F", "29.21 inHg", "AFR front", "5252",
			"power derived from drum force", "engine speed (rpm)", "power (hp) · torque (ft·lb)", "jetdrive", "2026-09-21"}},
		{"metric", sheet.Options{Format: sheet.SVG, Units: sample.Metric, Title: "Ünï <cööl> & \"more\""}, 1, []string{
			"74.2 kW @ 56", "149.1 N·m @ 36", "98.90 kPa", "24.1 °C", "power (kW) · torque (N·m)", "Ünï <cööl> & \"more\""}},
		{"over time", sheet.Options{Format: sheet.SVG, OverTime: true}, 1, []string{"time (s)", "99.5 hp @ 56"}},
		{"six runs", sheet.Options{Format: sheet.SVG}, 6, []string{
			"Comparison of 6 runs", "1: Pull 1 with", "6: Pull 6 with", "SAE 0.8500", "96.5 hp @ 56", "power derived"}},
		{"upright", sheet.Options{Format: sheet.SVG, Portrait: true}, 1, []string{
			"99.5 hp @ 56", "110.0 ft·lb @ 36", "SAE J1349, factor 1.0000", "smoothing: 2", "AFR front", "engine speed (rpm)", "2026-09-21"}},
		{"six runs upright", sheet.Options{Format: sheet.SVG, Portrait: true}, 6, []string{
			"Comparison of 6 runs", "1: Pull 1 with", "6: Pull 6 with", "96.5 hp @ 56"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			words := strings.Join(texts(t, draw(t, c.options, several(t, c.runs)...)), "\n")
			for _, want := range c.want {
				if !strings.Contains(words, want) {
					t.Errorf("%q is missing in\n%s", want, words)
				}
			}
		})
	}
}

func TestFilesWithoutDatesNameTheirCorrectionInFull(t *testing.T) {
	t.Parallel()
	runs := several(t, 6)
	for _, c := range runs {
		c.Factor, c.Run.StartedAt, c.Correction = nil, nil, "as recorded, correction unknown"
	}
	words := texts(t, draw(t, sheet.Options{Format: sheet.SVG}, runs...))
	if !slices.Contains(words, "correction unknown") {
		t.Errorf("the correction is cut off in %q", words)
	}
	if slices.Contains(words, "date") {
		t.Error("a column of dates that has none")
	}
}

func TestAPNGHasTheSizeOfThePage(t *testing.T) {
	t.Parallel()
	for portrait, want := range map[bool]image.Point{false: {X: 1650, Y: 1275}, true: {X: 750, Y: 1050}} {
		picture, err := png.Decode(strings.NewReader(draw(t, sheet.Options{Format: sheet.PNG, Portrait: portrait}, pull(t, "Pull 1", 1))))
		if err != nil {
			t.Fatal(err)
		}
		if b := picture.Bounds(); b.Size() != want {
			t.Errorf("%v, want %v", b, want)
		}
	}
}

// What is odd about a run must neither stop the drawing nor put NaN into it.
func TestOddRunsAreDrawn(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*run.Curves){
		"one sample": func(c *run.Curves) {
			for _, s := range []*series.Series{&c.RPM, &c.Power.Series, &c.Torque.Series} {
				*s = series.Series{Times: s.Times[:1], Values: s.Values[:1]}
			}
		},
		"no engine speed":  func(c *run.Curves) { c.RPM = series.Series{} },
		"no torque":        func(c *run.Curves) { c.Torque = run.Curve{} },
		"no power":         func(c *run.Curves) { c.Power = run.Curve{} },
		"no mixture":       func(c *run.Curves) { c.Mixture = nil },
		"an empty mixture": func(c *run.Curves) { c.Mixture[0].Series = series.Series{} },
		"lambda":           func(c *run.Curves) { c.MixtureUnit = sample.Lambda; c.Mixture = c.Mixture[:1] },
		"all zero":         func(c *run.Curves) { c.Power.Series = c.Power.Scaled(0); c.Torque.Series = c.Torque.Scaled(0) },
		"negative":         func(c *run.Curves) { c.Power.Series = c.Power.Scaled(-1); c.Torque.Series = c.Torque.Scaled(-1) },
		"huge":             func(c *run.Curves) { c.Power.Series = c.Power.Scaled(1e300) },
		"no date, long name": func(c *run.Curves) {
			c.Run.StartedAt = nil
			c.Run.Name = strings.Repeat("a very long name ", 30)
			c.Notes = []string{strings.Repeat("wide ", 200), strings.Repeat("x", 500)}
		},
	}
	for name, odd := range cases {
		for _, over := range []bool{false, true} {
			t.Run(fmt.Sprint(name, over), func(t *testing.T) {
				t.Parallel()
				c := pull(t, "Pull 1", 1)
				odd(c)
				svg := draw(t, sheet.Options{Format: sheet.SVG, OverTime: over, Portrait: over}, c)
				texts(t, svg)
				if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
					t.Error("a coordinate is no number")
				}
			})
		}
	}
}

func TestWrongWishesAreRefused(t *testing.T) {
	t.Parallel()
	one := pull(t, "Pull 1", 1)
	for name, c := range map[string]struct {
		runs []*run.Curves
		o    sheet.Options
	}{
		"none":   {nil, sheet.Options{Format: sheet.SVG}},
		"seven":  {[]*run.Curves{one, one, one, one, one, one, one}, sheet.Options{Format: sheet.SVG}},
		"format": {[]*run.Curves{one}, sheet.Options{Format: "pdf"}},
	} {
		if err := sheet.Draw(io.Discard, c.runs, c.o); !errors.Is(err, sheet.ErrSheet) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCurvesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	c := pull(t, "Pull 1", 1)
	before := fmt.Sprint(c.Power, c.Torque, c.RPM, c.Mixture)
	draw(t, sheet.Options{Format: sheet.SVG, Units: sample.Metric}, c)
	if fmt.Sprint(c.Power, c.Torque, c.RPM, c.Mixture) != before || math.IsNaN(c.Power.Values[0]) {
		t.Error("drawing changed the curves")
	}
}

// A viewer without the font that was measured squeezes its own into the room
// that there is.
func TestEveryTextOfAnSVGHasItsWidth(t *testing.T) {
	t.Parallel()
	svg := draw(t, sheet.Options{Format: sheet.SVG, Title: "<text <text"}, several(t, 3)...)
	if n, m := strings.Count(svg, "<text "), strings.Count(svg, "<text textLength="); n == 0 || n != m || m != len(texts(t, svg)) {
		t.Errorf("%d texts, %d of them with a width", n, m)
	}
	for _, m := range regexp.MustCompile(`<text textLength="([0-9.]+)"[^>]*>([^<]*)</text>`).FindAllStringSubmatch(svg, -1) {
		width, err := strconv.ParseFloat(m[1], 64)
		letters := float64(len([]rune(html.UnescapeString(m[2]))))
		if err != nil || width < 1.8*letters || width > 12*letters {
			t.Errorf("%q is %s wide", m[2], m[1])
		}
	}
}

// TestNoTextLeavesThePage: those that are not turned, on either page.
func TestNoTextLeavesThePage(t *testing.T) {
	t.Parallel()
	for _, portrait := range []bool{false, true} {
		for _, runs := range []int{1, 2, 6} {
			svg := draw(t, sheet.Options{Format: sheet.SVG, Portrait: portrait}, several(t, runs)...)
			page := number(t, regexp.MustCompile(`<svg width="([0-9.]+)pt"`).FindStringSubmatch(svg)[1])
			svg = regexp.MustCompile(`(?s)<g transform="rotate.*?</g>`).ReplaceAllString(svg, "")
			found := regexp.MustCompile(`<text textLength="([0-9.]+)"[^>]* x="([-0-9.]+)"[^>]*>([^<]*)`).FindAllStringSubmatch(svg, -1)
			if len(found) < 20 {
				t.Fatalf("only %d texts in\n%s", len(found), svg)
			}
			for _, m := range found {
				if x, width := number(t, m[2]), number(t, m[1]); x < 0 || x+width > page {
					t.Errorf("upright %v, %d runs: %q from %g to %g of %g", portrait, runs, m[3], x, x+width, page)
				}
			}
		}
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
