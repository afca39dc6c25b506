package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"baro.dev/channel"
	"baro.dev/channel/diskstore"
	"baro.dev/internal/auth"
	"baro.dev/internal/certificates"
	"baro.dev/internal/clients"
	"baro.dev/internal/console"
	"baro.dev/internal/metrics"
	"baro.dev/internal/realip"
)

// A Server serves channels. It is an [http.Handler], and has listeners of its own: [Server.Listen], then [Server.Serve],
// and [Server.Shutdown] at last.
type Server struct {
	config   Config // as the server began; see now
	live     atomic.Pointer[current]
	log      *slog.Logger
	teller   teller
	tracing  *tracing // nil: there are no traces
	hub      *channel.Hub
	registry *clients.Registry
	backends *backends
	// wrongKeys are counted beside wrong tokens, so that those of users are not the backend's trouble.
	wrongKeys  *auth.Attempts // nil: not at all
	needsNoKey sync.Once      // to say so
	console    *console.Console
	metrics    *metrics.Metrics
	store      *watchedStore // nil: messages are kept in memory alone, or by a cluster
	joined     *joined       // nil: the server is alone
	nodeName   string        // by which operators know it
	// trusted is whose word is taken for where requests come from.
	trusted atomic.Pointer[realip.Trusted]

	streams     *streams
	following   following
	streamed    atomic.Uint64 // streams so far
	sockets     *sockets
	multiplex   *multiplex
	socketIO    *socketIO
	api         *api
	slots       slots
	connects    atomic.Pointer[rate.Limiter] // of clients that begin
	paces       atomic.Pointer[paces]        // at which each may go on
	connections connections
	leaving     leaving
	draining    context.Context // done when nothing is published any more, and whoever is left is to go
	drain       context.CancelFunc
	publishing  sync.RWMutex // held while publishing: what clients publish reaches every stream before draining is done

	http     *http.Server
	listener net.Listener
	http3    *overUDP // nil: there is none
	admin    *admin   // nil: there is none
	serving  atomic.Bool
	adopted  Sockets

	reloading sync.Mutex // held while the configuration is replaced, or what is below the clients closed
	accepting sync.Mutex // held while connections are accepted
	unheard   unheard

	certificates *certificates.Keeper // nil: there is no TLS
}

// New makes a server. It does not listen yet.
func New(config Config) (*Server, error) {
	p, err := config.prepare()
	if err != nil {
		return nil, err
	}
	config = p.Config
	s := &Server{
		config:   config,
		log:      config.Log,
		teller:   teller{log: config.Log},
		backends: p.backends,
		tracing:  newTracing(config.Traces),
	}
	s.live.Store(&current{Config: config, origins: p.origins, verifier: p.verifier})
	s.metrics = metrics.New(metrics.Config{Version: config.Version, State: s.state})
	s.backends.metrics = s.metrics
	s.slots.hosts = &s.connections.hosts
	s.connections.exempt = func(a netip.Addr) bool { return s.trusted.Load().Contains(a) }
	s.connections.cut = func(why *clients.Error, remote string) {
		s.refusedTLS(why.Code, why.Message, slog.String("remote", remote))
	}
	s.connections.descriptors = newDescriptorLimit(mostDescriptors())
	s.setLimits(&p)
	s.streams = newStreams(s)
	s.sockets = newSockets(s)
	s.multiplex = newMultiplex(s)
	s.socketIO = newSocketIO(s)
	s.api = newAPI(s)
	s.draining, s.drain = context.WithCancel(context.Background())
	s.leaving.begin()
	s.console = console.New()
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: config.HeaderTimeout,
		MaxHeaderBytes:    config.MaxHeaderBytes,
		IdleTimeout:       config.IdleTimeout,
		ConnContext:       s.accepted,
		ConnState:         s.connectionChanged,
		ErrorLog:          slog.NewLogLogger(quietHandler{s.log.Handler()}, slog.LevelWarn),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 250,
			SendPingTimeout:      30 * time.Second,
			PingTimeout:          15 * time.Second,
			WriteByteTimeout:     config.WriteTimeout,
		},
	}
	if s.certificates = p.certificates; s.certificates != nil {
		s.certificates.OnRefused(s.refusedTLS)
		s.http.TLSConfig = s.certificates.TLSConfig()
		if !config.NoHTTP3 {
			s.http3 = newOverUDP(s, s.certificates.TLSConfig())
		}
	}
	if config.AdminListen != "" {
		s.admin = newAdmin(s)
	}
	if err := s.open(); err != nil {
		p.close()
		return nil, &OpenError{err}
	}
	return s, nil
}

