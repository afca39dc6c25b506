package server

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"time"

	"baro.dev/internal/clients"
	"baro.dev/internal/metrics"
	"baro.dev/ws"
)

const multiplexPath = "/ws"

// frameOverhead is how long a frame may be beside the data of a message: for names, ids and tokens.
const frameOverhead = 16 << 10

// Why /ws ends a connection, beside what package clients has.
var (
	endRetry          = clients.Reason{Number: 4000} // connecting went wrong; code and text are those of the error
	endConnectTimeout = clients.Reason{Number: 4003, Code: "connect_timeout", Text: "connect did not come in time"}
	endTooSlow        = clients.Reason{Number: 4004, Code: "too_slow", Text: "the client takes too long for what it missed"}
	endRefused        = clients.Reason{Number: 4500} // the client was not let in; likewise
)

// multiplex serves /ws: all channels of a client over one WebSocket. docs/ws-protocol.md has the protocol.
type multiplex struct {
	server  *Server
	sockets ws.Server
	version string
}

func newMultiplex(s *Server) *multiplex {
	x := &multiplex{server: s, version: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		x.version = info.Main.Version
	}
	x.sockets = ws.Server{
		Options: ws.AcceptOptions{
			CheckOrigin: func(*http.Request) error { return nil }, // has been seen to
			Keepalive:   s.keepalive(metrics.Multiplex),
			Limits: ws.Limits{
				MaxMessageSize:   envelopeOverhead*int64(s.config.Channels.MaxMessageBytes) + frameOverhead,
				HandshakeTimeout: s.config.HeaderTimeout,
				CloseTimeout:     s.config.HeaderTimeout,
			},
			Queue:       ws.Queue{MaxBytes: s.config.QueueBytes, Full: ws.Close},
			Compression: ws.Compression{Enabled: true},
			Logger:      s.log,
		},
		OnOpen:    x.open,
		OnMessage: x.received,
		OnClose:   func(c *ws.Socket, err error) { c.Data.(*visitor).closed(err) },
		OnRefuse:  s.refusedHandshake,
	}
	return x
}

// admitted is a request on its way to open.
type admitted struct {
	hello    clients.Hello
	identity *clients.Identity // nil: connect says who it is
	host     *host             // where it is counted
	opened   bool
}

type admittedKey struct{}

// serve answers a request for /ws.
func (x *multiplex) serve(w http.ResponseWriter, r *http.Request, upgrade bool) {
	s := x.server
	a, err := x.admit(w, r, upgrade)
	if err == nil {
		a.host, err = s.slots.take(s.clientAddr(r))
	}
	if err != nil {
		refuseUpgrade(w, upgrade)
		s.fail(w, r, err)
		return
	}
	defer func() {
		if !a.opened { // the transport has refused it, or panicked
			s.slots.give(a.host)
		}
	}()
	// The connection outlives what bounds a request.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{})
	_ = control.SetReadDeadline(time.Time{})
	x.sockets.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), admittedKey{}, a)))
}

// admit says who sends a request, as far as that says itself. Anonymous clients are let in, and may still connect with a token.
func (x *multiplex) admit(w http.ResponseWriter, r *http.Request, upgrade bool) (*admitted, error) {
	if _, ok := x.server.now().origins.check(r); !ok {
		return nil, errOrigin
	}
	if !upgrade {
		w.Header().Set("Upgrade", "websocket")
		return nil, refusal(http.StatusUpgradeRequired, "upgrade_required", "this is for WebSockets")
	}
	if !x.server.lets() {
		return nil, clients.ErrConnects
	}
	h, err := x.server.hello(r, "ws")
	if err != nil {
		return nil, err
	}
	a := &admitted{hello: h}
	if h.Token != "" || h.User != "" || x.server.now().Anonymous {
		a.identity, err = x.server.registry.Identify(r.Context(), h)
		if h.Token == "" && errors.Is(err, clients.ErrCredentials) {
			err = nil // it may have a token yet
		}
		if a.identity != nil && err == nil {
			err = x.server.registry.RoomFor(a.identity)
		}
	}
	return a, err
}

func (x *multiplex) received(c *ws.Socket, m ws.Message) {
	x.server.metrics.Received(metrics.Multiplex, 1, len(m.Data))
	c.Data.(*visitor).received(m)
}

func (x *multiplex) open(c *ws.Socket, r *http.Request) {
	x.server.metrics.Opened(metrics.Multiplex)
	a := r.Context().Value(admittedKey{}).(*admitted)
	a.opened = true
	v := &visitor{commands: commands{server: x.server}, socket: c, host: a.host, coming: &coming{hello: a.hello}}
	c.Data = v
	if a.identity != nil {
		if !v.enter(a.identity, reply{v, 0}) {
			return
		}
		if a.hello.Token != "" {
			v.coming = nil
		}
		return
	}
	v.coming.timer = time.AfterFunc(x.server.config.HeaderTimeout, func() { v.Close(endConnectTimeout) })
}

// shutdown tells the clients to come back later, and waits until they are gone.
func (x *multiplex) shutdown(ctx context.Context) { _ = x.sockets.Shutdown(ctx) }

// closeNow cuts the clients off.
func (x *multiplex) closeNow() { _ = x.sockets.Close() }
