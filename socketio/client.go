package socketio

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/engineio"
	"baro.dev/socketio/parser"
)

// client is a connection, and what it carries: its sockets, one for each namespace.
type client struct {
	server  *Server
	session *engineio.Session
	hello   hello
	values  context.Context // from Options.Context; nil: none

	// run is held while a handler of the client runs. The goroutine of the session's handlers takes it for each message, and so
	// do those of middleware, timeouts and Disconnect when it is their turn.
	run     sync.Mutex
	decoder parser.Decoder // of a packet whose attachments are due; run guards it

	// What arrive uses; nobody else does.
	acks parser.Decoder // of an acknowledgement whose attachments are due
	due  int32          // attachments of another packet

	mu         sync.Mutex
	sockets    []*Socket
	connecting []attempt
	turns      []func()    // of messages that arrive has seen to in part
	timer      *time.Timer // until there is a socket
	reason     Reason      // why this side ends the connection
	refused    int32
	gone       bool

	lost atomic.Bool // the session has ended, and handlers may not know it yet
}

// attempt is a namespace that the client is being connected to: its middleware runs.
type attempt struct {
	namespace string
	auth      int     // bytes of what the client has to say for itself
	socket    *Socket // nil at first
}

var (
	errNoPacket      = errors.New("socketio: message that begins no packet")
	errNotConnected  = errors.New("socketio: packet for a namespace that is not connected")
	errConnectTwice  = errors.New("socketio: second CONNECT to a namespace")
	errConnectMany   = errors.New("socketio: more namespaces than allowed")
	errConnectLong   = errors.New("socketio: CONNECTs that together carry more than MaxHTTPBufferSize")
	errConnectLate   = errors.New("socketio: no CONNECT in time")
	errConnectRefuse = errors.New("socketio: refused too often")
	errServerOnly    = errors.New("socketio: CONNECT_ERROR from a client")
)

// maxRefused is how many times a client may try to connect in vain.
const maxRefused = 100

func (s *Server) opened(session *engineio.Session, r *http.Request) {
	c := &client{server: s, session: session, hello: newHello(r)}
	if s.set.Context != nil {
		c.values = context.WithoutCancel(s.set.Context(r))
	}
	session.Data = c
	if session.Protocol() == 3 {
		// Protocol 4: the main namespace is joined without being asked for.
		if s.set.Engine.Inline {
			c.run.Lock()
			defer c.run.Unlock()
		}
		c.connect("/", parser.Value{}, s.set.Engine.Inline)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(s.set.ConnectTimeout, c.late)
}

// arrive takes acknowledgements when they come, so that whoever waits for one gets it even if that is a handler. It is called
// for each message, in order. What begins with an acknowledgement, or with nothing that is known, and cannot be dealt with
// at once, leaves something in c.turns for its last message.
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
			return c.later(func() { c.fail(ParseError, errNoPacket) })
		case t != parser.Ack:
			c.due = int32(attachments)
			return false
		}
		decoder = c.server.decoders.Get().(parser.Decoder)
	}
	pending := c.acks != nil
	c.acks = nil
	var p parser.Packet
	complete, err := decoder.Add(&p, m.Binary, m.Data)
	if err != nil {
		if pending { // this message may begin another packet, whose turn would come
			c.fail(ParseError, err)
			return true
		}
		return c.later(func() { c.fail(ParseError, err) })
	}
	if !complete {
		c.acks = decoder
		return true
	}
	c.server.decoders.Put(decoder)
	s := c.socket(p.Namespace)
	if s == nil { // its CONNECT may be waiting for its turn
		return c.later(func() {
			if c.socket(p.Namespace) == nil {
				c.fail(ForcedServerClose, errNotConnected)
			}
		})
	}
	a, ok := s.takeAck(p.ID)
	switch {
	case !ok: // it came too late, or was never asked for
		return true
	case a.onArrival:
		a.then(p.Data, nil)
		return true
	}
	return c.later(func() { s.guard(func() { a.then(p.Data, nil) }) })
}

// later has something run when it is the turn of the message that has just come. It returns false.
func (c *client) later(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turns = append(c.turns, f)
	return false
}

// turn runs what is next. run is held.
func (c *client) turn() {
	c.mu.Lock()
	if len(c.turns) == 0 {
		c.mu.Unlock()
		return
	}
	f := c.turns[0]
	if c.turns = slices.Delete(c.turns, 0, 1); len(c.turns) == 0 {
		c.turns = nil
	}
	c.mu.Unlock()
	f()
}

// received handles a message that arrive has left.
func received(session *engineio.Session, m engineio.Message) {
	c := session.Data.(*client)
	c.run.Lock()
	defer c.run.Unlock()
	decoder := c.decoder
	if decoder == nil {
		if t, _, ok := c.server.set.Parser.Peek(m.Binary, m.Data); !ok || t == parser.Ack {
			c.turn()
			return
		}
		decoder = c.server.decoders.Get().(parser.Decoder)
	}
	c.decoder = nil
	e := new(Event) // nearly always
	complete, err := decoder.Add(&e.packet, m.Binary, m.Data)
	switch {
	case err != nil:
		c.fail(ParseError, err)
	case !complete:
		c.decoder = decoder
	default:
		c.server.decoders.Put(decoder)
		c.handle(e)
	}
}

// handle handles a packet, which may be that of an event. run is held.
func (c *client) handle(e *Event) {
	p := &e.packet
	if p.Type == parser.Connect {
		c.connectPacket(p)
		return
	}
	s := c.socket(p.Namespace)
	switch {
	case s == nil:
		c.fail(ForcedServerClose, errNotConnected)
	case p.Type == parser.Event:
		s.dispatch(e)
	case p.Type == parser.Disconnect:
		s.end(ClientNamespaceDisconnect, true)
	default:
		c.fail(ForcedServerClose, errServerOnly)
	}
}

// socket returns the socket of a namespace, nil if there is none.
func (c *client) socket(namespace string) *Socket {
	c.mu.Lock()
	var found *Socket
	for _, s := range c.sockets {
		if s.nsp.name == namespace {
			found = s
			break
		}
	}
	c.mu.Unlock()
	return found
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
