package engineio

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"baro.dev/engineio/internal/httpcompress"
	"baro.dev/engineio/internal/payload"
	"baro.dev/internal/crew"
	"baro.dev/ws"
)

// Server serves Engine.IO. It is an http.Handler.
//
// The handlers of one session run one after another: OnOpen first, OnMessage for each message in order, OnClose last.
// Those of different sessions run concurrently. A handler that takes long holds up its own session only; one that
// panics has it closed.
//
// The fields must not be changed once the server is in use, which panics if Options.Validate finds fault with them. A Server must
// not be copied.
type Server struct {
	Options Options
	// OnOpen is called when a session has begun. r is the request that began it; its body must not be used.
	OnOpen func(s *Session, r *http.Request)
	// Arrive is called for each message when it comes, in order, whatever handlers still have to do: it must not block. It reports
	// whether it has dealt with the message; OnMessage is called for the others. m.Data is lent until Arrive returns.
	Arrive func(s *Session, m Message) bool
	// OnMessage is called for each message. m.Data is lent until OnMessage returns.
	OnMessage func(s *Session, m Message)
	// Ended is called as soon as a session has ended and OnOpen has returned, whatever handlers still have to do: it must not
	// block. It is for whom a handler waits that might wait for the client.
	Ended func(s *Session, err *CloseError)
	// OnClose is called when the session has ended.
	OnClose func(s *Session, err *CloseError)
	// OnConnectionError is called for each request that is refused, before it is answered (connection_error). Its calls may be
	// concurrent. It is not told of requests that come while the server closes, and are answered 503.
	OnConnectionError func(r *http.Request, err *ConnectionError)
	// Meter is told of what passes. nil: nobody is.
	Meter Meter
	// CORSOption is how the log calls Options.CORS, for a package above that has it elsewhere. "": Options.CORS.
	CORSOption string
	// Handler answers the requests for other paths than Options.Path. nil: they are not found.
	Handler http.Handler

	once    sync.Once
	invalid error // of Options
	set     *settings
	warned  atomic.Int64 // when the log was warned of a cross-origin request last
	ws      *ws.Server
	heart   *heart
	crew    crew.Crew

	streams streams // of WebTransport

	compressor httpcompress.Compressor

	mu        sync.Mutex
	sessions  map[string]*Session
	farewells map[string]*Session // of sessions that have ended
	count     int                 // of sessions whose OnClose has not returned
	draining  bool
	empty     chan struct{} // closed when count is 0, while draining
}

// ErrServerClosed is why a session is refused after Shutdown or Close.
var ErrServerClosed = errors.New("engineio: server is closed")

// init gets the server ready.
func (e *Server) init() {
	e.once.Do(func() {
		if e.invalid = e.Options.Validate(); e.invalid != nil {
			return
		}
		e.set = e.Options.settings()
		e.heart = newHeart(e.set.PingInterval)
		e.sessions = map[string]*Session{}
		e.ws = e.newWebSocketServer()
		e.compressor.Threshold = e.set.HTTPCompression
	})
	if e.invalid != nil {
		panic(e.invalid)
	}
}

// query is what a request says of itself.
type query struct {
	url.Values
	sid, transport, eio string
}

