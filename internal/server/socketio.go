package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"baro.dev/engineio"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/socketio"
	"baro.dev/socketio/bundle"
)

const socketIOPath = "/socket.io/"

// socketIO serves channels over Socket.IO: all channels of one client over one connection, over whatever transport it can
// use. docs/socketio.md has the events.
type socketIO struct {
	server *Server
	io     *socketio.Server

	sessions *sessions
}

func newSocketIO(s *Server) *socketIO {
	k := &socketIO{server: s}
	o := &socketio.Options{
		Path:        socketIOPath,
		ClientFiles: bundle.Files(),
		Engine: engineio.Options{
			PingInterval:      s.config.Heartbeat,
			PingTimeout:       s.config.WriteTimeout,
			MaxHTTPBufferSize: max(1_000_000, envelopeOverhead*int64(s.config.Channels.MaxMessageBytes)+1<<10),
			MaxBuffered:       s.config.QueueBytes,
			Transports:        transports(&s.config),
			AllowEIO3:         true, // any official client is welcome
			Logger:            s.log,
		},
	}
	o.Engine.AllowRequest = func(r *http.Request) error { return k.sessions.allow(r) }
	o.Engine.CORS = &engineio.CORS{AllowOrigin: func(from string) bool { return s.now().origins.allow(from) }}
	if s.joins() {
		o.Engine.GenerateID = func(r *http.Request) string { return s.joined.carrier.GenerateID(r) }
		o.Engine.Elsewhere = func(sid string) http.Handler { return s.joined.carrier.Elsewhere(sid) }
	}
	if s.config.knowsCertificates() {
		o.Context = s.withCertificate
	}
	k.io = socketio.NewServer(o)
	k.io.Engine().CORSOption = "--allow-origin"
	k.io.Engine().Meter = socketMeter{s.metrics}
	k.sessions = newSessions(s, k.io.Engine())
	k.io.OnConnectionError(s.refusedSocketIO)
	k.io.Use(k.admit)
	k.io.OnConnection(k.connected)
	k.handle("subscribe", (*guest).onSubscribe)
	k.handle("unsubscribe", (*guest).onUnsubscribe)
	k.handle("publish", (*guest).onPublish)
	k.handle("presence", (*guest).onPresence)
	k.handle("history", (*guest).onHistory)
	k.handle("rpc", (*guest).onRPC)
	k.handle("refresh", (*guest).onRefresh)
	return k
}

// handle has an event of all sockets handled: once for all of them, for an idle one is to cost little.
func (k *socketIO) handle(name string, do func(*guest, *socketio.Event)) {
	k.io.On(name, func(e *socketio.Event) { do(e.Socket().Data().(*guest), e) })
}

// admit is middleware: it lets a socket in, or says why not.
func (k *socketIO) admit(c *socketio.Socket) error {
	if k.server.isLeaving() {
		c.Conn().Close() // an official client comes back by itself then, but not when it is refused
		return k.refuse(c, clients.Hello{}, errDraining)
	}
	h, err := socketHello(c)
	if err != nil {
		return k.refuse(c, h, err)
	}
	ctx, cancel := context.WithTimeout(c.Context(), k.server.config.HeaderTimeout)
	defer cancel()
	identity, err := k.server.registry.Identify(ctx, h)
	if err == nil {
		err = k.server.registry.RoomFor(identity)
	}
	if err != nil {
		return k.refuse(c, h, err)
	}
	h.Header, h.Token, h.Data = nil, "", nil // who it is, is known
	c.SetData(&guest{commands: commands{server: k.server}, socket: c, identity: identity, hello: h})
	return nil
}

// refuse tells why a client is not let in.
func (k *socketIO) refuse(c *socketio.Socket, h clients.Hello, err error) error {
	h.Transport = "socket.io"
	if a := c.Conn().RemoteAddr(); a != nil {
		h.Remote = a.String()
	}
	k.server.refusedClient(&h, err)
	return k.server.socketError(err)
}

