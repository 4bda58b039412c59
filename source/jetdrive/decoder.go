package jetdrive

import (
	"net/netip"

	"dynotap/sample"
)

// Decoder makes batches of datagrams that were received elsewhere, with a
// listener's registry, clocks and counters and nothing that transmits. It is
// for one goroutine.
type Decoder struct {
	receiver *receiver
}

// NewDecoder makes a decoder; of the settings, Name and the filters count.
func NewDecoder(settings Settings, opts Options) *Decoder {
	return &Decoder{receiver: New(settings, opts).receiver}
}

// Handle takes in one datagram that arrived at a session time in µs since the
// epoch. It keeps nothing of it.
func (d *Decoder) Handle(datagram []byte, from netip.AddrPort, arrivedUS int64) {
	d.receiver.mu.Lock()
	defer d.receiver.mu.Unlock()
	d.receiver.handle(datagram, from, arrivedUS)
}

// Next gives the oldest batch, nil when there is none. It is the caller's until
// it goes back with Recycle.
func (d *Decoder) Next() *sample.Batch {
	d.receiver.mu.Lock()
	defer d.receiver.mu.Unlock()
	return d.receiver.take()
}

// Recycle takes back a batch that Next gave, so that its memory is used again.
func (d *Decoder) Recycle(b *sample.Batch) {
	d.receiver.mu.Lock()
	defer d.receiver.mu.Unlock()
	d.receiver.recycle(b)
}

// Providers gives every provider heard, as it was at a session time, in the
// order of appearance.
func (d *Decoder) Providers(nowUS int64) []ProviderStatus {
	d.receiver.mu.Lock()
	defer d.receiver.mu.Unlock()
	return d.receiver.providers(nowUS)
}

// Counters counts what came of all datagrams.
func (d *Decoder) Counters() Counters {
	d.receiver.mu.Lock()
	defer d.receiver.mu.Unlock()
	return d.receiver.total
}
