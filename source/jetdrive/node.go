package jetdrive

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"dynotap/source/jetdrive/klhdv"
)

// ErrUnclaimed is returned by Send while the node has no host id.
var ErrUnclaimed = errors.New("no host id claimed yet")

// Transport puts one datagram on the network. It keeps nothing of it.
type Transport interface {
	Send(datagram []byte) error
}

// NodeSettings are what a Node is made of.
type NodeSettings struct {
	// HostID is tried first; 0 draws one at random.
	HostID uint16
	// Ping sends an empty ping to all hosts every second.
	Ping bool
	// Micros is session time in µs since the epoch.
	Micros func() int64
	// Stamp is the node's own JETDRIVE clock in ms, which wraps. Nil counts
	// from the start of the node.
	Stamp func() uint32
	// Claimed is called after every claim, from Run, without a lock held. May
	// be nil.
	Claimed func(host uint16)
	Logger  *slog.Logger // nil: silent
}

// Verdict says what a datagram is before anything in it counts.
type Verdict uint8

const (
	// Other comes from another host that has an id.
	Other Verdict = iota
	// Echo is what this node sent itself.
	Echo
	// Seeking comes from a host that has no id yet: only its Ping counts.
	Seeking
	// Illegal has ALL_HOSTS as its source.
	Illegal
)

// sentDepth is how many messages are remembered for each of the 256 numbers,
// so that the echoes of a fast sender are known for its last 4,096 messages.
const sentDepth = 16

// identity is who the node is at present. It is never changed, only replaced.
type identity struct {
	host    uint16 // 0: none
	claim   bool   // a claim is under way
	retired []uint16
}

// Node is one host on a JETDRIVE network: it claims a host id, numbers what it
// sends, tells its own echoes from those of a host with the same id, answers
// and sends pings. It is safe for concurrent use. It does nothing until Run.
type Node struct {
	transport Transport
	settings  NodeSettings
	logger    *slog.Logger
	collision chan struct{} // of capacity 1

	self       atomic.Pointer[identity]
	collisions atomic.Uint64
	sendErrors atomic.Uint64

	mu      sync.Mutex // numbering and sending are one step
	seq     uint8
	sent    [256][sentDepth]uint64
	turn    [256]uint8
	seed    maphash.Seed
	scratch []byte
	heard   map[uint16]bool // ids that spoke during the claim
	pings   pingLog
}

// NewNode makes a node that has no host id yet.
func NewNode(transport Transport, settings NodeSettings) *Node {
	n := &Node{
		transport: transport, settings: settings, logger: settings.Logger,
		collision: make(chan struct{}, 1), seq: uint8(rand.Uint32()), seed: maphash.MakeSeed(),
	}
	if n.logger == nil {
		n.logger = slog.New(slog.DiscardHandler)
	}
	if n.settings.Stamp == nil {
		start := settings.Micros()
		n.settings.Stamp = func() uint32 { return uint32((settings.Micros() - start) / 1000) }
	}
	n.self.Store(&identity{})
	return n
}

// Host is the claimed id, 0 while there is none.
func (n *Node) Host() uint16 { return n.self.Load().host }

// Collisions counts how often another host used our id.
func (n *Node) Collisions() uint64 { return n.collisions.Load() }

// SendErrors counts messages that the transport refused.
func (n *Node) SendErrors() uint64 { return n.sendErrors.Load() }

// Send numbers and sends one message. The error is ErrUnclaimed, one of
// klhdv.CheckOutgoing (load control and brake are refused), or the
// transport's.
func (n *Node) Send(key klhdv.Key, dest uint16, value []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	host := n.self.Load().host
	if host == klhdv.Unclaimed {
		return ErrUnclaimed
	}
	return n.send(klhdv.Header{Key: key, Host: host, Dest: dest}, value)
}

// send is called with mu held.
func (n *Node) send(h klhdv.Header, value []byte) error {
	h.Seq = n.seq
	datagram, err := klhdv.AppendFrame(n.scratch[:0], h, value)
	if err != nil {
		return err
	}
	n.scratch = datagram[:0]
	if err := klhdv.CheckOutgoing(datagram); err != nil {
		return err
	}
	n.turn[h.Seq] = (n.turn[h.Seq] + 1) % sentDepth
	n.sent[h.Seq][n.turn[h.Seq]] = maphash.Bytes(n.seed, datagram)
	n.seq++
	if err := n.transport.Send(datagram); err != nil {
		n.sendErrors.Add(1)
		return fmt.Errorf("send %s: %w", h.Key, err)
	}
	return nil
}

// Screen judges a datagram and the frame parsed from it, and must see all of
// them, since it also notices who uses which id. A host that speaks under our
// id takes it over: the id is retired, Run claims another, and the verdict is
// Other. It takes no lock for other hosts' frames unless a claim is under way.
func (n *Node) Screen(f klhdv.Frame, datagram []byte) Verdict {
	if f.Host == klhdv.AllHosts {
		return Illegal
	}
	self := n.self.Load()
	ours := f.Host == klhdv.Unclaimed || f.Host == self.host || slices.Contains(self.retired, f.Host)
	if !ours && !self.claim {
		return Other
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	// The frame is its header and value: what follows is not ours to compare.
	frame := datagram[:klhdv.HeaderLen+len(f.Value)]
	if ours && slices.Contains(n.sent[f.Seq][:], maphash.Bytes(n.seed, frame)) {
		return Echo
	}
	if f.Host == klhdv.Unclaimed {
		return Seeking
	}
	if n.heard != nil {
		n.heard[f.Host] = true
	}
	if self := n.self.Load(); f.Host == self.host {
		n.collisions.Add(1)
		n.retire(self)
	}
	return Other
}

// retire gives the current id up and wakes Run. Called with mu held.
func (n *Node) retire(self *identity) {
	retired := append(slices.Clone(self.retired), self.host)
	if surplus := len(retired) - maxRetired; surplus > 0 {
		retired = retired[surplus:]
	}
	n.self.Store(&identity{claim: self.claim, retired: retired})
	select {
	case n.collision <- struct{}{}:
	default:
	}
}

// maxRetired bounds the ids whose echoes are still told apart.
const maxRetired = 16

// addressed reports whether dest means this node.
func (n *Node) addressed(dest uint16) bool {
	host := n.self.Load().host
	return dest == klhdv.AllHosts || host != klhdv.Unclaimed && dest == host
}

// AnswerPing answers a ping that is addressed to this node or to all hosts.
// Without an id, and for versions it does not speak, it stays silent.
func (n *Node) AnswerPing(f klhdv.Frame, ping klhdv.Ping) error {
	if ping.Version == 0 || ping.Version >= klhdv.BreakingVersion || !n.addressed(f.Dest) {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	host := n.self.Load().host
	if host == klhdv.Unclaimed {
		return nil
	}
	return n.send(klhdv.Header{Key: klhdv.KeyPong, Host: host, Dest: f.Host}, klhdv.EncodePong(nil, ping, n.settings.Stamp()))
}

// Run claims a host id, and again after every collision, and pings where the
// settings say so. It returns when ctx ends, with its error.
func (n *Node) Run(ctx context.Context) error {
	for {
		host, err := n.claim(ctx)
		if err != nil {
			return err
		}
		n.logger.Debug("claimed a JETDRIVE host id", "host", HostID(host))
		if n.settings.Claimed != nil {
			n.settings.Claimed(host)
		}
		if err := n.serve(ctx); err != nil {
			return err
		}
		n.logger.Warn("another host uses our JETDRIVE id: claiming a new one", "host", HostID(host))
	}
}
