package engineio

import (
	"net"
	"sync"
	"time"

	"baro.dev/engineio/internal/payload"
)

// Session is one client, over whatever transport. It begins with Server.OnOpen and ends with Server.OnClose. All
// methods may be called by any goroutine and from handlers; none of them waits.
type Session struct {
	// Data is the application's. Handlers of one session run one after another and need no lock for it.
	Data any

	server *Server
	id     string
	addr   net.Addr // of the first request
	format payload.Format

	mu    sync.Mutex
	state state
	link  link     // nil while polling
	poll  *polling // nil over a link
	beat  beat

	inbox inbox
}

type state uint8

const (
	open    state = iota
	closing       // Close has been called, and the client has yet to learn of it
	closed
)

// ID returns the id, which is a secret between server and client: who knows it can speak for the client.
func (s *Session) ID() string { return s.id }

// Protocol returns the version of Engine.IO that the client speaks: 3 or 4.
func (s *Session) Protocol() int { return s.format.Protocol() }

// RemoteAddr returns the address that the client connected from.
func (s *Session) RemoteAddr() net.Addr { return s.addr }

// Transport returns the name of the transport at the moment.
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport()
}

func (s *Session) transport() string {
	if s.link != nil {
		return s.link.name()
	}
	return Polling
}

// Buffered returns how many bytes wait for the client to take them.
func (s *Session) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffered()
}

func (s *Session) buffered() int {
	switch {
	case s.link != nil:
		return s.link.buffered()
	case s.poll != nil:
		return s.poll.size
	}
	return 0
}

// Writable reports whether a message would leave at once: nothing waits, and somebody waits for it.
func (s *Session) Writable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writable()
}

func (s *Session) writable() bool {
	switch {
	case s.state != open:
		return false
	case s.link != nil:
		return s.link.buffered() == 0
	}
	return s.poll.waiting()
}

// Send sends messages, one after another with nothing between them. It does not wait: what the client does not take at
// once is queued. If that would be more than Options.MaxBuffered, the session ends, and the error is ErrBufferFull. After the
// end the error is ErrClosed. The data is the caller's again when Send returns.
func (s *Session) Send(messages ...Message) error {
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return ErrClosed
	}
	var err error
	s.meterSent(messages)
	switch l := s.link; {
	case l != nil && len(messages) == 1:
		err = l.send(messages[0].packet(), messages[0].Uncompressed)
	case l != nil:
		err = l.sendAll(messages)
	default:
		for i := range messages {
			if err = s.poll.add(messages[i].packet(), messages[i].Uncompressed, true); err != nil {
				break
			}
		}
		return s.added(err) // unlocks
	}
	s.mu.Unlock()
	return err
}

// SendPrepared is Send for prepared messages.
func (s *Session) SendPrepared(p *Prepared) error {
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return ErrClosed
	}
	s.meterSentPrepared(p)
	if s.link != nil {
		err := s.link.sendPrepared(p)
		s.mu.Unlock()
		return err
	}
	return s.added(s.poll.addPrepared(p))
}

// added wakes the poll that waits, or ends a session that has been sent too much. mu is held, and released.
func (s *Session) added(err error) error {
	if err == nil {
		s.poll.wake()
	}
	s.mu.Unlock()
	if err != nil {
		s.end(&CloseError{TransportError, err})
	}
	return err
}

// sendPacket sends a packet of the protocol's own.
func (s *Session) sendPacket(t payload.Type, data []byte) {
	s.mu.Lock()
	switch p := (payload.Packet{Type: t, Data: data}); {
	case s.state != open:
	case s.link != nil:
		_ = s.link.send(p, false)
	default:
		_ = s.added(s.poll.add(p, false, true)) // unlocks
		return
	}
	s.mu.Unlock()
}

// Close ends the session when what was sent has left. From then on nothing can be sent, and no message is handled.
func (s *Session) Close() { s.close(&CloseError{Reason: ForcedClose}) }

func (s *Session) close(why *CloseError) {
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return
	}
	s.state = closing
	s.inbox.muted.Store(true)
	if l := s.link; l != nil {
		s.mu.Unlock()
		s.finish(why) // first: the client may answer at once
		l.close()
		return
	}
	// The poll that waits learns of it, or the next one, if it comes in time.
	waiting := s.poll.waiting()
	_ = s.poll.add(payload.Packet{Type: payload.Close}, false, false)
	s.poll.wake()
	s.poll.why = why
	if !waiting {
		s.beat.due = s.server.heart.now() + lastPoll
		s.server.heart.schedule(s, s.beat.due)
		s.mu.Unlock()
		s.inbox.mute()
		return
	}
	s.mu.Unlock()
	s.finish(why)
}

// CloseNow ends the session at once. What waits is dropped.
func (s *Session) CloseNow() { s.end(&CloseError{Reason: ForcedClose}) }

// end ends the session and cuts what there is of a transport.
func (s *Session) end(why *CloseError) {
	if l, ended := s.finish(why); ended && l != nil {
		l.cut()
	}
}

// finish ends the session, whose link sees to itself, and reports whether it has not been before.
func (s *Session) finish(why *CloseError) (l link, ended bool) {
	s.mu.Lock()
	if s.state == closed {
		s.mu.Unlock()
		return nil, false
	}
	s.state = closed
	l = s.link
	if m := s.server.Meter; m != nil {
		m.Closed(s.transport(), why)
	}
	var probe *probe
	var farewell time.Duration
	if p := s.poll; p != nil {
		probe, p.probe = p.probe, nil
		switch {
		case p.told != nil:
			farewell = lastPoll
		case why.Reason == TransportClose && p.get == nil:
			farewell = goodbyeTime
		}
		if p.told == nil {
			p.leave(why)
		}
	}
	s.mu.Unlock()
	if farewell > 0 {
		s.server.expectFarewell(s, farewell)
	}
	if why.Reason == ForcedClose || why.Reason == ServerClose {
		s.inbox.mute()
	} else {
		s.inbox.release() // what came before the end is handled before it
	}
	s.server.heart.stop(s)
	s.server.forget(s)
	if probe != nil {
		probe.fail()
	}
	if s.inbox.endsEarly(why) {
		return l, true
	}
	returned := false
	defer func() { // deferred, since the handler may end the goroutine
		if !returned && l != nil {
			l.cut()
		}
		s.postClosed(why)
	}()
	s.tellEnded(why)
	returned = true
	return l, true
}

// tellEnded calls Ended.
func (s *Session) tellEnded(why *CloseError) {
	if ended := s.server.Ended; ended != nil {
		s.guard(func() { ended(s, why) })
	}
}

// receive handles a packet that has come over a transport.
func (s *Session) receive(p payload.Packet, transport string) *CloseError {
	switch p.Type {
	case payload.Message:
		if m := s.server.Meter; m != nil {
			m.Received(transport, 1, len(p.Data))
		}
		s.deliver(Message{Data: p.Data, Binary: p.Binary})
	case payload.Ping:
		if s.format.Protocol() != 3 {
			return &CloseError{TransportError, errHeartbeat}
		}
		s.sendPacket(payload.Pong, p.Data)
	case payload.Pong:
		if s.format.Protocol() == 3 {
			return &CloseError{TransportError, errHeartbeat}
		}
		s.ponged(transport)
		return nil
	case payload.Close:
		return &CloseError{Reason: TransportClose}
	}
	s.heard()
	return nil
}
