package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/console"
)

// A Server serves channels. It is an [http.Handler], and has listeners of its own: [Server.Listen], then [Server.Serve],
// and [Server.Shutdown] at last.
type Server struct {
	config  Config
	log     *slog.Logger
	hub     *channel.Hub
	origins *origins
	console *console.Console

	sockets     *sockets
	socketIO    *socketIO
	clients     slots
	connections connections
	draining    context.Context // done when the server is to stop
	drain       context.CancelFunc
	publishing  sync.RWMutex // held while publishing: what clients publish reaches every stream before draining is done

	http     *http.Server
	listener net.Listener
}

// New makes a server. It does not listen yet.
func New(config Config) (*Server, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	origins, err := newOrigins(config.AllowOrigins, config.Dev)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config:      config,
		log:         config.Log,
		hub:         channel.NewHub(&config.Channels),
		origins:     origins,
		clients:     slots{max: config.MaxConnections},
		connections: connections{max: int64(config.MaxConnections)},
	}
	s.sockets = newSockets(s)
	s.socketIO = newSocketIO(s)
	s.draining, s.drain = context.WithCancel(context.Background())
	if !config.NoConsole {
		s.console = console.New()
	}
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: config.HeaderTimeout,
		MaxHeaderBytes:    config.MaxHeaderBytes,
		IdleTimeout:       config.IdleTimeout,
		ConnContext:       s.connections.accepted,
		ConnState:         s.connections.changed,
		ErrorLog:          slog.NewLogLogger(quietHandler{s.log.Handler()}, slog.LevelWarn),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 250,
			SendPingTimeout:      30 * time.Second,
			PingTimeout:          15 * time.Second,
			WriteByteTimeout:     config.WriteTimeout,
		},
	}
	if config.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(config.TLSCert, config.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("TLS certificate: %w", err)
		}
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	return s, nil
}

// Hub is where the server's channels are.
func (s *Server) Hub() *channel.Hub { return s.hub }

// Listen takes the address of the configuration, so that [Server.URLs] can be told before [Server.Serve].
func (s *Server) Listen() error {
	l, err := net.Listen("tcp", s.config.Listen)
	if err != nil {
		return err
	}
	s.listener = l
	return nil
}

// Serve serves what [Server.Listen] listens on, until Shutdown or Close; it returns nil then, at once.
func (s *Server) Serve() error {
	var err error
	if s.config.TLSCert != "" {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops the server gently: it accepts no more connections and publishes nothing more, answers the polls that wait, ends streams and
// WebSockets, telling the clients when to come back, and waits until all is said. When ctx ends before, what is left is
// cut, and the error is that of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	var gone sync.WaitGroup
	gone.Go(func() { s.sockets.shutdown(ctx) })
	gone.Go(func() { s.socketIO.shutdown(ctx) })
	err := s.http.Shutdown(ctx)
	gone.Wait()
	if err == nil {
		err = s.clients.wait(ctx)
	}
	if err != nil {
		s.Close()
	}
	return err
}

// Close stops the server at once.
func (s *Server) Close() {
	s.stop()
	s.sockets.closeNow()
	s.socketIO.closeNow()
	_ = s.http.Close()
}

// stop refuses new clients and what is published from now on, and then has streams and polls end.
func (s *Server) stop() {
	s.clients.drain()
	s.publishing.Lock()
	defer s.publishing.Unlock()
	s.drain()
}

// put publishes what a client sent, unless the server stops.
func (s *Server) put(name string, m channel.Message) (*channel.Message, error) {
	s.publishing.RLock()
	defer s.publishing.RUnlock()
	if s.draining.Err() != nil {
		return nil, errDraining
	}
	return s.hub.Publish(name, m)
}

// returnAfter is when one client of a server that stops is to come back: not all at once.
func (s *Server) returnAfter() time.Duration {
	return time.Second + rand.N(s.config.ReconnectWindow)
}
