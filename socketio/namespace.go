package socketio

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Namespace is a part of a server with its own clients, rooms, middleware and handlers. All methods may be called by any goroutine.
type Namespace struct {
	server  *Server
	name    string
	parent  *ParentNamespace // nil: none
	dynamic bool             // made for a client
	adapter Adapter
	log     *packetLog // of the in-memory adapter, for recovery; nil: none
	acks    atomic.Uint64
	// Of the adapter, which sets them as it is made: what the ids of sockets begin with, and who is told of these.
	idPrefix string
	watch    func(id string, there bool)
	hooks

	mu     sync.RWMutex // may be taken while the in-memory adapter's is held
	ids    map[string]*Socket
	list   []*Socket // the same
	closed bool
}

// Name returns the name, with its slash.
func (n *Namespace) Name() string { return n.name }

// Server returns the server.
func (n *Namespace) Server() *Server { return n.server }

// Adapter returns the adapter.
func (n *Namespace) Adapter() Adapter { return n.adapter }

// Use registers middleware: it runs for each socket before it is connected, in the order of registration, on a goroutine of
// its own. With Options.Engine.Inline it is the event loop that runs it, and it must not block. An error refuses the client,
// which gets the text, and the data of an *Error (CONNECT_ERROR). The socket may join rooms meanwhile; broadcasts reach it when
// it is connected. OnDisconnect is not called for a client that is refused, or leaves before that; Socket.Context ends for it,
// too.
func (n *Namespace) Use(check func(*Socket) error) { add(&n.hooks, &n.middleware, check) }

// OnConnection registers a handler of sockets that have been connected. What it emits comes after the answer to the CONNECT.
func (n *Namespace) OnConnection(handle func(*Socket)) { add(&n.hooks, &n.connection, handle) }

// OnDisconnecting is Socket.OnDisconnecting for all sockets of the namespace.
func (n *Namespace) OnDisconnecting(handle func(*Socket, Reason)) {
	add(&n.hooks, &n.disconnecting, handle)
}

// OnDisconnect is Socket.OnDisconnect for all sockets of the namespace.
func (n *Namespace) OnDisconnect(handle func(*Socket, Reason)) { add(&n.hooks, &n.disconnect, handle) }

// On registers a handler of an event for all sockets of the namespace, which costs nothing for each of them, and returns what
// removes it again. It runs before the socket's own.
func (n *Namespace) On(name string, handle func(*Event)) (remove func()) {
	return n.events.add(&handler{name: name, call: handle})
}

// OnAny registers a handler of all events of all sockets, and returns what removes it again.
func (n *Namespace) OnAny(handle func(*Event)) (remove func()) {
	return n.events.addAny(&handler{call: handle})
}

// Off removes the handlers that On has registered for events of a name, or all without one.
func (n *Namespace) Off(names ...string) {
	n.events.removeIf(func(h *handler) bool { return len(names) == 0 || slices.Contains(names, h.name) })
}

// Socket returns the socket with an id, nil if this server has none. It may still be connecting.
func (n *Namespace) Socket(id string) *Socket {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.ids[id]
}

// Sockets returns the sockets of this server that are connected.
func (n *Namespace) Sockets() []*Socket {
	n.mu.RLock()
	defer n.mu.RUnlock()
	all := make([]*Socket, 0, len(n.list))
	for _, s := range n.list {
		if s.Connected() {
			all = append(all, s)
		}
	}
	return all
}

// Len returns the number of sockets of this server, connecting ones among them.
func (n *Namespace) Len() int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return len(n.list)
}

// enter takes a socket that is being connected. It reports false if the namespace has been removed.
func (n *Namespace) enter(s *Socket) bool {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return false
	}
	s.at = int32(len(n.list))
	n.list = append(n.list, s)
	n.ids[s.id] = s
	n.mu.Unlock()
	if n.watch != nil {
		n.watch(s.id, true)
	}
	return true
}