// An OpenError is why [New] could not make a server of a configuration that is right.
type OpenError struct{ error }

func (e *OpenError) Unwrap() error { return e.error }

// open makes the channels, and the registry of those who use them.
func (s *Server) open() error {
	settings, access := split(s.config.rules())
	o := s.config.Channels
	o.Rules = settings
	var err error
	if s.joined, err = newJoined(s); err != nil {
		return err
	}
	if s.joined == nil && s.config.Data != "" {
		store, err := diskstore.Open(s.config.Data, &diskstore.Options{Logger: s.log, NoSync: s.config.NoSync})
		if err != nil {
			return err
		}
		o.Store = store
	}
	if o.Store != nil {
		s.store = &watchedStore{Store: o.Store, metrics: s.metrics}
		o.Store = s.store
	}
	if s.joined != nil {
		o.Broker, o.Peers = s.joined.broker, s.joined.presence
	}
	s.wrongKeys = s.config.attempts()
	c := s.policy(access)
	c.Attempts, c.Log = s.config.attempts(), s.log
	c.Notify, c.Notifies, o.OnOccupied = s.backends.notify, s.backends.sender.HasEndpoints, s.occupied
	c.Ask = s.backends.ask
	s.hub = channel.NewHub(&o)
	c.Hub = s.hub
	c.MaxSubscriptions, c.MaxPerUser = s.config.MaxChannelsPerConnection, s.config.MaxConnectionsPerUser
	if s.joined != nil {
		c.Elsewhere, c.Shelf, c.ShelfNow = s.joined, s.joined.backbone.Shelf, s.joined.backbone.Broker.Now
	}
	s.registry = clients.New(c)
	s.joined.start()
	return nil
}

func (s *Server) closeVerifier() {
	if v := s.now().verifier; v != nil {
		v.Close()
	}
}

// Hub is where the server's channels are.
func (s *Server) Hub() *channel.Hub { return s.hub }

// Listen takes the address of the configuration, so that [Server.URLs] can be told before [Server.Serve].
func (s *Server) Listen() error {
	if err := s.listenTCP(); err != nil {
		return err
	}
	if err := s.listenUDP(); err != nil {
		return err
	}
	if err := s.listenAdmin(); err != nil {
		_ = s.listener.Close()
		return err
	}
	if s.certificates != nil {
		if err := s.certificates.Start(s.listener.Addr()); err != nil {
			_ = s.listener.Close()
			return err
		}
	}
	return nil
}

func (s *Server) listenTCP() (err error) {
	if s.adopted.TCP != nil {
		return s.adoptTCP()
	}
	listen := net.ListenConfig{Control: userTimeout(s.config.WriteTimeout)}
	s.listener, err = listen.Listen(context.Background(), "tcp", s.config.Listen)
	return err
}

// Serve serves what [Server.Listen] listens on, until Shutdown or Close; it returns nil then, at once.
func (s *Server) Serve() error {
	if s.admin != nil {
		go s.admin.serve()
	}
	if s.http3 != nil {
		go s.http3.serve()
	}
	s.serving.Store(true)
	defer s.serving.Store(false)
	s.accepting.Lock()
	defer s.accepting.Unlock()
	var err error
	listener := s.listener
	if s.config.ProxyProtocol {
		listener = newProxied(s, listener)
	}
	if s.certificates != nil {
		err = s.http.ServeTLS(listener, "", "")
	} else {
		err = s.http.Serve(listener)
	}
	if s.meant(err) {
		return nil
	}
	return err
}

// put has publish publish, unless the server stops.
func (s *Server) put(by metrics.Source, publish func() (*channel.Message, error)) (*channel.Message, error) {
	s.publishing.RLock()
	defer s.publishing.RUnlock()
	if s.draining.Err() != nil {
		return nil, errDraining
	}
	m, err := publish()
	if err == nil {
		s.metrics.Published(by, 1)
	}
	return m, err
}

// putAll publishes many messages, unless the server stops.
func (s *Server) putAll(items []channel.Item) ([]channel.Result, error) {
	s.publishing.RLock()
	defer s.publishing.RUnlock()
	if err := s.takesRequests(); err != nil {
		return nil, err
	}
	results := s.hub.PublishAll(items)
	published := 0
	for i := range results {
		if results[i].Err == nil && !results[i].Duplicate {
			published++
		}
	}
	s.metrics.Published(metrics.ByAPI, published)
	return results, nil
}

// takesRequests says whether the server does what it is asked for, or stops.
func (s *Server) takesRequests() error {
	if s.draining.Err() != nil {
		return errDraining
	}
	return nil
}
