package ws

import (
	"errors"
	"fmt"
	"runtime/debug"

	"baro.dev/ws/internal/topics"
)

// Socket is a WebSocket connection of a Server. It is read by the server, which calls the handlers; there is nothing
// to read from it. All methods may be called from any goroutine and from handlers; none of them waits but Write and
// Writer, and Send where Queue.Full is Block.
type Socket struct {
	core
	// Data is the application's. Handlers of one connection run one after another and need no lock for it.
	Data any

	server *Server
	topics *topics.Set[*Socket]
	place  place
}

// Close starts the closing handshake: what was queued leaves, then a close frame with code and reason (of at most 123
// bytes; more is cut). It does not wait. From then on nothing can be sent and no message is delivered; OnClose is
// called when the peer has answered or Limits.CloseTimeout is over. Only the first call has an effect. What waits
// for a Writer that has not been closed does not leave: the message in progress cannot be ended by others.
func (s *Socket) Close(code StatusCode, reason string) error {
	if code != StatusNoStatus && !code.OnWire() {
		return fmt.Errorf("ws: status code %v must not be sent", code)
	}
	s.flags.set(muted)
	s.hub().deliverPending() // what was published before leaves before
	return s.startClose(code, reason)
}

// Ping sends a ping without waiting for the pong. Keepalive sees to pings by itself.
func (s *Socket) Ping() error {
	return s.ping(nil)
}

// Pause has no more input read until Resume, so that whoever hands messages on to others can let the peer wait. A handler of
// a server that is Inline is not called again before that; others still get what has been read. The peer is not expected to
// answer meanwhile, and the idle timeout does not run.
func (s *Socket) Pause() { s.flags.set(halted) }

// Resume ends Pause. Without one it does nothing.
func (s *Socket) Resume() {
	if !s.flags.take(halted) {
		return
	}
	if s.looped {
		s.tr.attend()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resumed != nil {
		close(s.resumed)
		s.resumed = nil
	}
}

// Yield tells that the handler at hand has started a goroutine, or woken one. An event loop then lets it run soon, while what
// it is to work on is in the processor's cache. It is for handlers of a server that is Inline, and nobody else.
func (s *Socket) Yield() {
	if s.looped {
		s.tr.yield()
	}
}

// awaitResume waits until reading may go on, where a goroutine reads.
func (s *Socket) awaitResume() {
	if s.flags.has(halted) && s.flags.take(moreInput) { // nothing follows for now
		s.mu.Lock()
		s.flushLocked()
	}
	for s.flags.has(halted) {
		s.mu.Lock()
		if s.ended || !s.flags.has(halted) {
			s.mu.Unlock()
			return
		}
		x := s.rare()
		if x.resumed == nil {
			x.resumed = make(chan struct{})
		}
		resumed := x.resumed
		s.mu.Unlock()
		select {
		case <-resumed:
		case <-s.Done():
			return
		}
	}
}

// run reads until the connection ends, calling the handlers. What follows is deferred, since a handler may end the
// goroutine (runtime.Goexit).
func (s *Socket) run() {
	defer func() {
		<-s.Done() // the close frame may still be on its way
		s.server.remove(s)
	}()
	s.readMu.Lock()
	var err error
	defer func() {
		if err == nil {
			err = s.fail(goexited())
		}
		s.dropInput()
		s.readMu.Unlock()
		s.hub().leave(s)
		if s.server.OnClose != nil {
			s.guard(func() { s.server.OnClose(s, err) })
		}
	}()
	err = s.serve()
}

// goexited is how a connection ends whose handler did not return.
func goexited() *CloseError {
	return &CloseError{Code: StatusInternalError, Reason: "internal error", Err: errGoexit}
}

var errGoexit = errors.New("ws: handler ended its goroutine")

// serve handles input and returns why there will be no more.
func (s *Socket) serve() error {
	for {
		s.awaitResume()
		ev, err := s.core.next()
		if err != nil {
			return err
		}
		if ev.None {
			if err := s.fill(); err != nil && err != errInterrupted {
				return err
			}
			continue
		}
		m, complete, err := s.collect(ev)
		if err != nil {
			return err
		}
		if complete {
			s.deliver(m)
		}
	}
}

// deliver calls the handler of messages.
func (s *Socket) deliver(m Message) {
	if s.set.idleTimeout > 0 {
		s.flags.set(messaged)
	}
	s.flags.put(moreInput, len(s.rest) > 0)
	if handler := s.server.OnMessage; handler != nil && !s.flags.has(muted) {
		s.flags.set(paused)
		s.handle(handler, m)
		s.flags.clear(paused)
	}
	s.release()
}

func (s *Socket) handle(handler func(*Socket, Message), m Message) {
	returned := false
	defer func() { s.after(returned, recover()) }()
	handler(s, m)
	returned = true
}

// guard runs a handler.
func (s *Socket) guard(handler func()) {
	returned := false
	defer func() { s.after(returned, recover()) }()
	handler()
	returned = true
}

// after is deferred: a handler that panics with v, or ends its goroutine (runtime.Goexit), costs its own connection only.
func (s *Socket) after(returned bool, v any) {
	switch {
	case returned:
	case v == nil:
		s.flags.set(muted)
		s.fail(goexited())
	default:
		s.set.logger.Error("handler panicked", "remote", s.RemoteAddr(), "panic", v, "stack", string(debug.Stack()))
		s.flags.set(muted)
		s.fail(&CloseError{Code: StatusInternalError, Reason: "internal error", Err: fmt.Errorf("ws: handler panicked: %v", v)})
	}
}
