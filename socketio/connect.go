package socketio

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"baro.dev/socketio/parser"
)

// connectPacket handles a CONNECT. run is held.
func (c *client) connectPacket(p *parser.Packet) {
	name, query, _ := strings.Cut(p.Namespace, "?")
	auth := p.Data.Value(0)
	if c.session.Protocol() == 3 {
		auth = queryAuth(query)
	} else {
		name = p.Namespace
	}
	c.connect(name, auth, true)
}

// connect connects the client to a namespace. Where nobody has to be waited for that happens at once, provided that run is held
// (inTurn). Otherwise it is done by another goroutine, so that what the client does in other namespaces goes on.
func (c *client) connect(name string, auth parser.Value, inTurn bool) {
	srv := c.server
	if err := c.begin(name, auth.Size()); err != nil {
		c.fail(ForcedServerClose, err)
		return
	}
	n := srv.namespace(name)
	parents := n == nil && srv.hasParents()
	recovers := srv.set.ConnectionStateRecovery != nil && !auth.IsZero()
	if inTurn && (srv.set.Engine.Inline || n != nil && !n.hasMiddleware() && !recovers || n == nil && !parents) {
		c.admit(n, name, auth, true)
		return
	}
	srv.spawned.Go(func() { c.admit(n, name, auth, false) })
}

// begin notes that the client is being connected to a namespace. What it has to say for itself is kept with each socket.
func (c *client) begin(name string, auth int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := auth
	for _, s := range c.sockets {
		if m := s.more.Load(); m != nil {
			kept += m.auth.Size()
		}
	}
	for _, a := range c.connecting {
		kept += a.auth
	}
	connected := slices.ContainsFunc(c.sockets, func(s *Socket) bool { return s.nsp.name == name })
	switch {
	case connected || c.attempt(name) >= 0:
		return errConnectTwice
	case len(c.sockets)+len(c.connecting) >= c.server.set.MaxNamespaces:
		return errConnectMany
	case int64(kept) > cmp.Or(c.server.set.Engine.MaxHTTPBufferSize, 1_000_000):
		return errConnectLong
	}
	c.connecting = append(c.connecting, attempt{namespace: name, auth: auth})
	return nil
}

// attempt returns where in c.connecting a namespace is, -1 if it is not there. mu is held.
func (c *client) attempt(namespace string) int {
	return slices.IndexFunc(c.connecting, func(a attempt) bool { return a.namespace == namespace })
}

// settled notes that the client is not being connected any more, and adds a socket, if it is not nil. It reports whether
// the client is still there.
func (c *client) settled(name string, s *Socket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.attempt(name); i >= 0 {
		c.connecting = slices.Delete(c.connecting, i, i+1)
	}
	if len(c.connecting) == 0 {
		c.connecting = nil
	}
	if c.gone || c.lost.Load() {
		return false
	}
	if s != nil {
		c.sockets = append(c.sockets, s)
		c.stopTimer()
	}
	return true
}

// admit lets the client into a namespace, or refuses it.
func (c *client) admit(n *Namespace, name string, auth parser.Value, inTurn bool) {
	var s *Socket
	err := error(errInternal)
	defer func() { c.answer(name, s, err, inTurn) }() // deferred, since middleware may end the goroutine
	s, err = c.prepare(n, name, auth)
}

// answer answers a CONNECT.
func (c *client) answer(name string, s *Socket, err error, inTurn bool) {
	if !inTurn {
		c.run.Lock()
		defer c.run.Unlock()
	}
	if err != nil {
		if c.settled(name, nil) {
			c.refuse(name, err)
		}
		return
	}
	if !c.settled(name, s) {
		s.abandon()
		return
	}
	s.goLive()
}