// socketHello is what a client says of itself: in the auth of its handshake, or like any request.
func socketHello(c *socketio.Socket) (clients.Hello, error) {
	var said struct {
		Token string          `json:"token"`
		Data  json.RawMessage `json:"data"`
	}
	if err := c.Auth().Decode(&said); err != nil {
		return clients.Hello{}, badRequest("invalid_auth", "auth is an object with token and data: "+err.Error())
	}
	handshake := c.Handshake()
	u, err := url.ParseRequestURI(handshake.URL)
	if err != nil {
		return clients.Hello{}, badRequest("invalid_query", "the URL is malformed")
	}
	h := clients.Hello{Token: said.Token, Transport: "socket.io", Header: handshake.Headers, Data: said.Data}
	if a := c.Conn().RemoteAddr(); a != nil {
		h.Remote = a.String()
	}
	if known, ok := c.Context().Value(certificateKey{}).(known); ok {
		if known.err != nil {
			return clients.Hello{}, known.err
		}
		h.User, h.Until = known.user, known.until
	}
	if h.Token == "" {
		h.Token, err = auth.TokenOf(&http.Request{Header: handshake.Headers, URL: u})
		if errors.Is(err, auth.ErrMissing) {
			err = nil
		}
	}
	return h, err
}

func (k *socketIO) connected(c *socketio.Socket) {
	g := c.Data().(*guest)
	var err error
	if g.client, err = k.server.enter(g.identity, g.hello, g); err != nil { // of two who come at once
		p := toProblem(err)
		g.Close(clients.Reason{Number: endRetry.Number, Code: p.Code, Text: p.Message})
		return
	}
	g.identity, g.hello = nil, clients.Hello{} // the client knows
	c.OnDisconnect(func(r socketio.Reason) { g.client.Gone(string(r)) })
	g.client.Begin(c.Context())
}

// serve answers a request of a client. A poll waits until there is something, which a heartbeat is at last. A client that is refused
// before it has a session comes back by itself, which one that is told so in the session does not.
func (k *socketIO) serve(w http.ResponseWriter, r *http.Request) {
	if k.server.isLeaving() && r.URL.Path == socketIOPath && !r.URL.Query().Has("sid") {
		// Whoever is there already may still poll.
		w.Header().Set("Connection", "close")
		k.server.fail(w, r, errDraining)
		return
	}
	if err := k.sessions.admit(r); err != nil {
		foreign, ok := k.server.now().origins.check(r)
		if ok {
			allow(w.Header(), foreign)
		}
		refuseUpgrade(w, asksForWebSocket(r))
		k.server.fail(w, r, err)
		return
	}
	k.poll(w, r)
}

// serveCarried answers a request that another server has carried here, for one of the sessions that are here.
func (k *socketIO) serveCarried(w http.ResponseWriter, r *http.Request) {
	defer k.server.recoverFrom(r)
	if !strings.HasPrefix(r.URL.Path, socketIOPath) || r.URL.Query().Get("sid") == "" {
		k.server.notFound(w, r)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	k.poll(w, r)
}

// poll answers a request of a session, within the time that it may take.
func (k *socketIO) poll(w http.ResponseWriter, r *http.Request) {
	limit := k.server.config.Heartbeat + 2*k.server.config.WriteTimeout
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit))
	k.io.ServeHTTP(w, r)
}

// socketError is err as a client gets it.
func (s *Server) socketError(err error) error {
	r := s.newCommandError(err)
	return &socketio.Error{Message: r.Message, Data: struct {
		Code   string `json:"code"`
		Number int    `json:"number"`
		*place
	}{r.Code, r.Number, r.place}}
}

// shutdown tells the clients to come back later, and waits until they are gone.
func (k *socketIO) shutdown(ctx context.Context) {
	if err := k.io.Close(ctx); err != nil {
		k.server.log.Debug("Socket.IO clients cut", slog.Any("error", err))
	}
}

// closeNow cuts the clients off.
func (k *socketIO) closeNow() { _ = k.io.Engine().Close() }
