package ws

import "baro.dev/internal/eventloop"

// loopHub is the hub of an event loop, as the loop sees it.
type loopHub struct {
	*hub
	conn eventloop.Conn
	sent []func() // to be called at the end of the turn
}

func newLoopHub(l *eventloop.Loop) *loopHub {
	h := &loopHub{hub: newHub()}
	l.Attach(&h.conn, h)
	h.wake = h.conn.Attend
	return h
}

// Attend implements eventloop.Handler.
func (h *loopHub) Attend() {
	h.conn.Dirty() // before the connections, to be flushed after them
	h.sent = append(h.sent, h.tryDeliver(func(s *Socket) { s.place.conn.Dirty() })...)
}

// Flush implements eventloop.Handler.
func (h *loopHub) Flush() {
	tell(h.sent)
	h.sent = nil
}

// The rest of eventloop.Handler is not asked for.

func (h *loopHub) Ready(bool, bool, bool) {}
func (h *loopHub) Expire()                {}
func (h *loopHub) Drain()                 {}

// hub returns the hub of s.
func (s *Socket) hub() *hub {
	if s.looped {
		return (*looped)(s).local().hub.hub
	}
	return s.server.portableHub()
}

// eachHub calls f for all hubs.
func (s *Server) eachHub(f func(*hub)) {
	s.mu.Lock()
	d, portable := s.loops, s.portable
	s.mu.Unlock()
	if d != nil {
		d.group.Loops(func(l *eventloop.Loop) { f(l.Local.(*loopLocal).hub.hub) })
	}
	if portable != nil {
		f(portable)
	}
}
