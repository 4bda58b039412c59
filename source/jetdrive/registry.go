package jetdrive

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"dynotap/sample"
	"dynotap/source/jetdrive/klhdv"
)

const (
	// maxHosts bounds the hosts that are followed at once. When it is reached
	// the one without channels that has been silent longest makes room, so that
	// pings under many ids keep no provider out; else a provider that has been
	// silent for forgetAfter µs; else the new one is ignored and counted.
	maxHosts    = 512
	forgetAfter = 60_000_000
	// restartSilence is the least silence of a host that began anew: it has to
	// wait a second for its id (PROTOCOLS 1.2), less some delay. µs.
	restartSilence = 800_000
	// infoSilence is longer than the 30 s between the ChannelInfo of a provider
	// that sends nothing else. µs.
	infoSilence = 35_000_000
	// askSeldom is the longest wait between two RequestChannelInfo to one host:
	// some ids are never named. µs.
	askSeldom = 60_000_000
)

// host is one host id on the network.
type host struct {
	id       uint16
	address  netip.AddrPort
	seq      sequence
	clock    hostClock
	seen     int64       // arrival of its last message
	heard    [256]uint64 // what was heard last under each number
	stamp    uint32      // of its newest ChannelValues, ms of its own clock
	provider *provider   // nil until it lists or sends channels
	closing  bool        // its last message was ClearChannelInfo
	barred   bool        // speaks a version that we do not
	asked    int64       // when RequestChannelInfo was sent last; 0: never
	patience int64       // the least wait until it is sent again
	logging  loggingState
	loss     lossMeter
	tally    Counters // without what seq counts
}

// accept judges a message by its number. A number that says duplicate, with
// other content than was heard under it, belongs to a host that began anew with
// the same id if it was silent for a second, and follows a long gap if its
// values are newer than all before.
func (h *host) accept(f klhdv.Frame, arrival int64) order {
	mark := fingerprint(f)
	o := h.seq.accept(f.Seq)
	stamp, stamped := stampOf(f)
	if o == duplicate && h.heard[f.Seq] != mark {
		switch {
		case arrival-h.seen >= restartSilence:
			h.seq.duplicates--
			h.seq.restart()
			h.clock.doubt()
			o = h.seq.accept(f.Seq)
		case stamped && int32(stamp-h.stamp) > 0:
			h.seq.jump(f.Seq)
			o = inOrder
		}
	}
	if o != duplicate {
		h.heard[f.Seq] = mark
	}
	if o == inOrder && stamped {
		h.stamp = stamp
	}
	h.seen = arrival
	return o
}

// stampOf is the timestamp of a message's first value.
func stampOf(f klhdv.Frame) (stamp uint32, ok bool) {
	if f.Key != klhdv.KeyChannelValues || len(f.Value) < klhdv.ValueLen {
		return 0, false
	}
	return binary.LittleEndian.Uint32(f.Value[2:]), true
}

// fingerprint tells messages under one number apart: by kind, length,
// receiver and, of ChannelValues, the first channel, timestamp and half the
// value.
func fingerprint(f klhdv.Frame) uint64 {
	mark := uint64(f.Key)<<56 ^ uint64(len(f.Value))<<40 ^ uint64(f.Dest)<<24
	if len(f.Value) >= 8 {
		mark ^= binary.LittleEndian.Uint64(f.Value) * 0x9E3779B97F4A7C15 // spread by the golden ratio
	}
	return mark
}

// forgiveAsking lets RequestChannelInfo go out as soon as a first one may.
func (h *host) forgiveAsking(again int64) { h.patience = again }

// mayAsk reports whether RequestChannelInfo may go to the host now, and notes
// that it does. The first answer is waited for as long as again says, in µs,
// each further one twice as long.
func (h *host) mayAsk(now, again int64) bool {
	if h.asked != 0 && now-h.asked < h.patience {
		return false
	}
	h.patience = min(max(again, 2*h.patience), askSeldom)
	h.asked = now
	return true
}

// counters are the host's, complete.
func (h *host) counters() Counters {
	c := h.tally
	c.Lost, c.Reordered, c.Duplicate = h.seq.lost, h.seq.reordered, h.seq.duplicates
	return c
}

// provider is a device with channels. It outlives its host id: it is known
// again by its name (PROTOCOLS 1.2).
type provider struct {
	key      string // first part of its channels' keys, for the session
	name     string // empty: not known yet
	host     *host
	channels channelList
	set      *sample.ChannelSet
	excluded bool     // by the filter
	streamed bool     // has sent values
	former   Counters // of the hosts it was before
	rate     rateMeter
	pending  *sample.Batch
}

// title is the name as it is shown.
func (p *provider) title() string {
	if p.name != "" {
		return p.name
	}
	return HostID(p.host.id).String()
}

