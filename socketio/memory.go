package socketio

import (
	"context"
	"sync"

	"baro.dev/socketio/parser"
)

// MemoryAdapter is the default Adapter: rooms in the memory of this server. A join or leave takes the same time however large
// the rooms are; a broadcast takes time by the number of those it is for.
type MemoryAdapter struct {
	nsp *Namespace

	mu       sync.RWMutex
	rooms    map[string]*room
	watchers []func(RoomEvent)
}

// NewMemoryAdapter returns the in-memory adapter of a namespace. With Options.ConnectionStateRecovery it keeps a log of events.
func NewMemoryAdapter(n *Namespace) *MemoryAdapter {
	m := &MemoryAdapter{nsp: n, rooms: map[string]*room{}}
	if r := n.server.set.ConnectionStateRecovery; r != nil {
		n.log = newPacketLog(n, r)
	}
	return m
}

// WithoutRecovery has the adapter keep no log. It is for adapters that embed it and have their own.
func (m *MemoryAdapter) WithoutRecovery() *MemoryAdapter {
	m.nsp.log = nil
	return m
}

// admit has f make a socket a connected one: no broadcast reaches it before the answer to its CONNECT, and none that begins when
// the client has that passes it by.
func (m *MemoryAdapter) admit(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// Namespace returns the namespace.
func (m *MemoryAdapter) Namespace() *Namespace { return m.nsp }

// OnRoom has f called for each RoomEvent, by the goroutine that has caused it.
func (m *MemoryAdapter) OnRoom(f func(RoomEvent)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchers = append(m.watchers, f)
}

// OnSocket has f called when a socket has come to be on this server (there), before it is connected, and when it has gone, by the
// goroutine that has caused it; f must not wait. Two of one id may be there for a moment, when a client has come back. It is
// for adapters that embed m, and to be called while these are made, by Options.Adapter.
func (m *MemoryAdapter) OnSocket(f func(id string, there bool)) { m.nsp.watch = f }

// PrefixIDs has the ids of new sockets begin with prefix, which has up to 8 of the characters A-Z, a-z, 0-9, - and _, so that a
// cluster can tell from an id whose it is. Those of clients of protocol 3, and of those that come back, are what they are. It
// is for adapters that embed m, and to be called while these are made, by Options.Adapter. It panics if prefix is longer.
func (m *MemoryAdapter) PrefixIDs(prefix string) {
	if len(prefix) > 8 {
		panic("socketio: PrefixIDs: longer than 8 characters")
	}
	m.nsp.idPrefix = prefix
}

// Rooms returns the names of the rooms, those of sockets alone not among them, with the number of their sockets.
func (m *MemoryAdapter) Rooms() map[string]int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := make(map[string]int, len(m.rooms))
	for name, r := range m.rooms {
		all[name] = len(r.members)
	}
	return all
}

// Concerns reports whether what is for rooms can be for any socket of this server: whether there is one in any of them, or without
// rooms one at all. It allocates nothing.
func (m *MemoryAdapter) Concerns(rooms []string) bool {
	if len(rooms) == 0 {
		return m.nsp.Len() > 0
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, name := range rooms {
		if m.rooms[name] != nil || m.nsp.Socket(name) != nil {
			return true
		}
	}
	return false
}

// Sockets returns ids: see Adapter.
func (m *MemoryAdapter) Sockets(rooms []string) []string {
	var ids []string
	m.each(&BroadcastOptions{Rooms: rooms}, func(s *Socket) { ids = append(ids, s.id) })
	return ids
}

func (m *MemoryAdapter) list(o *BroadcastOptions) (all []*Socket) {
	m.each(o, func(s *Socket) { all = append(all, s) })
	return all
}

// FetchSockets returns sockets of this server.
func (m *MemoryAdapter) FetchSockets(_ context.Context, o *BroadcastOptions) ([]*RemoteSocket, error) {
	sockets := m.list(o)
	all := make([]*RemoteSocket, len(sockets))
	for i, s := range sockets {
		all[i] = s.Describe()
	}
	return all, nil
}

// AddSockets puts sockets of this server into rooms.
func (m *MemoryAdapter) AddSockets(o *BroadcastOptions, rooms []string) {
	for _, s := range m.list(o) {
		s.Join(rooms...)
	}
}

// DelSockets takes sockets of this server out of rooms.
func (m *MemoryAdapter) DelSockets(o *BroadcastOptions, rooms []string) {
	for _, s := range m.list(o) {
		s.Leave(rooms...)
	}
}

// DisconnectSockets disconnects sockets of this server.
func (m *MemoryAdapter) DisconnectSockets(o *BroadcastOptions, closeClients bool) {
	for _, s := range m.list(o) {
		s.Disconnect(closeClients)
	}
}

// ServerSideEmit does nothing: there are no other servers.
func (m *MemoryAdapter) ServerSideEmit(context.Context, parser.Data, bool) ([]parser.Value, error) {
	return nil, nil
}

// PersistSession keeps a session: see Adapter.
func (m *MemoryAdapter) PersistSession(state *SessionState) {
	if l := m.nsp.log; l != nil {
		l.persist(state)
	}
}

// RestoreSession takes a session: see Adapter.
func (m *MemoryAdapter) RestoreSession(pid, offset string) *RestoredSession {
	if l := m.nsp.log; l != nil {
		return l.restore(pid, offset)
	}
	return nil
}

// ServerCount returns 1.
func (m *MemoryAdapter) ServerCount(context.Context) (int, error) { return 1, nil }

// Close drops the log.
func (m *MemoryAdapter) Close() error {
	if l := m.nsp.log; l != nil {
		l.close()
	}
	return nil
}
