package ws

import (
	"fmt"
	"net"

	"baro.dev/internal/eventloop"
)

// OnKernel has n loops on kernels of the test's read what is visited. It is called before anything else.
func (s *Server) OnKernel(n int, kernel func() (eventloop.Kernel, error)) {
	s.loops = &loops{eventloop.NewGroup(n, kernel, func(l *eventloop.Loop) {
		l.Local = &loopLocal{hub: newLoopHub(l), visitors: visitors{make([]*visitor, 0, maxVisitors)}}
	})}
}

// Visit has a loop wait for a request on fd, as if it had just been accepted. Only requests for a WebSocket may come:
// others would be handed over to net/http, which does not know the test's kernel.
func (s *Server) Visit(fd int) error {
	v := &visitor{front: &front{server: s, listener: nowhere{}}, set: s.settings()}
	if err := s.loops.group.Join(&v.conn, v, fd); err != nil {
		return err
	}
	return v.conn.Start()
}

// nowhere is the listener of connections that have not come by one.
type nowhere struct{ net.Listener }

func (nowhere) Addr() net.Addr { return &net.TCPAddr{} }

// Held says what a connection holds on to that it should have let go of at its end, "" if nothing.
func (s *Socket) Held() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for what, held := range map[string]bool{
		"its input":             s.input != nil,
		"its output":            s.out.list != nil || s.out.size != 0,
		"messages for a Writer": s.held != nil && s.held.list != nil,
		"room":                  s.reserved != 0,
		"messages to handle":    s.place.work != nil,
		"the write side":        s.flushing,
		"its descriptor":        !s.place.left,
		"pings":                 len(s.pings) > 0,
	} {
		if held {
			return fmt.Sprintf("%s, ended %v", what, s.ended)
		}
	}
	return ""
}
