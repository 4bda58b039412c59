package server

import (
	"context"
	"encoding/hex"
	"time"

	"dynotap/queue"
	"dynotap/sample"
)

// letter is a dead letter in JSON. A time that JSON cannot hold, which only
// damage makes, is null.
type letter struct {
	ID         string            `json:"id"`
	Source     string            `json:"source"`
	Priority   string            `json:"priority"`
	Samples    int               `json:"samples"`
	Bytes      int               `json:"bytes" doc:"Length of the payload."`
	Attempts   int               `json:"attempts"`
	Reason     string            `json:"reason"`
	FirstError string            `json:"first_error"`
	LastError  string            `json:"last_error"`
	EnqueuedAt *time.Time        `json:"enqueued_at"`
	DiedAt     *time.Time        `json:"died_at"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Payload    []byte            `json:"payload,omitempty" doc:"The encoded batch; only of one dead letter."`
	Contents   *contents         `json:"contents,omitempty" doc:"The payload decoded; only of one dead letter."`
}

// contents is what a payload says. Where it cannot be decoded, Error says why
// and what could be read is there all the same.
type contents struct {
	BatchID    string         `json:"batch_id,omitempty"`
	Capture    string         `json:"capture,omitempty" doc:"The session that the samples belong to."`
	Clock      string         `json:"clock,omitempty" doc:"Where the samples' times come from: arrival, passive, synchronised or file."`
	ReceivedAt *time.Time     `json:"received_at"`
	ChannelSet string         `json:"channel_set,omitempty"`
	Total      int            `json:"total" doc:"How many samples were decoded; samples lists the first of them."`
	Samples    []letterSample `json:"samples"`
	Error      string         `json:"error,omitempty" doc:"Why the payload cannot be shown as samples."`
	Head       string         `json:"head,omitempty" doc:"The payload's first bytes in hexadecimal, where it cannot be decoded."`
}

// letterSample is one sample as people see it, and as it came.
type letterSample struct {
	Time        *time.Time `json:"time"`
	TimeUS      int64      `json:"time_us"`
	Channel     string     `json:"channel" doc:"The channel's key."`
	Provider    string     `json:"provider"`
	Label       string     `json:"label"`
	Name        string     `json:"name" doc:"The canonical name; empty where there is none."`
	Value       Number     `json:"value" doc:"In unit."`
	Unit        string     `json:"unit"`
	NativeValue Number     `json:"native_value" doc:"As the source said it, in native_unit."`
	NativeUnit  string     `json:"native_unit"`
	Quality     string     `json:"quality"`
}

// headBytes of a payload are shown where it cannot be decoded.
const headBytes = 64

func (s *Server) getLetter(ctx context.Context, in *struct {
	LetterID
	Limit int `query:"limit" default:"1000" minimum:"0" maximum:"1000000" doc:"At most so many of its samples."`
}) (*body[letter], error) {
	var out letter
	err := s.withLetter(&in.LetterID, func(id queue.ID) error {
		d, err := s.opts.Queue.DeadLetter(ctx, id)
		if err != nil {
			return err
		}
		out = letterOf(&d)
		out.Payload = d.Payload
		out.Contents = s.contentsOf(ctx, d.Payload, in.Limit)
		return nil
	})
	return answer(out), err
}

func letterOf(d *queue.DeadLetter) letter {
	return letter{
		ID: d.ID.String(), Source: d.Source, Priority: d.Priority.String(), Samples: d.Samples, Bytes: len(d.Payload),
		Attempts: d.Attempts, Reason: d.Reason, FirstError: d.FirstError, LastError: d.LastError,
		EnqueuedAt: moment(d.Enqueued), DiedAt: moment(d.Died), Metadata: d.Metadata,
	}
}

func (s *Server) contentsOf(ctx context.Context, payload []byte, limit int) *contents {
	var b sample.Batch
	out := &contents{Samples: []letterSample{}}
	err := s.opts.Decoder.Decode(ctx, payload, &b)
	if b.ID != (sample.BatchID{}) {
		out.BatchID, out.Capture, out.Clock, out.ReceivedAt = b.ID.String(), b.Capture, b.Clock.String(), moment(sample.Time(b.Received))
		if b.Received == 0 {
			out.ReceivedAt = nil // the error came before it
		}
	}
	if err != nil {
		out.Error, out.Head = err.Error(), hex.EncodeToString(payload[:min(len(payload), headBytes)])
		return out
	}
	out.ChannelSet, out.Total = b.Set.ID().String(), len(b.Samples)
	channels := b.Set.Channels()
	for i := range b.Samples[:min(limit, len(b.Samples))] {
		out.Samples = append(out.Samples, showSample(&b.Samples[i], &channels[b.Samples[i].Channel], s.opts.Units))
	}
	return out
}

func showSample(v *sample.Sample, c *sample.Channel, units sample.System) letterSample {
	unit := c.Unit.Shown(units)
	convert, ok := c.NativeUnit.To(unit)
	if !ok {
		unit = c.NativeUnit
		convert, _ = unit.To(unit)
	}
	return letterSample{
		Time: moment(sample.Time(v.Time)), TimeUS: v.Time,
		Channel: c.Key, Provider: c.Provider, Label: c.Label, Name: c.Name,
		Value: Number(convert.Apply(v.Value)), Unit: string(unit),
		NativeValue: Number(v.Value), NativeUnit: string(c.NativeUnit), Quality: v.Quality.String(),
	}
}

// moment gives a time as JSON can hold it, or nil.
func moment(t time.Time) *time.Time {
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return nil
	}
	return &t
}
