package webtransport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"

	"baro.dev/engineio"
)

// Server is an HTTP/3 server with WebTransport. All methods may be called concurrently.
type Server struct {
	// HTTP3 is the server of everything else. NewServer has set its Handler, TLSConfig and QUICConfig; the latter and what is not
	// about listening may be changed before the server is in use. There, MaxIncomingStreams is how many requests, WebSockets and
	// sessions, which count twice, a client may have on one connection: 100 by default.
	HTTP3 *http3.Server

	handler http.Handler
	wt      wt.Server
	port    atomic.Int64
	linger  time.Duration

	mu       sync.Mutex
	requests int // that are being served
	draining bool
	idle     chan struct{} // closed when there are none any more, while draining
}

const (
	// keepAlive keeps connections from timing out between two heartbeats, whatever Options.PingInterval is.
	keepAlive = 20 * time.Second
	// connWindow is how much a client may send on all streams of a connection that nobody has read yet, in bytes: twice
	// what it may send on one, so that a session whose handlers are slow does not stop the others.
	connWindow = 1 << 20
	// settle is how long what has been answered may take to arrive before all ends.
	settle = 100 * time.Millisecond
)

// NewServer returns a server. handler is for all requests: polling, WebSocket over HTTP/3 (RFC 9220) and WebTransport, which
// an engineio.Server serves, wherever it is mounted. config has the certificates, and is the caller's again.
func NewServer(handler http.Handler, config *tls.Config) *Server {
	s := &Server{handler: handler, linger: leastLinger}
	s.HTTP3 = &http3.Server{
		Handler:    http.HandlerFunc(s.serveHTTP),
		TLSConfig:  http3.ConfigureTLSConfig(config),
		QUICConfig: &quic.Config{KeepAlivePeriod: keepAlive, InitialConnectionReceiveWindow: connWindow},
		ConnContext: func(ctx context.Context, c *quic.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	s.wt.H3 = s.HTTP3
	s.wt.CheckOrigin = func(*http.Request) bool { return true } // engineio has
	return s
}

type connKey struct{}

// ListenAndServe serves what arrives at a UDP address, "" meaning ":443", until the server is closed: then the error is
// http.ErrServerClosed.
func (s *Server) ListenAndServe(addr string) error {
	if addr == "" {
		addr = ":443"
	}
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return s.Serve(c)
}

// Serve is ListenAndServe for a socket, which it does not close.
func (s *Server) Serve(c net.PacketConn) error {
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		s.port.Store(int64(a.Port))
	}
	err := s.wt.Serve(c)
	if errors.Is(err, context.Canceled) {
		return http.ErrServerClosed
	}
	return err
}

// SetAltSvc adds to h, the header of an answer over TCP, that the same host can be reached over HTTP/3 (RFC 7838 3). Browsers
// then use it for polling and WebSocket as well; WebTransport does not need it.
func (s *Server) SetAltSvc(h http.Header) {
	if port := s.port.Load(); port != 0 {
		h.Add("Alt-Svc", fmt.Sprintf(`%s=":%d"; ma=2592000`, http3.NextProtoH3, port))
	}
}

// Shutdown waits until all requests have been answered and all sessions of WebTransport have ended, and closes the server. New
// requests are refused. It is for engineio.Server.Shutdown, which goes first, to end the sessions. When ctx is done, what is left is
// cut, and Shutdown returns context.Cause(ctx).
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	if s.idle == nil {
		s.idle = make(chan struct{})
		if s.requests == 0 {
			close(s.idle)
		}
	}
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
		_ = s.Close()
		return context.Cause(ctx)
	}
	timer := time.NewTimer(settle)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.Close()
}

// Close ends all connections at once, and waits until their requests have been served.
func (s *Server) Close() error { return s.wt.Close() }

func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.requests++
	return true
}

func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests--
	if s.requests == 0 && s.idle != nil {
		close(s.idle)
	}
}

// serveHTTP serves a request.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	defer s.end()
	if r.Method == http.MethodConnect && (r.Proto == "webtransport" || r.Proto == "webtransport-h3") {
		v := &visit{server: s, w: w, r: r}
		defer v.end()
		r = engineio.WithStream(r, v.open)
	}
	s.handler.ServeHTTP(w, r)
}
