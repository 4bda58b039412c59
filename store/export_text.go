package store

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"dynotap/sample"
)

// csvRows is the long form of CSV.
type csvRows struct{ before, after string }

func (*csvRows) head(dst []byte) []byte {
	return append(dst, "time,channel,name,unit,value,quality,device\n"...)
}

func (r *csvRows) channel(c *Channel, unit sample.Unit) {
	r.before = "," + csvCell(c.Key) + "," + csvCell(c.DisplayName()) + "," + csvCell(string(unit)) + ","
	r.after = "," + csvCell(c.Device) + "\n"
}

func (r *csvRows) row(dst, at []byte, value float64, q sample.Quality) []byte {
	dst = append(dst, at...)
	dst = append(dst, r.before...)
	dst = strconv.AppendFloat(dst, value, 'g', -1, 64)
	dst = append(dst, ',')
	dst = append(dst, q.String()...)
	return append(dst, r.after...)
}

// csvCell quotes a text where it must be (RFC 4180). Names come from whoever
// is on the network: one that a spreadsheet would take for a formula gets an
// apostrophe before it.
func csvCell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		text = "'" + text
	}
	if !strings.ContainsAny(text, ",\"\r\n") && strings.TrimSpace(text) == text {
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}

// jsonRows is JSON lines. JSON has no NaN and no infinity: their value is
// null.
type jsonRows struct{ before, after string }

func (*jsonRows) head(dst []byte) []byte { return dst }

func (r *jsonRows) channel(c *Channel, unit sample.Unit) {
	r.before = `,"channel":` + jsonText(c.Key) + `,"name":` + jsonText(c.DisplayName()) +
		`,"unit":` + jsonText(string(unit)) + `,"value":`
	r.after = `","device":` + jsonText(c.Device) + "}\n"
}

func (r *jsonRows) row(dst, at []byte, value float64, q sample.Quality) []byte {
	dst = append(dst, `{"time":`...)
	if at[len(at)-1] == 'Z' {
		dst = append(dst, '"')
		dst = append(append(dst, at...), '"')
	} else {
		dst = append(dst, at...) // seconds
	}
	dst = append(dst, r.before...)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendFloat(dst, value, 'g', -1, 64)
	}
	dst = append(dst, `,"quality":"`...)
	dst = append(dst, q.String()...)
	return append(dst, r.after...)
}

func jsonText(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		return `""` // a string always encodes
	}
	return string(out)
}
