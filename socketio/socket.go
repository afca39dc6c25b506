package socketio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/engineio"
	"baro.dev/socketio/parser"
)

// Socket is a client in a namespace. All methods may be called by any goroutine; none of them waits but EmitWithAck.
type Socket struct {
	id      string
	nsp     *Namespace
	client  *client
	session *engineio.Session // that of client
	issued  int64             // ms
	state   atomic.Uint32
	at      int32 // in nsp.list, which nsp.mu guards
	// sent is up to which position of the log everything was sent that is for the socket; the log guards it.
	sent uint64
	// rooms are guarded by the in-memory adapter.
	rooms []membership
	more  atomic.Pointer[more] // what most sockets have none of

	mu        sync.Mutex
	recovered bool
	data      any
}

// The states of a socket.
const (
	connecting uint32 = iota // middleware runs
	connected
	ended
)

// more is what most sockets have none of. Socket.mu guards it.
type more struct {
	events     registry
	outgoing   []*handler
	middleware []func(*Event) error

	disconnecting, disconnect []func(Reason)

	acks []pendingAck

	ctx    context.Context // that Socket.Context stands on, once somebody waits for its end
	cancel context.CancelCauseFunc
	waited atomic.Bool // there is ctx

	auth      parser.Value
	stopping  sync.Mutex // until the session is persisted
	pid       string
	since     uint64 // the position of the log at which the socket was connected; the log guards it
	restored  *RestoredSession
	lastRooms []string // of a socket that has been disconnected
	// memberAt says where in Socket.rooms a room is, if there are many. The in-memory adapter guards it.
	memberAt map[*room]int32
}

func (s *Socket) extra() *more {
	if m := s.more.Load(); m != nil {
		return m
	}
	m := new(more)
	if s.more.CompareAndSwap(nil, m) {
		return m
	}
	return s.more.Load()
}

// newID returns 20 characters of 120 random bits.
func newID() string {
	var random [15]byte
	rand.Read(random[:])
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// newID returns the id of a new socket: with what the adapter wants it to begin with it is as long.
func (n *Namespace) newID() string { return n.idPrefix + newID()[len(n.idPrefix):] }

// ID returns the id: 20 characters, not secret. It is the name of a room with the socket alone.
func (s *Socket) ID() string { return s.id }

// Namespace returns the namespace.
func (s *Socket) Namespace() *Namespace { return s.nsp }

// Conn returns the session of the layer below: its transport, and how much waits for the client. Its Data must be left alone.
func (s *Socket) Conn() *engineio.Session { return s.session }

// Recovered reports whether the client has come back, and the socket has its id, rooms and data of before.
func (s *Socket) Recovered() bool { return s.recovered }

// Connected reports whether the socket is connected: not while middleware runs, and no longer when it has been disconnected.
func (s *Socket) Connected() bool { return s.state.Load() == connected }

// Data returns what SetData has been given last.
func (s *Socket) Data() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

// SetData keeps something of the application's with the socket. Other servers of a cluster see it, too (RemoteSocket.Data): it has
// to be encoded for them.
func (s *Socket) SetData(data any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = data
}

// Handshake returns what is known of how the client connected. It is put together on each call.
func (s *Socket) Handshake() *Handshake {
	h := s.client.hello.handshake()
	h.Address = s.session.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(h.Address); err == nil {
		h.Address = host
	}
	h.Time = time.UnixMilli(s.issued)
	h.Auth = s.Auth()
	return h
}

// Header returns the headers of the handshake.
func (s *Socket) Header() http.Header { return s.client.hello.handshake().Headers }

// Auth returns what the client said on connecting to the namespace; an empty object if it said nothing.
func (s *Socket) Auth() parser.Value {
	if m := s.more.Load(); m != nil && !m.auth.IsZero() {
		return m.auth
	}
	return jsonValue(struct{}{})
}

// Rooms returns the rooms that the socket is in, its own first. Handlers of its disconnection get those it was in.
func (s *Socket) Rooms() []string {
	if s.state.Load() == ended {
		if m := s.more.Load(); m != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			return slices.Clone(m.lastRooms)
		}
		return nil
	}
	rooms, _ := s.nsp.adapter.SocketRooms(s.id)
	return rooms
}

// Join puts the socket into rooms. A room is there while somebody is in it.
func (s *Socket) Join(rooms ...string) { s.nsp.adapter.AddAll(s.id, rooms) }

// Leave takes the socket out of rooms; out of its own it cannot be taken.
func (s *Socket) Leave(rooms ...string) {
	for _, room := range rooms {
		s.nsp.adapter.Del(s.id, room)
	}
}

// On registers a handler of an event, besides those there are, and returns what removes it again.
func (s *Socket) On(name string, handle func(*Event)) (remove func()) {
	return s.extra().events.add(&handler{name: name, call: handle})
}

// Once is On for the next event of that name only.
func (s *Socket) Once(name string, handle func(*Event)) (remove func()) {
	return s.extra().events.add(&handler{name: name, call: handle, once: true})
}

// Off removes the handlers of events of a name, or all handlers without one.
func (s *Socket) Off(names ...string) {
	if m := s.more.Load(); m != nil {
		m.events.removeIf(func(h *handler) bool { return len(names) == 0 || slices.Contains(names, h.name) })
	}
}

// OnAny registers a handler of all events, which runs before the others and the middleware, and returns what removes it again.
func (s *Socket) OnAny(handle func(*Event)) (remove func()) {
	return s.extra().events.addAny(&handler{call: handle})
}

// OffAny removes the handlers of OnAny.
func (s *Socket) OffAny() {
	if m := s.more.Load(); m != nil {
		m.events.removeAnyIf(func(*handler) bool { return true })
	}
}

// Use registers middleware for the events of the socket. An error keeps an event from its handlers; it becomes the
// acknowledgement, or is logged, like the error of a typed handler.
func (s *Socket) Use(check func(*Event) error) {
	m := s.extra()
	s.mu.Lock()
	defer s.mu.Unlock()
	m.middleware = append(m.middleware, check)
}

// OnDisconnecting registers a handler that is called when the socket is disconnected, before those of OnDisconnect.
func (s *Socket) OnDisconnecting(handle func(Reason)) {
	m := s.extra()
	s.mu.Lock()
	defer s.mu.Unlock()
	m.disconnecting = append(m.disconnecting, handle)
}

// OnDisconnect registers a handler that is called when the socket has been disconnected. It has its turn like that of
// an event.
func (s *Socket) OnDisconnect(handle func(Reason)) {
	m := s.extra()
	s.mu.Lock()
	defer s.mu.Unlock()
	m.disconnect = append(m.disconnect, handle)
}

func (s *Socket) log() *slog.Logger { return s.nsp.server.set.Engine.Logger }
