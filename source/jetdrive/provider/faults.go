package provider

import (
	"bytes"
	"math/rand/v2"
	"sync"

	"dynotap/source/jetdrive/klhdv"
)

// faultyWire loses, reorders and repeats what a node sends, and counts it.
type faultyWire struct {
	network network
	faults  Faults
	random  *rand.Rand
	counts  *counts

	mu      sync.Mutex
	started uint16 // the host id whose first message has passed
	over    bool   // no more faults
	held    []byte // goes out after the next message
}

// Send takes one numbered message. The claim of an id has no faults: it is not
// what is simulated.
func (w *faultyWire) Send(datagram []byte) error {
	f, err := klhdv.Parse(datagram)
	if err != nil {
		return err
	}
	if f.Host == klhdv.Unclaimed {
		return w.network.Send(datagram)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts.messages.Add(1)
	draw := 1.0
	if f.Host == w.started && !w.over {
		draw = w.random.Float64()
	}
	w.started = f.Host
	values := uint64(0)
	if f.Key == klhdv.KeyChannelValues {
		values = uint64(len(f.Value) / klhdv.ValueLen)
	}
	loss, reorder, duplicate := w.faults.Loss, w.faults.Reorder, w.faults.Duplicate
	if draw < loss {
		w.counts.lost.Add(1)
		w.counts.valuesLost.Add(values)
		return nil
	}
	if draw < loss+reorder && w.held == nil {
		w.held = bytes.Clone(datagram)
		w.counts.values.Add(values)
		return nil
	}
	if err := w.network.Send(datagram); err != nil {
		return err
	}
	w.counts.values.Add(values)
	if draw >= loss+reorder && draw < loss+reorder+duplicate {
		w.counts.duplicated.Add(1)
		if err := w.network.Send(datagram); err != nil {
			return err
		}
	}
	if w.held == nil {
		return nil
	}
	w.counts.reordered.Add(1)
	return w.release()
}

// calm ends the faults and sends what was held back, in its place.
func (w *faultyWire) calm() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.held == nil {
		return nil
	}
	return w.release()
}

// release is called with mu held.
func (w *faultyWire) release() error {
	held := w.held
	w.held = nil
	return w.network.Send(held)
}
