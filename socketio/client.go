package socketio

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"baro.dev/engineio"
	"baro.dev/socketio/parser"
)

// client is a connection, and what it carries: its sockets, one for each namespace.
type client struct {
	server  *Server
	session *engineio.Session
	hello   hello

	// run is held while a handler of the client runs. The goroutine of the session's handlers takes it for each message, and so
	// do those of middleware, timeouts and Disconnect when it is their turn.
	run     sync.Mutex
	decoder parser.Decoder // of a packet whose attachments are due; run guards it

	// What arrive uses; nobody else does.
	acks parser.Decoder // of an acknowledgement whose attachments are due
	due  int            // attachments of another packet

	mu         sync.Mutex
	sockets    []*Socket
	connecting []string // namespaces whose middleware runs
	answers    []answered
	timer      *time.Timer // until there is a socket
	refused    int
	reason     Reason // why this side ends the connection
	gone       bool
}

// answered is an acknowledgement that has come, and whose turn has not.
type answered struct {
	socket *Socket
	then   func(Args, error)
	args   Args
}

var (
	errBinaryFirst   = errors.New("socketio: what begins no packet")
	errNotConnected  = errors.New("socketio: packet for a namespace that is not connected")
	errConnectTwice  = errors.New("socketio: second CONNECT to a namespace")
	errConnectMany   = errors.New("socketio: more namespaces than allowed")
	errConnectLate   = errors.New("socketio: no CONNECT in time")
	errConnectRefuse = errors.New("socketio: refused too often")
	errServerOnly    = errors.New("socketio: CONNECT_ERROR from a client")
)

// maxRefused is how many times a client may try to connect in vain.
const maxRefused = 100

func (s *Server) opened(session *engineio.Session, r *http.Request) {
	c := &client{server: s, session: session, hello: newHello(r)}
	session.Data = c
	if session.Protocol() == 3 {
		// Protocol 4: the main namespace is joined without being asked for.
		c.connect("/", parser.Value{}, false)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(s.set.ConnectTimeout, c.late)
}

// late closes a client that has not connected to a namespace.
func (c *client) late() {
	c.mu.Lock()
	idle := c.timer != nil
	c.mu.Unlock()
	if idle {
		c.fail(ForcedServerClose, errConnectLate)
	}
}

// fail closes the connection from this side.
func (c *client) fail(reason Reason, err error) {
	c.mu.Lock()
	if c.reason == "" {
		c.reason = reason
	}
	c.mu.Unlock()
	if err != nil {
		c.server.set.Engine.Logger.Debug("client closed", "remote", c.session.RemoteAddr(), "reason", reason, "error", err)
	}
	c.session.Close()
}

// arrive takes acknowledgements when they come, so that whoever waits for one gets it even if that is a handler. It is called
// for each message, in order.
func arrive(session *engineio.Session, m engineio.Message) bool {
	c := session.Data.(*client)
	if c.due > 0 {
		c.due--
		return false
	}
	decoder := c.acks
	if decoder == nil {
		t, attachments, ok := c.server.set.Parser.Peek(m.Binary, m.Data)
		switch {
		case !ok:
			c.fail(ParseError, errBinaryFirst)
			return true
		case t != parser.Ack:
			c.due = attachments
			return false
		}
		decoder = c.server.decoders.Get().(parser.Decoder)
	}
	p, err := decoder.Add(m.Binary, m.Data)
	if err != nil {
		c.acks = nil
		c.fail(ParseError, err)
		return true
	}
	if p == nil {
		c.acks = decoder
		return true
	}
	c.acks = nil
	c.server.decoders.Put(decoder)
	return c.answered(p)
}

// answered takes an acknowledgement, and reports whether it is dealt with: otherwise it waits for its turn.
func (c *client) answered(p *parser.Packet) bool {
	s := c.socket(p.Namespace)
	if s == nil {
		c.fail(ForcedServerClose, errNotConnected)
		return true
	}
	a, ok := s.takeAck(p.ID)
	switch {
	case !ok: // it came too late, or was never asked for
		return true
	case a.onArrival:
		a.then(p.Data, nil)
		return true
	}
	c.mu.Lock()
	c.answers = append(c.answers, answered{s, a.then, p.Data})
	c.mu.Unlock()
	return false
}

// received handles a message that arrive has left.
func received(session *engineio.Session, m engineio.Message) {
	c := session.Data.(*client)
	c.run.Lock()
	defer c.run.Unlock()
	decoder := c.decoder
	if decoder == nil {
		if t, _, ok := c.server.set.Parser.Peek(m.Binary, m.Data); !ok || t == parser.Ack {
			c.answerNext() // this is its last message
			return
		}
		decoder = c.server.decoders.Get().(parser.Decoder)
	}
	p, err := decoder.Add(m.Binary, m.Data)
	switch {
	case err != nil:
		c.decoder = nil
		c.fail(ParseError, err)
	case p == nil:
		c.decoder = decoder
	default:
		c.decoder = nil
		c.server.decoders.Put(decoder)
		c.handle(p)
	}
}

// answerNext runs what the acknowledgement was for whose turn it is.
func (c *client) answerNext() {
	c.mu.Lock()
	if len(c.answers) == 0 {
		c.mu.Unlock()
		return
	}
	a := c.answers[0]
	c.answers = slices.Delete(c.answers, 0, 1)
	if len(c.answers) == 0 && cap(c.answers) > 16 {
		c.answers = nil
	}
	c.mu.Unlock()
	a.socket.guard(func() { a.then(a.args, nil) })
}

// handle handles a packet. run is held.
func (c *client) handle(p *parser.Packet) {
	if p.Type == parser.Connect {
		c.connectPacket(p)
		return
	}
	s := c.socket(p.Namespace)
	switch {
	case s == nil:
		c.fail(ForcedServerClose, errNotConnected)
	case p.Type == parser.Event:
		s.dispatch(p)
	case p.Type == parser.Disconnect:
		s.end(ClientNamespaceDisconnect, true)
	default:
		c.fail(ForcedServerClose, errServerOnly)
	}
}

// socket returns the socket of a namespace, nil if there is none.
func (c *client) socket(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.nsp.name == namespace {
			return s
		}
	}
	return nil
}

func (c *client) list() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sockets)
}

func (c *client) remove(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.sockets, s); i >= 0 {
		c.sockets = slices.Delete(c.sockets, i, i+1)
	}
}

// closed is called when the connection has ended.
func closed(session *engineio.Session, why *engineio.CloseError) {
	c := session.Data.(*client)
	if c.server.set.Engine.Inline {
		// Whoever sends too much to a client may be called here for it, in the middle of a broadcast.
		c.server.spawned.Go(func() { c.closed(why) })
		return
	}
	c.closed(why)
}

func (c *client) closed(why *engineio.CloseError) {
	c.run.Lock()
	defer c.run.Unlock()
	c.mu.Lock()
	reason := c.reason
	if reason == "" {
		reason = Reason(why.Reason)
	}
	c.gone = true
	c.answers = nil
	c.stopTimer()
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		s.end(reason, true)
	}
}

// stopTimer ends the time for connecting. mu is held.
func (c *client) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}