// ServeHTTP serves a request of a client: the handshake, a poll, a POST, or the opening of a WebSocket.
func (e *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.init()
	switch {
	case e.isOurs(r.URL.Path):
	case e.Handler != nil:
		e.Handler.ServeHTTP(w, r)
		return
	default:
		http.NotFound(w, r)
		return
	}
	var header http.Header
	if e.set.Elsewhere != nil {
		header = w.Header().Clone()
	}
	if e.set.CORS.Handle(w, r) {
		return // it was a preflight
	}
	if open := openStream(r); open != nil {
		e.serveStream(w, r, open)
		return
	}
	q := queryOf(r)
	upgrade := isUpgrade(r)
	s, err := e.check(r, q, upgrade)
	switch {
	case err != nil:
		if h := e.elsewhere(q, err); h != nil {
			clear(w.Header()) // CORS is the other's
			maps.Copy(w.Header(), header)
			h.ServeHTTP(w, r)
			return
		}
		e.refuse(w, r, err)
	case upgrade:
		e.serveWebSocket(w, r, q, s)
	case s == nil:
		e.open(w, r, q)
	case r.Method == http.MethodGet:
		s.serveGet(w, r)
	case r.Method == http.MethodPost:
		s.servePost(w, r)
	default:
		w.Header().Set("Allow", "GET, POST, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// elsewhere returns what answers for a session of another server, nil if nothing does.
func (e *Server) elsewhere(q query, err *ConnectionError) http.Handler {
	if e.set.Elsewhere == nil || err.Code != UnknownSession {
		return nil
	}
	return e.set.Elsewhere(q.sid)
}

// isOurs says whether a path is that of the server.
func (e *Server) isOurs(path string) bool {
	return e.set.Path == "" || path == e.set.Path
}

func queryOf(r *http.Request) query {
	values := r.URL.Query()
	return query{values, values.Get("sid"), values.Get("transport"), values.Get("EIO")}
}

// check decides whether a request is served, in the order of the official server, and returns the session that it is for, nil for a
// handshake.
func (e *Server) check(r *http.Request, q query, upgrade bool) (*Session, *ConnectionError) {
	set := e.set
	switch q.transport {
	case Polling:
		if !set.polling {
			return nil, refuseFor(UnknownTransport, "polling is not among the transports")
		}
	case WebSocket:
		if !set.websocket {
			return nil, refuseFor(UnknownTransport, "websocket is not among the transports")
		}
	default:
		return nil, refuseFor(UnknownTransport, "transport is neither polling nor websocket")
	}
	if refused := e.checkOrigin(r); refused != nil {
		return nil, refused
	}
	if q.sid != "" {
		s := e.Session(q.sid)
		if s == nil && q.transport == Polling && r.Method == http.MethodGet && !upgrade {
			s = e.farewell(q.sid)
		}
		switch {
		case s == nil || s.overdue():
			return nil, refuse(UnknownSession, nil)
		case !upgrade && s.Transport() != q.transport:
			return nil, refuseFor(BadRequest, "the session's transport is "+s.Transport())
		case q.eio != protocolNames[s.Protocol()]:
			return nil, refuseFor(BadRequest, "the session's protocol is another one")
		}
		return s, nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodConnect {
		return nil, refuseFor(BadHandshakeMethod, r.Method)
	}
	if upgrade != (q.transport == WebSocket) {
		return nil, refuseFor(BadRequest, "a request for a WebSocket has transport=websocket, and no other has")
	}
	if refused := e.allow(r); refused != nil {
		return nil, refused
	}
	if q.eio != "4" && (q.eio != "3" || !set.AllowEIO3) {
		return nil, refuseFor(UnsupportedProtocolVersion, "EIO="+q.eio)
	}
	return nil, nil
}

// checkOrigin decides about the page that a request comes from.
func (e *Server) checkOrigin(r *http.Request) *ConnectionError {
	origin := r.Header.Get("Origin")
	switch {
	case strings.ContainsFunc(origin, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
		return refuseFor(BadRequest, "illegal character in Origin")
	case !e.set.CORS.Allowed(origin, r.Host):
		return refuse(Forbidden, fmt.Errorf("%w from %s: %s does not allow it", ErrCrossOrigin, origin, cmp.Or(e.CORSOption, "Options.CORS")))
	}
	return nil
}

// allow asks Options.AllowRequest about a handshake.
func (e *Server) allow(r *http.Request) *ConnectionError {
	if e.set.AllowRequest == nil {
		return nil
	}
	if refused, ok := errors.AsType[*ConnectionError](ws.Refusal(r)); ok { // Admit has asked
		return refused
	}
	err := e.set.AllowRequest(r)
	if err == nil {
		return nil
	}
	return &ConnectionError{Forbidden, err.Error(), err}
}

var protocolNames = [...]string{3: "3", 4: "4"}

// isUpgrade reports whether r is for a WebSocket, over whatever version of HTTP.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodConnect || strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// newSession returns a session that nobody knows yet.
func (e *Server) newSession(r *http.Request, q query) (*Session, error) {
	s := &Session{server: e, addr: remoteAddr(r), format: payload.FormatOf(int(q.eio[0]-'0'), q.Get("b64") != "" || q.Has("j"))}
	if e.set.GenerateID != nil {
		s.id = e.set.GenerateID(r)
	} else {
		var random [15]byte
		rand.Read(random[:])
		s.id = base64.RawURLEncoding.EncodeToString(random[:])
	}
	s.beat.last.Store(int64(e.heart.now()))
	s.inbox.working = true // until OnOpen has returned
	e.mu.Lock()
	defer e.mu.Unlock()
	_, taken := e.sessions[s.id]
	switch {
	case e.draining:
		return nil, ErrServerClosed
	case taken || s.id == "":
		return nil, errors.New("engineio: GenerateID returned an id that is in use, or none")
	}
	e.sessions[s.id] = nil
	e.count++
	return s, nil
}

// appear has others know the session, which has a transport now.
func (s *Session) appear() {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.sessions[s.id] = s
}

// started is called when others know the session.
func (s *Session) started(r *http.Request) {
	e := s.server
	if e.Meter != nil {
		e.Meter.Opened(s.Transport())
	}
	defer s.begin() // deferred, since the handler may end the goroutine
	if e.set.InitialPacket != "" {
		_ = s.Send(Message{Data: []byte(e.set.InitialPacket)})
	}
	if e.OnOpen != nil {
		s.guard(func() { e.OnOpen(s, r) })
	}
	e.mu.Lock()
	draining := e.draining
	e.mu.Unlock()
	if draining {
		s.depart()
	}
}

// begin is called when OnOpen has returned: the heart begins to beat, and what there is for other handlers is handled.
func (s *Session) begin() {
	s.mu.Lock()
	if s.state == open {
		s.beats(s.server.heart.now())
	}
	s.mu.Unlock()
	waits, why := s.inbox.begin()
	if waits {
		defer s.server.crew.Handle((*worker)(s)) // deferred, since the handler may end the goroutine
	}
	if why != nil {
		s.tellEnded(why)
	}
}

// guard runs a handler.
func (s *Session) guard(handler func()) {
	returned := false
	defer func() { s.after(returned, recover()) }()
	handler()
	returned = true
}

// handshake returns the data of the packet that opens a session.
func (s *Session) handshake(upgrades []string) []byte {
	set := s.server.set
	hello := struct {
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int64    `json:"maxPayload"`
	}{s.id, upgrades, set.PingInterval.Milliseconds(), set.PingTimeout.Milliseconds(), set.MaxHTTPBufferSize}
	data, _ := json.Marshal(hello)
	return data
}

// Session returns the session with an id, nil if there is none.
func (e *Server) Session(id string) *Session {
	e.init()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sessions[id]
}

// Len returns the number of sessions.
func (e *Server) Len() int {
	e.init()
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sessions)
}

// forget takes a session that has ended off the list.
func (e *Server) forget(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s.id)
}

// left is called when the last handler of a session has returned.
func (e *Server) left() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count--
	if e.count == 0 && e.empty != nil {
		close(e.empty)
		e.empty = nil
	}
}

// Shutdown accepts no more sessions, closes those there are, what was sent before leaving first, and waits until all have ended
// and their handlers have returned. Of clients that poll it waits for the next poll, which brings what was sent and then the
// end: for up to 5 seconds after the last one, when clients that are still there have come back; and as long as e is served, polls
// that come later are answered so for 30 seconds. When ctx is done, what is left is cut, and Shutdown returns context.Cause(ctx).
func (e *Server) Shutdown(ctx context.Context) error {
	all, empty := e.drain()
	var partings []parting
	for _, s := range all {
		if p, waits := s.depart(); waits {
			partings = append(partings, p)
		}
	}
	ended := false
	select {
	case <-empty:
		ended = e.awaitPolls(ctx, partings)
	case <-ctx.Done():
	}
	if !ended {
		_ = e.Close()
		return context.Cause(ctx)
	}
	err := e.streams.shutdown(ctx)
	e.crew.Close()
	return errors.Join(err, e.ws.Shutdown(ctx))
}

// Close accepts no more sessions, and ends those there are at once.
func (e *Server) Close() error {
	all, _ := e.drain()
	for _, s := range all {
		s.end(&CloseError{Reason: ServerClose})
	}
	e.forgetFarewells()
	e.streams.close()
	e.crew.Close()
	return e.ws.Close()
}

func (e *Server) drain() (all []*Session, empty <-chan struct{}) {
	e.init()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.draining = true
	for _, s := range e.sessions {
		if s != nil { // else it sees by itself
			all = append(all, s)
		}
	}
	gone := e.empty
	if gone == nil {
		gone = make(chan struct{})
		if e.count == 0 {
			close(gone)
		} else {
			e.empty = gone
		}
	}
	return all, gone
}

// remoteAddr returns the address that a request came from.
func remoteAddr(r *http.Request) net.Addr { return address(r.RemoteAddr) }

// address is an address as net/http has it.
type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }
