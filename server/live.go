package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"dynotap/pipeline"
	"dynotap/sample"
	"dynotap/validate"
)

// heartbeat is how often a quiet stream shows that it lives.
const heartbeat = 10 * time.Second

// liveChannel describes a channel of the live stream.
type liveChannel struct {
	Ref        int    `json:"ref" doc:"The channel's number within this stream."`
	Source     string `json:"source"`
	Key        string `json:"key"`
	Address    string `json:"address" doc:"As people see it: 0x43FD:6:Humidity."`
	Provider   string `json:"provider"`
	HostID     uint16 `json:"host_id"`
	ID         uint32 `json:"id"`
	Label      string `json:"label"`
	Name       string `json:"name" doc:"Canonical name; empty where the channel is not known."`
	Unit       string `json:"unit"`
	NativeUnit string `json:"native_unit"`
	// Range is what validation holds the channel against.
	Range *validate.Range `json:"range,omitempty" doc:"In unit: outside min to max a value is bad, outside warn_min to warn_max suspect. Absent where there is none."`
}

// liveValue is the newest sample of a channel.
type liveValue struct {
	Ref     int    `json:"ref"`
	Time    int64  `json:"time_us"`
	Value   Number `json:"value"`
	Quality string `json:"quality"`
	Samples uint64 `json:"samples"`
}

// liveEvent is one window of the stream.
type liveEvent struct {
	Channels []liveChannel `json:"channels,omitempty" doc:"Those that are new or have changed."`
	Now      int64         `json:"now_us" doc:"The server's clock when it sent this: a value is as old as that minus its time_us."`
	Values   []liveValue   `json:"values" doc:"The newest sample of each channel that had one."`
}

func (s *Server) registerLive() {
	op := get("/api/v1/live", "live", "The newest value of every channel, as server-sent events", "live")
	op.Description = "Each event \"window\" carries what has changed since the one before, at most one every 50 ms; the first one carries everything. " +
		"A client that reads slowly gets fewer windows with the latest values. Reconnecting with Last-Event-ID goes on from there."
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[liveEvent](), true, "LiveEvent")
	op.Responses = map[string]*huma.Response{"200": {
		Description: "A stream of windows.", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: schema}},
	}}
	huma.Register(s.api, op, s.live)
}

func (s *Server) live(ctx context.Context, in *struct {
	Last string `header:"Last-Event-ID" doc:"The id of the last window that was seen."`
}) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Accel-Buffering", "no")
		w.WriteHeader(http.StatusOK)
		ctx, cancel := s.untilStopped(ctx)
		defer cancel()
		out := &eventWriter{w: w, control: http.NewResponseController(w), ranges: s.opts.Ranges}
		s.stream(ctx, out, s.resumeAt(in.Last))
	}}, nil
}

// stream sends windows until ctx ends or the client is gone. It asks for the
// next one only when the last has been written, so that nothing piles up.
func (s *Server) stream(ctx context.Context, out *eventWriter, version uint64) {
	if out.write("retry: 1000\n\n") != nil {
		return
	}
	for ctx.Err() == nil {
		wait, cancel := context.WithTimeout(ctx, heartbeat)
		update, err := s.opts.Live.Since(wait, version)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			err = out.write(": still here\n\n")
		default:
			version = update.Version
			err = out.window(s.eventID(version), &update)
		}
		if err != nil {
			return
		}
	}
}

// eventID marks a version as this start's: numbers begin anew with the
// program.
func (s *Server) eventID(version uint64) string {
	return s.started + "." + strconv.FormatUint(version, 10)
}

// resumeAt is the version to go on from; 0, everything, unless the id is one
// of this start.
func (s *Server) resumeAt(id string) uint64 {
	start, number, _ := strings.Cut(id, ".")
	version, err := strconv.ParseUint(number, 10, 64)
	if err != nil || start != s.started {
		return 0
	}
	return version
}

// eventWriter writes server-sent events.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	ranges  validate.Ranges
}

func (e *eventWriter) window(id string, u *pipeline.LiveUpdate) error {
	text, err := json.Marshal(eventOf(u, e.ranges))
	if err != nil {
		return err
	}
	return e.write(fmt.Sprintf("id: %s\nevent: window\ndata: %s\n\n", id, text))
}

// write sends text and waits until the connection has taken it.
func (e *eventWriter) write(text string) error {
	// An error means a writer without deadlines, which only tests have.
	_ = e.control.SetWriteDeadline(time.Now().Add(streamTime))
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.control.Flush()
}

func eventOf(u *pipeline.LiveUpdate, ranges validate.Ranges) liveEvent {
	e := liveEvent{Now: sample.Micros(time.Now()), Values: make([]liveValue, len(u.Values))}
	for i := range u.Channels {
		c := &u.Channels[i]
		e.Channels = append(e.Channels, liveChannel{
			Ref: c.Ref, Source: c.Source, Key: c.Key, Address: c.Address(), Provider: c.Provider, HostID: c.HostID, ID: c.ID,
			Label: c.Label, Name: c.Name, Unit: string(c.Unit), NativeUnit: string(c.NativeUnit),
			Range: rangeOf(c.Name, ranges),
		})
	}
	for i, v := range u.Values {
		e.Values[i] = liveValue{Ref: v.Ref, Time: v.Time, Value: Number(v.Value), Quality: v.Quality.String(), Samples: v.Samples}
	}
	return e
}

// rangeOf gives the range of a canonical name, nil where it has no bound.
func rangeOf(name string, ranges validate.Ranges) *validate.Range {
	r := ranges.For(name)
	if name == "" || r == (validate.Range{}) {
		return nil
	}
	return &r
}
