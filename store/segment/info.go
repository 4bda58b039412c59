package segment

import (
	"encoding/json"
	"fmt"
	"math"

	"dynotap/sample"
)

// Format is the version of the layout and of Info; a reader refuses a newer
// one.
const Format = 1

// metadataKey is the footer's key that holds Info.
const metadataKey = "dynotap"

// Info is what a file says about itself.
type Info struct {
	Format  int    `json:"format"`
	Capture string `json:"capture"`
	// Kind is live or import.
	Kind   string `json:"kind"`
	Source string `json:"source"`
	// TimeBase is absolute, or relative where times count from the start.
	TimeBase   string            `json:"time_base"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Rows       int64             `json:"rows"`
	// FirstUS and LastUS bound the times, in microseconds.
	FirstUS  int64     `json:"first_us"`
	LastUS   int64     `json:"last_us"`
	Channels []Channel `json:"channels"`
}

// Channel describes one channel of a file or a capture, and the rows that it
// has there.
type Channel struct {
	// Key is unique within the capture and the text of the column channel.
	Key        string      `json:"key"`
	Source     string      `json:"source"`
	Device     string      `json:"device,omitempty"`
	HostID     uint16      `json:"host_id,omitempty"`
	ID         uint32      `json:"id"`
	Label      string      `json:"label,omitempty"`
	Name       string      `json:"name,omitempty"`
	Unit       sample.Unit `json:"unit"`
	NativeUnit sample.Unit `json:"native_unit"`
	Corrected  string      `json:"corrected,omitempty"`
	// Scale and Offset lead from the native value to value.
	Scale  float64 `json:"scale"`
	Offset float64 `json:"offset"`
	// Native says how the source's own value is had from a row.
	Native Native `json:"native"`
	// DescribedUS is when the batch arrived whose channel set gave this
	// description; the latest one counts.
	DescribedUS int64 `json:"described_us,omitempty"`

	// FirstRow is the channel's first row in the file; its Rows rows follow.
	FirstRow int64 `json:"first_row"`
	Rows     int64 `json:"rows"`
	FirstUS  int64 `json:"first_us"`
	LastUS   int64 `json:"last_us"`
	Good     int64 `json:"good"`
	Suspect  int64 `json:"suspect"`
	Bad      int64 `json:"bad"`
	// Min and Max are over the finite values that are not bad; nil where there
	// are none.
	Min *float64 `json:"min"`
	Max *float64 `json:"max"`
}

// Native says how the native value follows from the stored one.
type Native string

const (
	// NativeSame says that value is the native value.
	NativeSame Native = "same"
	// NativeFloat32 says that it is the inverse conversion rounded to 32 bits.
	NativeFloat32 Native = "float32"
	// NativeFloat64 says that it is the inverse conversion.
	NativeFloat64 Native = "float64"
	// NativeColumn says that it is in the column native_value, which is null
	// for other channels.
	NativeColumn Native = "column"
)

// Point is one sample of one channel.
type Point struct {
	// Time is in microseconds since the Unix epoch, UTC, or since the start
	// where the time base is relative.
	Time    int64
	Value   float64
	Quality sample.Quality
}

// Describe fills in what a channel set says of a channel.
func Describe(source, key string, c *sample.Channel) Channel {
	conv := c.Conversion()
	return Channel{
		Key: key, Source: source, Device: c.Provider, HostID: c.HostID, ID: c.ID, Label: c.Label,
		Name: c.Name, Unit: c.Unit, NativeUnit: c.NativeUnit, Corrected: c.Corrected.String(),
		Scale: conv.Scale, Offset: conv.Offset,
	}
}

// Conversion leads from the native value to value.
func (c *Channel) Conversion() sample.Conversion {
	return sample.Conversion{Scale: c.Scale, Offset: c.Offset}
}

// DisplayName is the text of the column name.
func (c *Channel) DisplayName() string {
	if c.Name != "" {
		return c.Name
	}
	return c.Label
}

// Address is the channel as people see it; see sample.Channel.Address.
func (c *Channel) Address() string {
	s := sample.Channel{Provider: c.Device, HostID: c.HostID, ID: c.ID, Label: c.Label}
	return s.Address()
}

// count adds rows to the channel's figures; values are theirs in Unit.
func (c *Channel) count(points []Point, values []float64) {
	add := Channel{Rows: int64(len(points)), FirstUS: points[0].Time, LastUS: points[len(points)-1].Time}
	low, high := math.Inf(1), math.Inf(-1)
	var count [sample.Qualities]int64
	for i, v := range values {
		q := points[i].Quality
		count[q]++
		if q != sample.Bad && v-v == 0 { // finite
			low, high = min(low, v), max(high, v)
		}
	}
	add.Good, add.Suspect, add.Bad = count[sample.Good], count[sample.Suspect], count[sample.Bad]
	if low <= high {
		add.Min, add.Max = &low, &high
	}
	c.Add(&add)
}

// Add adds the figures of other, which must be in the same unit.
func (c *Channel) Add(other *Channel) {
	if other.Rows == 0 {
		return
	}
	if c.Rows == 0 {
		c.FirstUS, c.LastUS = other.FirstUS, other.LastUS
	}
	c.FirstUS, c.LastUS = min(c.FirstUS, other.FirstUS), max(c.LastUS, other.LastUS)
	c.Rows += other.Rows
	c.Good += other.Good
	c.Suspect += other.Suspect
	c.Bad += other.Bad
	if other.Min == nil || other.Max == nil {
		return
	}
	low, high := *other.Min, *other.Max
	if c.Min != nil && c.Max != nil {
		low, high = min(low, *c.Min), max(high, *c.Max)
	}
	c.Min, c.Max = &low, &high
}

// decodeInfo reads the footer's JSON and checks that its rows make sense.
func decodeInfo(text string, rows int64) (*Info, error) {
	info := new(Info)
	if err := json.Unmarshal([]byte(text), info); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if info.Format > Format {
		return nil, fmt.Errorf("metadata has format %d, this program knows up to %d", info.Format, Format)
	}
	at := int64(0)
	for i := range info.Channels {
		c := &info.Channels[i]
		if c.FirstRow != at || c.Rows < 0 || c.Rows > rows-at {
			return nil, fmt.Errorf("metadata: rows %d to %d of channel %q in a file of %d rows", c.FirstRow, c.FirstRow+c.Rows, c.Key, rows)
		}
		at += c.Rows
	}
	if at != rows {
		return nil, fmt.Errorf("metadata names %d of %d rows", at, rows)
	}
	return info, nil
}
