package socketio

import (
	"runtime/debug"

	"baro.dev/socketio/parser"
)

// Disconnect takes the client out of the namespace: what was emitted before arrives first. If closeClient, it is taken out of all
// namespaces, and its connection is closed. The client does not come back by itself.
func (s *Socket) Disconnect(closeClient bool) {
	if closeClient {
		for _, other := range s.client.list() {
			other.Disconnect(false)
		}
		s.client.fail(ForcedServerClose, nil)
		return
	}
	if s.state.Load() != connected {
		return
	}
	_ = s.client.send(parser.Packet{Type: parser.Disconnect, Namespace: s.nsp.name}, false)
	s.end(ServerNamespaceDisconnect, false)
}

// end disconnects the socket here. inTurn says that client.run is held, so that handlers can be called.
func (s *Socket) end(reason Reason, inTurn bool) {
	n := s.nsp
	if !s.stop(reason) {
		return
	}
	n.leave(s)
	s.client.remove(s)
	s.interrupt()
	s.OffAnyOutgoing()
	late := s.failAcks()
	hooks := n.disconnectHooks(s)
	if len(late) == 0 && len(hooks) == 0 {
		return
	}
	run := func() {
		for _, a := range late {
			s.guard(func() { a.then(Args{}, ErrDisconnected) })
		}
		for _, h := range hooks {
			s.guard(func() { h(reason) })
		}
	}
	if inTurn {
		run()
		return
	}
	n.server.spawned.Go(func() {
		s.client.run.Lock()
		defer s.client.run.Unlock()
		run()
	})
}

// stop has nothing more sent to the socket, and keeps what is needed if the client comes back. It reports false if that has
// been done before.
func (s *Socket) stop(reason Reason) bool {
	n, m := s.nsp, s.more.Load()
	if m == nil && n.hasDisconnectHooks() {
		m = s.extra() // for the rooms
	}
	if m == nil {
		if !s.state.CompareAndSwap(connected, ended) {
			return false
		}
		n.adapter.DelAll(s.id)
		return true
	}
	m.stopping.Lock()
	defer m.stopping.Unlock()
	var mark uint64
	if n.log != nil {
		mark = n.log.next()
	}
	if !s.state.CompareAndSwap(connected, ended) {
		return false
	}
	rooms, _ := n.adapter.SocketRooms(s.id)
	s.mu.Lock()
	m.lastRooms = rooms
	s.mu.Unlock()
	n.adapter.DelAll(s.id) // before the id can be another socket's
	if m.pid != "" && reason.recoverable() {
		n.adapter.PersistSession(&SessionState{ID: s.id, PID: m.pid, Rooms: rooms, Data: s.Data(), mark: mark, socket: s})
	}
	return true
}

func (n *Namespace) hasDisconnectHooks() bool {
	for _, h := range n.hooksFrom() {
		if len(listed(h, &h.disconnecting)) > 0 || len(listed(h, &h.disconnect)) > 0 {
			return true
		}
	}
	return false
}

// disconnectHooks returns what is to be called, in order.
func (n *Namespace) disconnectHooks(s *Socket) (all []func(Reason)) {
	m := s.more.Load()
	gather := func(ofHooks func(*hooks) []func(*Socket, Reason), own func(*more) []func(Reason)) {
		for _, h := range n.hooksFrom() {
			for _, f := range ofHooks(h) {
				all = append(all, func(r Reason) { f(s, r) })
			}
		}
		if m != nil {
			s.mu.Lock()
			all = append(all, own(m)...)
			s.mu.Unlock()
		}
	}
	gather(func(h *hooks) []func(*Socket, Reason) { return listed(h, &h.disconnecting) },
		func(m *more) []func(Reason) { return m.disconnecting })
	gather(func(h *hooks) []func(*Socket, Reason) { return listed(h, &h.disconnect) },
		func(m *more) []func(Reason) { return m.disconnect })
	return all
}

// contain is deferred: a handler that panics has its socket disconnected.
func (s *Socket) contain() {
	if v := recover(); v != nil {
		s.log().Error("handler panicked", "namespace", s.nsp.name, "socket", s.id, "panic", v, "stack", string(debug.Stack()))
		s.Disconnect(false)
	}
}

// guard runs a handler.
func (s *Socket) guard(f func()) {
	defer s.contain()
	f()
}