// prepare makes the socket, and runs the middleware. A panic there is an error, and so is the end of the goroutine.
func (c *client) prepare(n *Namespace, name string, auth parser.Value) (s *Socket, err error) {
	err = errInternal
	defer func() {
		if v := recover(); v != nil {
			c.server.set.Engine.Logger.Error("middleware panicked", "namespace", name, "panic", v, "stack", string(debug.Stack()))
		}
		if err != nil && s != nil {
			s.abandon()
		}
	}()
	for {
		if n == nil {
			if n = c.server.child(name, auth); n == nil {
				return nil, errInvalidNamespace
			}
		}
		if s = c.newSocket(n, auth); n.enter(s) {
			c.mu.Lock()
			c.connecting[c.attempt(name)].socket = s
			c.mu.Unlock()
			break
		}
		s, n = nil, c.server.namespace(name) // an empty child that has been removed just now
	}
	if r := n.recovery(); s.recovered && !r.RunMiddlewares {
		return s, nil
	}
	for _, h := range n.hooksFrom() {
		for _, check := range listed(h, &h.middleware) {
			if err := check(s); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

var (
	errInvalidNamespace = &Error{Message: "Invalid namespace"}
	errInternal         = &Error{Message: "internal error"}
)

// refuse answers a CONNECT with an error.
func (c *client) refuse(name string, err error) {
	c.mu.Lock()
	c.refused++
	often := c.refused > maxRefused
	c.mu.Unlock()
	if often {
		c.fail(ForcedServerClose, errConnectRefuse)
		return
	}
	e := asError(err)
	var value any = e
	if c.session.Protocol() == 3 && err != error(errInvalidNamespace) { // a plain value, as the official server has it
		if value = e.Message; e.Data != nil {
			value = e.Data
		}
	}
	p := parser.Packet{Type: parser.ConnectError, Namespace: name, Data: parser.Values(value)}
	if err := c.send(p, false); err != nil && err != ErrDisconnected {
		c.fail(ForcedServerClose, fmt.Errorf("socketio: refusal not sent: %w", err))
	}
}

// newSocket returns a socket that is being connected.
func (c *client) newSocket(n *Namespace, auth parser.Value) *Socket {
	s := &Socket{nsp: n, client: c, session: c.session, issued: time.Now().UnixMilli()}
	if !auth.IsZero() {
		s.extra().auth = auth
	}
	if c.session.Protocol() == 3 {
		if s.id = c.session.ID(); n.name != "/" {
			s.id = n.name + "#" + s.id
		}
		return s
	}
	if n.recovery() != nil {
		s.recover(auth)
	}
	if s.id == "" {
		s.id = n.newID()
	}
	return s
}

// connectAnswer is what the answer to a CONNECT carries, in protocol 5.
type connectAnswer struct {
	SID string `json:"sid"`
	PID string `json:"pid,omitempty"`
}

// goLive answers the CONNECT and begins with the handlers. run is held.
func (s *Socket) goLive() {
	if !s.begin() {
		return
	}
	defer s.contain()
	for _, h := range s.nsp.hooksFrom() {
		for _, f := range listed(h, &h.connection) {
			f(s)
		}
	}
}

// begin answers the CONNECT. It reports false if the socket has been abandoned.
func (s *Socket) begin() bool {
	if m := s.more.Load(); m != nil {
		m.stopping.Lock()
		defer m.stopping.Unlock()
	}
	if s.state.Load() == ended {
		s.client.remove(s)
		return false
	}
	live := func() {
		p := parser.Packet{Type: parser.Connect, Namespace: s.nsp.name}
		if s.session.Protocol() != 3 {
			a := connectAnswer{SID: s.id}
			if m := s.more.Load(); m != nil {
				a.PID = m.pid
			}
			p.Data = parser.Values(a)
		}
		s.nsp.adapter.admit(func() {
			_ = s.client.send(p, false)
			s.state.Store(connected)
		})
	}
	switch r := s.takeRestored(); {
	case r != nil:
		s.nsp.adapter.AddAll(s.id, r.Rooms)
		if r.Resume != nil {
			r.Resume(s, live)
			break
		}
		live()
	case s.nsp.log != nil:
		s.nsp.log.begin(s, live)
	default:
		live()
	}
	return true
}

// abandon takes back a socket that has not been connected, and gives back what it was to go on with.
func (s *Socket) abandon() {
	if !s.withdraw() {
		return
	}
	s.interrupt()
	s.OffAnyOutgoing()
	s.failAcks()
}

// withdraw reports false if the socket has been connected, or withdrawn before.
func (s *Socket) withdraw() bool {
	if m := s.more.Load(); m != nil {
		m.stopping.Lock()
		defer m.stopping.Unlock()
	}
	if !s.state.CompareAndSwap(connecting, ended) {
		return false
	}
	s.nsp.adapter.DelAll(s.id)
	s.nsp.leave(s)
	if r := s.takeRestored(); r != nil && r.GiveBack != nil {
		r.GiveBack()
	}
	return true
}
