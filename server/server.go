package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"dynotap/internal/startstop"
)

// ErrToken refuses to listen where other machines can reach the server unless
// there is a token.
var ErrToken = errors.New("a token is needed to listen on an address that other machines can reach")

const (
	headTime = 5 * time.Second // for a request's head
	bodyTime = 30 * time.Second
	idleTime = 2 * time.Minute
	maxHead  = 64 << 10
	// stopTime bounds Stop where its context has no deadline.
	stopTime = 10 * time.Second
)

// Server is dynotap's HTTP server.
type Server struct {
	opts    Options
	api     huma.API
	handler http.Handler
	started string // tells this start's live versions from another one's
	// stopping is closed when Stop begins, so that streams end.
	mu       sync.Mutex
	stopping chan struct{}
	http     *http.Server
	address  net.Addr
	service  startstop.Service
}

// New makes a server that does not listen yet. It gives ErrToken where
// Options.Listen needs a token and there is none.
func New(opts Options) (*Server, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w", opts.Listen, err)
	}
	require := opts.RequireToken || !isLoopback(host)
	if require && opts.Token == "" {
		return nil, fmt.Errorf("listen on %s: %w: set server.token, or listen on 127.0.0.1", opts.Listen, ErrToken)
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	s := &Server{opts: opts, stopping: make(chan struct{}), started: strconv.FormatInt(time.Now().UnixNano(), 36)}
	mux := http.NewServeMux()
	if !opts.NoPages {
		if err := registerPage(mux, &s.opts, s.readiness); err != nil {
			return nil, err
		}
	}
	mux.Handle("GET /metrics", metricsOf(&s.opts))
	mux.HandleFunc("/", missing(mux))
	s.api = humago.New(mux, apiConfig(opts.Version))
	s.registerHealth()
	s.registerDoctor()
	s.registerSources()
	s.registerQueue()
	s.registerRuns()
	s.registerUploads(mux)
	s.registerSamples()
	s.registerSheets()
	s.registerRecordings()
	s.registerBackups()
	s.registerStorage()
	s.describeSession()
	s.registerLive()
	s.handler = newGuard(mux, &s.opts, require)
	return s, nil
}

// metricsOf serves the metrics, or says that they are switched off.
func metricsOf(opts *Options) http.Handler {
	if opts.NoMetrics {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, http.StatusNotFound, "metrics are switched off: set metrics_enabled to true")
		})
	}
	return promhttp.HandlerFor(opts.Gatherer, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(opts.Logger.Handler(), slog.LevelError)})
}

func apiConfig(version string) huma.Config {
	config := huma.DefaultConfig("dynotap", version)
	config.Info.Description = "What a dyno cell says: live, queued and recorded. Times are RFC 3339 in UTC or microseconds since the Unix epoch; " +
		"errors are problems (RFC 9457) that say what is wrong, where, and how to mend it."
	config.DocsPath, config.SchemasPath = "", "" // a viewer would be loaded from elsewhere
	config.CreateHooks = nil                     // no $schema links in bodies
	config.RejectUnknownQueryParameters = true
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	return config
}

// schemaName tells types of one name in two packages apart.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if room := path.Base(t.PkgPath()); room == "queue" || room == "source" || room == "imports" {
		return strings.ToUpper(room[:1]) + room[1:] + name
	}
	return name
}

// Handler is everything, with the checks of who may pass.
func (s *Server) Handler() http.Handler { return s.handler }

// Start listens and serves until Stop.
func (s *Server) Start(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.opts.Listen)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			err = errors.New("another program listens there already (another dynotap?)")
		}
		return fmt.Errorf("listen on %s: %w: choose another address with --listen", s.opts.Listen, err)
	}
	if !isLoopback(hostOf(listener.Addr().String())) && s.opts.Token == "" { // a name that leads elsewhere
		return errors.Join(fmt.Errorf("listen on %s: %w", listener.Addr(), ErrToken), listener.Close())
	}
	stopping := make(chan struct{})
	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headTime, ReadTimeout: bodyTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHead,
		ErrorLog: slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(func() { close(stopping) })
	if err := s.service.Start(ctx, func(context.Context) error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	}); err != nil {
		return errors.Join(err, listener.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.http, s.stopping, s.address = server, stopping, listener.Addr()
	return nil
}

// URL is where the server listens, once it has been started.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.address == nil {
		return ""
	}
	host, port, err := net.SplitHostPort(s.address.String())
	if err != nil {
		return ""
	}
	if isWildcard(host) {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// Done is closed when the server serves no more.
func (s *Server) Done() <-chan struct{} { return s.service.Done() }

// Stop ends the live streams, takes no new request, and waits for those in
// hand until ctx ends, at most 10 s; what is left then is broken off.
func (s *Server) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	s.mu.Lock()
	server := s.http
	s.mu.Unlock()
	if server == nil {
		return nil
	}
	err := server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests were broken off: %w", err), server.Close())
	}
	return errors.Join(err, s.service.Stop(context.WithoutCancel(ctx)))
}

// stopped is closed when the server begins to stop.
func (s *Server) stopped() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}
