package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/quic-go/quic-go"

	"baro.dev/engineio"
	"baro.dev/engineio/webtransport"
	"baro.dev/internal/neterr"
)

// ErrHTTP3 is what the errors of [Server.Listen] are that are about HTTP/3.
var ErrHTTP3 = errors.New("HTTP/3 cannot be served")

// overUDP is what the server does over HTTP/3: the same as over TCP, and Socket.IO over WebTransport.
type overUDP struct {
	server *Server
	quic   *webtransport.Server
	socket net.PacketConn // of Listen
}

const (
	// maxQUICStreams is how many requests a client may have on one connection: fewer than over HTTP/2, where no request takes
	// anything before its head is complete. A session of WebTransport counts twice.
	maxQUICStreams = 100
	// maxQUICUniStreams is how many streams in one direction it may have, of which HTTP/3 needs three.
	maxQUICUniStreams = 16
	// What a client may send that nobody has read, in bytes. Over TCP the system bounds that.
	quicStreamWindow = 512 << 10
	quicConnWindow   = 1 << 20
)

func newOverUDP(s *Server, config *tls.Config) *overUDP {
	u := &overUDP{server: s}
	u.quic = webtransport.NewServer(s, config)
	u.quic.Admit = func(ctx context.Context, client *quic.ClientInfo) error {
		s.metrics.Accepted("quic")
		return s.connections.admit(ctx, client)
	}
	u.quic.Verify = s.connections.hosts.bounded
	h := u.quic.HTTP3
	h.ConnContext = func(ctx context.Context, _ *quic.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, connection{id: s.connections.last.Add(1)})
	}
	h.MaxHeaderBytes = s.config.MaxHeaderBytes
	h.IdleTimeout = s.config.IdleTimeout
	h.Logger = slog.New(verboseHandler{s.log.Handler()})
	q := h.QUICConfig
	q.HandshakeIdleTimeout = s.config.HeaderTimeout / 2 // twice that is all that a handshake may take
	q.MaxIncomingStreams = maxQUICStreams
	q.MaxIncomingUniStreams = maxQUICUniStreams
	q.MaxStreamReceiveWindow = quicStreamWindow
	q.InitialConnectionReceiveWindow = quicConnWindow
	q.MaxConnectionReceiveWindow = quicConnWindow
	return u
}

// transports are those of Socket.IO. Nil: the usual ones.
func transports(c *Config) []string {
	if !c.speaksTLS() || c.NoHTTP3 {
		return nil
	}
	return []string{engineio.Polling, engineio.WebSocket, engineio.WebTransport}
}

func (c *Config) validateHTTP3() error {
	switch {
	case c.HTTP3 && c.NoHTTP3:
		return errors.New("HTTP/3 cannot be insisted on and left out")
	case c.HTTP3 && !c.speaksTLS():
		return errors.New("HTTP/3 needs a TLS certificate")
	}
	return nil
}

// listenUDP takes the port of the TCP listener on UDP. If it cannot be had, and nobody insists, there is no HTTP/3.
func (s *Server) listenUDP() error {
	if s.adoptUDP() || s.http3 == nil {
		return nil
	}
	var err error
	for range 10 {
		if s.http3.socket, err = net.ListenPacket("udp", s.listener.Addr().String()); err == nil {
			return nil
		}
		if _, port, _ := net.SplitHostPort(s.config.Listen); s.adopted.TCP != nil || port != "0" || !errors.Is(err, neterr.ErrInUse) {
			break
		}
		// Any port will do that both can have.
		_ = s.listener.Close()
		if err := s.listenTCP(); err != nil {
			return err
		}
	}
	if s.config.HTTP3 {
		_ = s.listener.Close()
		return fmt.Errorf("%w: %w", ErrHTTP3, err)
	}
	s.log.Warn("no HTTP/3 and no WebTransport: UDP cannot be listened on", "address", s.listener.Addr().String(), "error", err)
	s.http3 = nil
	s.socketIO.io.Engine().Options.Transports = nil
	return nil
}

func (u *overUDP) serve() {
	if err := u.quic.Serve(u.socket); !errors.Is(err, http.ErrServerClosed) {
		u.server.log.Error("HTTP/3 is not served any more", "error", err)
	}
}

// shutdown closes each connection when its requests have been answered.
func (u *overUDP) shutdown(ctx context.Context) error {
	if u == nil {
		return nil
	}
	defer u.closeNow()
	return u.quic.Shutdown(ctx)
}

// closeNow cuts the connections. It may come more than once.
func (u *overUDP) closeNow() {
	if u == nil {
		return
	}
	_ = u.quic.Close()
	if u.socket != nil {
		_ = u.socket.Close()
	}
}

// announceHTTP3 tells who came over TCP that there is HTTP/3.
func (s *Server) announceHTTP3(h http.Header, r *http.Request) {
	if s.http3 != nil && r.ProtoMajor < 3 {
		s.http3.quic.SetAltSvc(h)
	}
}

// mayHaveBody says whether a body may come with a request. Over HTTP/3 most that have none do not say so.
func mayHaveBody(r *http.Request) bool {
	return r.ContentLength > 0 || r.ContentLength < 0 && (r.ProtoMajor < 3 || !readOnly(r))
}

// verboseHandler takes what quic-go logs, all of which any client can cause.
type verboseHandler struct{ slog.Handler }

func (h verboseHandler) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h verboseHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.Handler.Handle(ctx, r)
}
