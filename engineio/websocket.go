package engineio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"baro.dev/engineio/internal/payload"
	"baro.dev/ws"
)

// newWebSocketServer returns the server of the transport. Its handlers do not block, whatever those of e do: they leave
// to others what might.
func (e *Server) newWebSocketServer() *ws.Server {
	return &ws.Server{
		Inline: true,
		Loops:  e.set.Loops,
		Options: ws.AcceptOptions{
			CheckOrigin: func(*http.Request) error { return nil }, // e.check has
			Compression: e.set.PerMessageDeflate,
			Limits:      ws.Limits{MaxMessageSize: e.set.MaxHTTPBufferSize},
			Keepalive:   ws.Keepalive{Interval: -1}, // there is a heartbeat
			Queue:       ws.Queue{MaxBytes: e.set.MaxBuffered},
			Logger:      e.set.Logger,
		},
		Handler: e,
		Admit:   e.admit,
		OnOpen: func(c *ws.Socket, r *http.Request) {
			o, ok := c.Data.(opener) // admitted
			if !ok {
				o = r.Context().Value(openerKey{}).(opener)
			}
			o.opened(c, r)
		},
		OnMessage: func(c *ws.Socket, m ws.Message) { c.Data.(receiver).frame(c, m) },
		OnClose: func(c *ws.Socket, err error) {
			if r, ok := c.Data.(receiver); ok {
				r.gone(err)
			}
		},
	}
}

// opener is whom a WebSocket is opened for: a session that begins with it, or one that may be upgraded to it.
type opener interface {
	opened(c *ws.Socket, r *http.Request)
	// served is called when it has been opened, or could not be.
	served()
}

type openerKey struct{}

// receiver is what a WebSocket is for: a session, or the probe of one.
type receiver interface {
	frame(c *ws.Socket, m ws.Message)
	gone(err error)
}

// serveWebSocket opens a WebSocket, for a new session or as an upgrade of s.
func (e *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, q query, s *Session) {
	var o opener
	if s != nil {
		p, err := s.startProbe(q.transport)
		switch {
		case err == nil:
			o = p
		case err == errUpgraded, err == errUpgrading:
			o = surplus{} // the published suites want it opened, and closed
		default:
			e.refuse(w, r, err)
			return
		}
	} else {
		s, err := e.newSession(r, q)
		if err != nil {
			e.unavailable(w, err)
			return
		}
		o = (*newcomer)(s)
	}
	defer o.served() // deferred, since what e calls may panic, or end the goroutine
	if e.set.Headers != nil {
		e.set.Headers(w.Header(), r, s == nil)
	}
	e.ws.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), openerKey{}, o)))
}

// surplus is a WebSocket that its session has no use for.
type surplus struct{}

func (surplus) opened(c *ws.Socket, _ *http.Request) {
	c.Data = surplus{}
	_ = c.Close(ws.StatusNoStatus, "")
}

func (surplus) served()                      {}
func (surplus) frame(*ws.Socket, ws.Message) {}
func (surplus) gone(error)                   {}

// newcomer is a session that waits for its WebSocket.
type newcomer Session

func (n *newcomer) opened(c *ws.Socket, r *http.Request) {
	n.begin(c)
	(*Session)(n).started(r)
}

// begin has c be the transport of the session, and others know it.
func (n *newcomer) begin(c *ws.Socket) {
	s := (*Session)(n)
	c.Data = s
	l := socketLink{c, s.format}
	s.mu.Lock() // until the client has been told, nothing else is sent
	s.link = l
	s.appear()
	_ = l.send(payload.Packet{Type: payload.Open, Data: s.handshake([]string{})}, false)
	s.mu.Unlock()
}

// served forgets a session without a WebSocket.
func (n *newcomer) served() {
	if s := (*Session)(n); s.current() == nil {
		s.server.forget(s)
		s.server.left()
	}
}

// frame handles what comes over the WebSocket of the session, or over its stream, which is no socket.
func (s *Session) frame(c *ws.Socket, m ws.Message) {
	transport := WebSocket
	if c == nil {
		transport = WebTransport
	}
	p, err := s.format.DecodeMessage(m.Data, m.Type == ws.Binary)
	var why *CloseError
	if err != nil {
		why = &CloseError{ParseError, fmt.Errorf("engineio: %w", err)}
	} else {
		why = s.receive(p, transport)
	}
	if why == nil {
		return
	}
	if why.Reason != TransportClose {
		s.server.set.Logger.Debug("session breaks the protocol", "remote", s.addr, "error", why)
	}
	if l, ended := s.finish(why); ended && l != nil {
		l.close()
	}
}

// gone ends the session with its WebSocket.
func (s *Session) gone(err error) {
	reason := TransportClose
	var closed *ws.CloseError
	if errors.As(err, &closed) && closed.Code != ws.StatusNormalClosure && closed.Code != ws.StatusGoingAway &&
		closed.Code != ws.StatusNoStatus && closed.Code != ws.StatusAbnormalClosure {
		reason = TransportError
	}
	violation := reason == TransportError && !closed.Remote
	if errors.Is(err, ws.ErrQueueFull) {
		reason, err, violation = TransportError, ErrBufferFull, false
	}
	why := &CloseError{reason, err}
	if _, ended := s.finish(why); ended && violation {
		s.server.set.Logger.Debug("session breaks the protocol", "remote", s.addr, "error", why)
	}
}

// socketLink is a WebSocket as a link.
type socketLink struct {
	*ws.Socket
	format payload.Format
}

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is how large a buffer is kept.
const maxScratch = 64 << 10

func (l socketLink) send(p payload.Packet, uncompressed bool) error {
	b := scratch.Get().(*[]byte)
	*b = l.format.AppendMessage((*b)[:0], p)
	send := l.Socket.Send
	if uncompressed {
		send = l.Socket.SendUncompressed
	}
	err := l.result(send(messageType(l.format.IsBinary(p)), *b))
	if cap(*b) <= maxScratch {
		scratch.Put(b)
	}
	return err
}

func (l socketLink) sendAll(messages []Message) error {
	m, err := together(l.format, messages)
	if err != nil {
		return err
	}
	return l.result(l.Socket.SendPrepared(m))
}

func (l socketLink) sendPrepared(p *Prepared) error {
	m, err := p.webSocket(l.format)
	if err != nil {
		return err
	}
	return l.result(l.Socket.SendPrepared(m))
}

// result is a ws error as one of this package.
func (l socketLink) result(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ws.ErrQueueFull):
		return ErrBufferFull
	case errors.Is(err, ws.ErrClosed):
		return ErrClosed
	}
	if _, ended := errors.AsType[*ws.CloseError](err); ended { // OnClose is about to learn of it
		return ErrClosed
	}
	return err
}

func (l socketLink) name() string   { return WebSocket }
func (l socketLink) buffered() int  { return l.Socket.Buffered() }
func (l socketLink) cork()          { l.Socket.Cork() }
func (l socketLink) uncork()        { l.Socket.Uncork() }
func (l socketLink) pause()         { l.Socket.Pause() }
func (l socketLink) resume()        { l.Socket.Resume() }
func (l socketLink) yield()         { l.Socket.Yield() }
func (l socketLink) close()         { _ = l.Socket.Close(ws.StatusNoStatus, "") }
func (l socketLink) cut()           { _ = l.Socket.CloseNow() }
func (l socketLink) addr() net.Addr { return l.Socket.RemoteAddr() }