// gone reports whether the provider's host has fallen silent, so that another
// one of the same name may be the same device.
func (p *provider) gone(now int64) bool {
	if p.streamed || p.host.closing {
		return now-p.host.seen >= restartSilence
	}
	return now-p.host.seen >= infoSilence
}

// registry is who is on the network. It lives as long as the session, so that
// channel keys stay.
type registry struct {
	source    string
	wanted    filter // providers
	channels  filter
	hosts     map[uint16]*host
	providers []*provider
	keys      map[string]bool
}

func newRegistry(source string, providers, channels []string) *registry {
	return &registry{
		source: source, wanted: newFilter(providers), channels: newFilter(channels),
		hosts: map[uint16]*host{}, keys: map[string]bool{},
	}
}

// host finds or makes the host of an id; nil: there are too many.
func (r *registry) host(id uint16, now int64) *host {
	if h := r.hosts[id]; h != nil {
		return h
	}
	if len(r.hosts) >= maxHosts && !r.forget(now) {
		return nil
	}
	h := &host{id: id, seen: now}
	r.hosts[id] = h
	return h
}

// forget drops the host that can be missed best, and its provider.
func (r *registry) forget(now int64) bool {
	oldest := (*host)(nil)
	for _, h := range r.hosts {
		switch {
		case h.provider != nil && now-h.seen < forgetAfter:
		case oldest == nil, h.provider == nil && oldest.provider != nil,
			(h.provider == nil) == (oldest.provider == nil) && h.seen < oldest.seen:
			oldest = h
		}
	}
	if oldest == nil {
		return false
	}
	delete(r.hosts, oldest.id)
	r.providers = slices.DeleteFunc(r.providers, func(p *provider) bool { return p.host == oldest })
	return true
}

// providerOf finds or makes the provider of a host that sends values.
func (r *registry) providerOf(h *host) *provider {
	if h.provider == nil {
		h.provider = r.add(h, "", HostID(h.id).String())
	}
	return h.provider
}

// list takes in a ChannelInfo of a host.
func (r *registry) list(h *host, info klhdv.ChannelInfo, now int64) {
	if p := h.provider; p == nil || info.Provider != "" && p.name != info.Provider {
		r.name(h, info, now)
	}
	p := h.provider
	for _, c := range info.Channels {
		p.channels.list(c, h.seq.position)
	}
}

// name finds out which provider a host is, now that it says its name.
func (r *registry) name(h *host, info klhdv.ChannelInfo, now int64) {
	if old := r.returning(h, info, now); old != nil {
		r.move(old, h)
		return
	}
	if p := h.provider; p != nil && p.name == "" { // a late name changes the label, not the key
		p.name = info.Provider
		p.channels.changed = true
		p.excluded = r.wanted.excludes(h.id, p.name)
		return
	}
	key := info.Provider
	if key == "" {
		key = HostID(h.id).String()
	}
	h.provider = r.add(h, info.Provider, key)
}

// returning is the silent provider of the same name whose list has most in
// common with the new one. One that has nothing in common is another device.
func (r *registry) returning(h *host, info klhdv.ChannelInfo, now int64) *provider {
	best, most := (*provider)(nil), -1
	for _, p := range r.providers {
		if info.Provider == "" || p.name != info.Provider || p.host == h && p == h.provider || p.host != h && !p.gone(now) {
			continue
		}
		alike := p.channels.alike(info.Channels)
		if alike == 0 && len(info.Channels) > 0 && len(p.channels.latest) > 0 {
			continue
		}
		if alike > most || alike == most && p.host.seen > best.host.seen {
			best, most = p, alike
		}
	}
	return best
}

// move makes h the host of a provider that was another one's.
func (r *registry) move(p *provider, h *host) {
	if former := p.host; former != h {
		p.former.add(former.counters())
		if r.hosts[former.id] == former && former.provider == p {
			delete(r.hosts, former.id)
		}
	}
	p.host, h.provider = h, p
	p.excluded = r.wanted.excludes(h.id, p.name)
	p.channels.adopt()
}

// add makes a provider. Its key is the wanted one, or with #2, #3 where that
// is another's.
func (r *registry) add(h *host, name, key string) *provider {
	unique := key
	for n := 2; r.keys[unique]; n++ {
		unique = fmt.Sprintf("%s#%d", key, n)
	}
	r.keys[unique] = true
	p := &provider{
		key: unique, name: name, host: h, channels: newChannelList(r.channels),
		excluded: r.wanted.excludes(h.id, name),
	}
	r.providers = append(r.providers, p)
	return p
}

// silence makes every host's numbering start anew: the socket was closed for
// a while, and what was missed then is not the network's loss.
func (r *registry) silence() {
	for _, h := range r.hosts {
		h.seq.restart()
	}
}