func (n *Namespace) leave(s *Socket) {
	n.mu.Lock()
	last := len(n.list) - 1
	if int(s.at) <= last && n.list[s.at] == s {
		n.list[s.at] = n.list[last]
		n.list[s.at].at = s.at
		n.list[last] = nil
		n.list = n.list[:last]
	}
	if n.ids[s.id] == s {
		delete(n.ids, s.id)
	}
	empty := len(n.list) == 0
	n.mu.Unlock()
	if n.watch != nil {
		n.watch(s.id, false)
	}
	if empty && n.dynamic {
		n.server.emptied(n)
	}
}

// closeIfEmpty has no more sockets enter, if there are none.
func (n *Namespace) closeIfEmpty() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = n.closed || len(n.list) == 0
	return n.closed
}

// nextAck returns the next id of an acknowledgement; it is shared by the sockets, so that one packet can be for many.
func (n *Namespace) nextAck() uint64 { return n.acks.Add(1) - 1 }

// ConnectionStateRecovery returns the options for clients that come back; nil: they begin anew. They are not to be changed.
func (n *Namespace) ConnectionStateRecovery() *ConnectionStateRecovery { return n.recovery() }

func (n *Namespace) recovery() *ConnectionStateRecovery { return n.server.set.ConnectionStateRecovery }

// hooksFrom returns the hooks of the parent and the namespace's own.
func (n *Namespace) hooksFrom() []*hooks {
	if n.parent != nil {
		return []*hooks{&n.parent.hooks, &n.hooks}
	}
	return []*hooks{&n.hooks}
}

func (n *Namespace) hasMiddleware() bool {
	return len(listed(&n.hooks, &n.middleware)) > 0 || n.parent != nil && len(listed(&n.parent.hooks, &n.parent.middleware)) > 0
}

func (n *Namespace) each(f func(*Namespace)) { f(n) }

func (n *Namespace) operator() BroadcastOperator { return BroadcastOperator{of: n} }

// Emit sends an event to all sockets.
func (n *Namespace) Emit(event string, args ...any) error { return n.operator().Emit(event, args...) }

// Send emits the event message.
func (n *Namespace) Send(args ...any) error { return n.operator().Send(args...) }

// EmitWithAck is BroadcastOperator.EmitWithAck.
func (n *Namespace) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	return n.operator().EmitWithAck(ctx, event, args...)
}

// To returns an operator for the sockets that are in any of the rooms.
func (n *Namespace) To(rooms ...string) BroadcastOperator { return n.operator().To(rooms...) }

// In is To.
func (n *Namespace) In(rooms ...string) BroadcastOperator { return n.operator().To(rooms...) }

// Except returns an operator for the sockets that are in none of the rooms.
func (n *Namespace) Except(rooms ...string) BroadcastOperator { return n.operator().Except(rooms...) }

// Local returns an operator for the sockets of this server only.
func (n *Namespace) Local() BroadcastOperator { return n.operator().Local() }

// Volatile returns an operator whose events leave out clients that are not ready for them.
func (n *Namespace) Volatile() BroadcastOperator { return n.operator().Volatile() }

// Compress returns an operator whose events are compressed, where there is compression at all, or not.
func (n *Namespace) Compress(compress bool) BroadcastOperator { return n.operator().Compress(compress) }

// Timeout returns an operator whose acknowledgements have to come in time.
func (n *Namespace) Timeout(d time.Duration) BroadcastOperator { return n.operator().Timeout(d) }

// FetchSockets returns all sockets, those of other servers of a cluster among them.
func (n *Namespace) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return n.operator().FetchSockets(ctx)
}

// SocketsJoin puts all sockets into rooms.
func (n *Namespace) SocketsJoin(rooms ...string) { n.operator().SocketsJoin(rooms...) }

// SocketsLeave takes all sockets out of rooms.
func (n *Namespace) SocketsLeave(rooms ...string) { n.operator().SocketsLeave(rooms...) }

// DisconnectSockets disconnects all sockets; see Socket.Disconnect.
func (n *Namespace) DisconnectSockets(closeClients bool) {
	n.operator().DisconnectSockets(closeClients)
}
