package jetdrive

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"dynotap/internal/clock"
	"dynotap/source"
	"dynotap/source/jetdrive/klhdv"
)

// DefaultLinger is how long a Read gathers after its first sample, so that a
// slow stream makes fewer and larger batches.
const DefaultLinger = 10 * time.Millisecond

// DefaultAskAgain is jetdrive.subscribe_timeout_sec of the guide.
const DefaultAskAgain = 500 * time.Millisecond

// Settings are a JETDRIVE source's.
type Settings struct {
	Name string // of the source in batches; "": jetdrive
	Conn ConnSettings
	// ListenOnly transmits nothing whatever: no host id, no ping, no question.
	ListenOnly bool
	// HostID is claimed if it is free; 0: a random one.
	HostID uint16
	// ProviderFilter holds names and host ids, ChannelFilter names and channel
	// ids, of what is wanted, case ignored; empty: everything. Where the name is
	// not known yet, values pass.
	ProviderFilter []string
	ChannelFilter  []string
	// AskAgain is how long a provider may take to answer the first question for
	// its channels; 0: DefaultAskAgain.
	AskAgain time.Duration
	// Linger bounds how long a sample waits for others; 0: not at all.
	Linger time.Duration
}

// Options are what a source works with; all may be left out.
type Options struct {
	Logger  *slog.Logger
	Session *clock.Session
	// Logging is called when a provider begins or ends its log, from Read,
	// before the batches of that unit of work are emitted.
	Logging func(LoggingChange)
}

// Source is a JETDRIVE network. What it knows of hosts, providers and channels
// outlives its connections. It is safe for concurrent use.
type Source struct {
	settings Settings
	session  *clock.Session
	logger   *slog.Logger
	logging  func(LoggingChange)
	receiver *receiver

	mu     sync.Mutex
	reader *Reader // the newest, open or closed
}

// New makes a source that has no connection yet.
func New(settings Settings, opts Options) *Source {
	if settings.Name == "" {
		settings.Name = "jetdrive"
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Session == nil {
		opts.Session = clock.New()
	}
	if opts.Logging == nil {
		opts.Logging = func(LoggingChange) {}
	}
	registry := newRegistry(settings.Name, settings.ProviderFilter, settings.ChannelFilter)
	made := newReceiver(registry, opts.Logger)
	if settings.AskAgain > 0 {
		made.again = settings.AskAgain.Microseconds()
	}
	return &Source{
		settings: settings, session: opts.Session, logger: opts.Logger, logging: opts.Logging, receiver: made,
	}
}

// Open joins the network. Claiming a host id goes on beside the reading.
func (s *Source) Open(ctx context.Context) (source.Reader, error) {
	settings := s.settings.Conn
	settings.Notice = func(text string) { s.logger.Warn(text) }
	conn, err := OpenConn(ctx, settings)
	if err != nil {
		return nil, err
	}
	if w := conn.Warning(); w != "" {
		s.logger.Warn(w, "source", s.settings.Name)
	}
	r := newReader(s, conn)
	if !s.settings.ListenOnly {
		if err := r.transmit(ctx, s.wantedHost()); err != nil {
			return nil, errors.Join(err, conn.Close()) //nolint:contextcheck // closing is not bounded by the opening
		}
	}
	s.receiver.mu.Lock()
	s.receiver.node = r.node
	s.receiver.registry.silence()
	s.receiver.mu.Unlock()
	s.mu.Lock()
	s.reader = r
	s.mu.Unlock()
	return r, nil
}

// wantedHost is the id of the connection before, or the configured one.
func (s *Source) wantedHost() uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != nil && s.reader.node != nil && s.reader.node.Host() != klhdv.Unclaimed {
		return s.reader.node.Host()
	}
	return s.settings.HostID
}

// Providers gives every provider heard since the start, in the order of
// appearance.
func (s *Source) Providers() []ProviderStatus {
	now := s.session.Micros()
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	return s.receiver.providers(now)
}

// Status gives everything about the source at this moment. The socket's part
// is that of the newest connection.
func (s *Source) Status() Status {
	s.mu.Lock()
	r := s.reader
	s.mu.Unlock()
	out := Status{Transmitting: !s.settings.ListenOnly}
	if r != nil {
		out.Socket, out.Buffer, out.Warning = r.conn.Counters(), r.conn.GrantedBuffer(), r.conn.Warning()
		if r.node != nil {
			out.HostID, out.Collisions = HostID(r.node.Host()), r.node.Collisions()
		}
	}
	now := s.session.Micros()
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	out.Total, out.Incompatible = s.receiver.total, s.receiver.incompatible()
	out.Providers = s.receiver.providers(now)
	return out
}

// ErrListenOnly is returned where something would have to be sent and the
// settings forbid it.
var ErrListenOnly = errors.New("listening only: transmission is switched off")

// RequestLogging asks a provider to begin, end or cancel its log, or about it.
// Nothing else sends this message: it is for when the user asks. The error is
// ErrListenOnly, ErrUnclaimed or the transport's.
func (s *Source) RequestLogging(host HostID, command klhdv.LoggingCommand) error {
	s.mu.Lock()
	r := s.reader
	s.mu.Unlock()
	switch {
	case s.settings.ListenOnly:
		return ErrListenOnly
	case r == nil:
		return ErrUnclaimed
	}
	value := klhdv.EncodeLoggingRequest(nil, klhdv.LoggingRequest{Command: command})
	return r.node.Send(klhdv.KeyRequestLogging, uint16(host), value)
}
