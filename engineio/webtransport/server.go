package webtransport

import (
	"context"
	"crypto/tls"
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
	// HTTP3 is the server of everything else. NewServer has set its Handler, TLSConfig and QUICConfig; the latter and what is
	// not about listening may be changed before the server is in use. There, MaxIncomingStreams is how many requests,
	// WebSockets and sessions, which count twice, a client may have on one connection: 100 by default. With an IdleTimeout a
	// connection is closed that has had no request for so long; one whose head has not come yet is none.
	HTTP3 *http3.Server
	// Admit is called for each new connection, before its handshake: an error refuses it. It must not block. ctx ends with the
	// connection, or with a handshake that fails. nil: all are welcome.
	Admit func(ctx context.Context, client *quic.ClientInfo) error

	// Verify says whether a client has to show first that it is where its packets say that they come from (RFC 9000 8.1.2), which costs a
	// round trip: for those whose Admit counts by address. nil: only while many handshakes are under way.
	Verify func() bool

	handler http.Handler
	wt      wt.Server
	altSvc  atomic.Pointer[string]
	linger  time.Duration

	shaking atomic.Int64 // connections whose handshake is under way
	serving sync.WaitGroup

	mu         sync.Mutex
	transports map[*quic.Transport]struct{}
	conns      map[*conn]struct{}
	draining   bool
	closed     bool
	empty      chan struct{} // closed when there are no connections any more, while draining
}

const (
	// keepAlive keeps connections from timing out between two heartbeats, whatever Options.PingInterval is.
	keepAlive = 20 * time.Second
	// connWindow is how much a client may send on all streams of a connection that nobody has read yet, in bytes: twice
	// what it may send on one, so that a session whose handlers are slow does not stop the others.
	connWindow = 1 << 20
	// manyShaking is from how many handshakes on a client has to show first that it is where its packets say that they come
	// from (RFC 9000 8.1.2), which costs a round trip. Until then whoever forges addresses could make them many.
	manyShaking = 256
)

// NewServer returns a server. handler is for all requests: polling, WebSocket over HTTP/3 (RFC 9220) and WebTransport, which
// an engineio.Server serves, wherever it is mounted. config has the certificates, and is the caller's again.
func NewServer(handler http.Handler, config *tls.Config) *Server {
	s := &Server{handler: handler, linger: leastLinger}
	s.HTTP3 = &http3.Server{
		Handler:    http.HandlerFunc(s.serveHTTP),
		TLSConfig:  http3.ConfigureTLSConfig(config),
		QUICConfig: &quic.Config{KeepAlivePeriod: keepAlive, InitialConnectionReceiveWindow: connWindow},
	}
	s.wt.H3 = s.HTTP3
	s.wt.CheckOrigin = func(*http.Request) bool { return true } // engineio has
	return s
}

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
func (s *Server) Serve(socket net.PacketConn) error {
	transport := &quic.Transport{
		Conn:                socket,
		ConnContext:         s.admit,
		VerifySourceAddress: func(net.Addr) bool { return s.shaking.Load() >= manyShaking || s.Verify != nil && s.Verify() },
	}
	if !s.begin(transport) {
		return http.ErrServerClosed
	}
	defer s.end(transport)
	config := &quic.Config{}
	if s.HTTP3.QUICConfig != nil {
		config = s.HTTP3.QUICConfig.Clone()
	}
	config.EnableDatagrams, config.EnableStreamResetPartialDelivery = true, true // WebTransport has to have them
	l, err := transport.ListenEarly(s.HTTP3.TLSConfig, config)
	if err != nil {
		return s.orClosed(err)
	}
	if a, ok := socket.LocalAddr().(*net.UDPAddr); ok {
		value := fmt.Sprintf(`%s=":%d"; ma=2592000`, http3.NextProtoH3, a.Port)
		s.altSvc.Store(&value)
	}
	for {
		c, err := l.Accept(context.Background())
		if err != nil {
			return s.orClosed(err)
		}
		s.serve(c)
	}
}

// orClosed is err, unless it is because the server was closed.
func (s *Server) orClosed(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return http.ErrServerClosed
	}
	return err
}

// SetAltSvc adds to h, the header of an answer over TCP, that the same host can be reached over HTTP/3 (RFC 7838 3). Browsers
// then use it for polling and WebSocket as well; WebTransport does not need it.
func (s *Server) SetAltSvc(h http.Header) {
	if value := s.altSvc.Load(); value != nil {
		h.Add("Alt-Svc", *value)
	}
}

// serveHTTP serves a request.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(connKey{}).(*conn)
	if !c.begin() {
		reject(w.(writer))
		return
	}
	defer c.end()
	a := &answer{writer: w.(writer)}
	if r.Method == http.MethodConnect && (r.Proto == "webtransport" || r.Proto == "webtransport-h3") {
		v := &visit{server: s, w: a, r: r}
		defer v.end()
		r = engineio.WithStream(r, v.open)
	}
	s.handler.ServeHTTP(a, r)
	if r.Method != http.MethodConnect {
		a.end()
	}
}
