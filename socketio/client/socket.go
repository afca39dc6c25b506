package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	eio "baro.dev/engineio/client"
	"baro.dev/socketio/parser"
)

// Socket is a client of one namespace. [New] and [Manager.Socket] make it.
type Socket struct {
	manager   *Manager
	namespace string
	own       bool // the manager is for it alone
	wanted    atomic.Bool
	handlers  handlers
	inbox     inbox

	mu        sync.Mutex
	auth      any
	authFunc  func(context.Context) (any, error)
	greeted   *eio.Session // by which it is connected, or wants to be
	greeting  uint64       // counts what greeted was set to
	asked     *eio.Session // that was sent CONNECT, and has not answered
	adopted   bool         // asked was so by a greeting before
	session   *eio.Session // by which it is connected; nil if it is not
	life      uint64       // counts what session was set to
	id        string
	pid       string // of connection state recovery
	offset    string // of the last event
	recovered bool
	early     []parser.Packet // that came before the answer to CONNECT
	earlySize int             // about their bytes
	outbox    []*outgoing     // that wait for the connection
	waiting   int             // their bytes
	acks      map[uint64]*pending
	nextID    uint64
	retries   []*retry       // that wait for an acknowledgement, one at a time
	retrying  int            // their bytes
	arrivals  []chan<- error // of those who wait in Connect
	failure   error          // of the last try
}

// New makes a socket with a connection of its own: for the namespace that is the path of the URL, which has the scheme http, https,
// ws or wss. options may be nil; they are copied. It does not connect.
func New(url string, options *Options) (*Socket, error) {
	set, namespace, err := options.settings(url)
	if err != nil {
		return nil, err
	}
	s := newManager(set).Socket(namespace)
	s.own = true
	return s, nil
}

func newSocket(m *Manager, namespace string) *Socket {
	s := &Socket{manager: m, namespace: namespace, auth: m.set.Auth, authFunc: m.set.AuthFunc}
	s.inbox.begin, s.inbox.end, s.inbox.limit = m.enter, m.end, m.set.MaxBuffered
	s.inbox.room.L = &s.inbox.mu
	return s
}

// enter is begin for who has no lock. Handlers are run to their end even when the manager is closed.
func (m *Manager) enter() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.work++
}

// Manager returns the manager.
func (s *Socket) Manager() *Manager { return s.manager }

// Namespace returns the name of the namespace.
func (s *Socket) Namespace() string { return s.namespace }

// ID returns the id that the server knows the socket by; "" while it is not connected.
func (s *Socket) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		return ""
	}
	return s.id
}

// Connected reports whether the socket is connected.
func (s *Socket) Connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session != nil
}

// Active reports whether the socket is connected, or will try to be.
func (s *Socket) Active() bool { return s.wanted.Load() }

// Recovered reports whether the present connection has gone on from the one before, and what the server emitted meanwhile has come
// (connection state recovery).
func (s *Socket) Recovered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recovered
}

// SetAuth replaces Options.Auth and Options.AuthFunc for this socket, from its next connection on.
func (s *Socket) SetAuth(auth any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.auth, s.authFunc = auth, nil
}

// Connect connects the socket, and waits until it is: from then on it comes back by itself when the connection is lost. It is also
// how a socket comes back that has been refused, or disconnected by the server or by Disconnect. While the server cannot be reached it is
// tried again, until ctx is done; then the socket is disconnected. The error is that of ctx, with what failed last; a *ConnectError;
// ErrGivenUp, with what failed; ErrProtocol, if the server's answer is none; or ErrClosed.
func (s *Socket) Connect(ctx context.Context) error {
	arrival := make(chan error, 1)
	s.mu.Lock()
	if s.session != nil {
		s.mu.Unlock()
		return nil
	}
	s.arrivals = append(s.arrivals, arrival)
	s.mu.Unlock()
	if err := s.Open(); err != nil {
		return err
	}
	select {
	case err := <-arrival:
		return err
	case <-ctx.Done():
		s.mu.Lock()
		last := s.failure
		s.mu.Unlock()
		s.Disconnect()
		return errors.Join(context.Cause(ctx), last)
	}
}

// final says whether nothing is tried any more after an error.
func final(err error) bool {
	_, refused := errors.AsType[*ConnectError](err)
	return refused || errors.Is(err, ErrGivenUp) || errors.Is(err, ErrClosed)
}

// Open is Connect without waiting. The error is ErrClosed.
func (s *Socket) Open() error {
	m := s.manager
	m.mu.Lock()
	if m.ctx.Err() != nil {
		m.mu.Unlock()
		return ErrClosed
	}
	if !s.wanted.Swap(true) {
		m.active++
	}
	m.mu.Unlock()
	m.want(s)
	return nil
}

// Disconnect leaves the namespace. The socket does not come back by itself; Connect brings it back, and what was emitted meanwhile leaves
// then.
func (s *Socket) Disconnect() {
	if !s.wanted.Swap(false) {
		return
	}
	s.mu.Lock()
	session := s.session
	s.mu.Unlock()
	if session != nil {
		_ = s.send(session, &parser.Packet{Type: parser.Disconnect, Namespace: s.namespace}) // or the session has ended
	}
	s.disconnected(ClientDisconnect, ErrDisconnected, ErrDisconnected)
	s.manager.unwanted()
}

// Close disconnects the socket, and closes the manager if that is for it alone. See Manager.Close, which waits without bound for what
// was emitted: Close waits 5 s for that.
func (s *Socket) Close() error {
	if !s.own {
		s.Disconnect()
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return s.manager.Close(ctx)
}

// abandon drops what waits for the connection, or for an acknowledgement: the manager is closed.
func (s *Socket) abandon() {
	s.inbox.open()
	s.mu.Lock()
	var all []*pending
	for _, p := range s.acks {
		p.stop()
		all = append(all, p)
	}
	for _, r := range s.retries {
		if r.ack != nil {
			all = append(all, r.ack)
		}
	}
	s.acks, s.retries, s.retrying, s.outbox, s.waiting = nil, nil, 0, nil, 0
	s.mu.Unlock()
	for _, p := range all {
		p.end(Args{}, ErrClosed)
	}
}

// hello sends CONNECT by a session, once.
func (s *Socket) hello(session *eio.Session) {
	s.mu.Lock()
	if s.greeted == session || !s.wanted.Load() {
		s.mu.Unlock()
		return
	}
	s.greeted = session
	s.greeting++
	if s.adopted = s.asked == session; s.adopted {
		s.mu.Unlock() // the server takes CONNECT once: the answer is on its way
		return
	}
	n, auth, ask := s.greeting, s.auth, s.authFunc
	s.mu.Unlock()
	if ask == nil {
		s.greet(session, n, auth, nil)
		return
	}
	s.manager.enter()
	go func() {
		defer s.manager.end()
		auth, err := ask(s.manager.ctx)
		s.greet(session, n, auth, err)
	}()
}

// greet sends CONNECT, unless the socket has left meanwhile, or it is told that there is nothing to say.
func (s *Socket) greet(session *eio.Session, n uint64, auth any, err error) {
	s.mu.Lock()
	if s.greeted != session || s.greeting != n {
		s.mu.Unlock()
		return
	}
	if err == nil {
		err = s.sendConnect(session, auth)
	}
	ended := session.Err() != nil
	switch {
	case err == nil:
		s.asked = session
	case !ended:
		s.greeted = nil
	}
	s.mu.Unlock()
	if err != nil && !ended {
		s.failed(err)
	}
}

// sendConnect sends CONNECT. The caller holds mu.
func (s *Socket) sendConnect(session *eio.Session, auth any) error {
	p := parser.Packet{Type: parser.Connect, Namespace: s.namespace}
	if s.pid != "" {
		withRecovery, err := recovering(auth, s.pid, s.offset)
		if err != nil {
			return err
		}
		auth = withRecovery
	}
	if auth != nil {
		p.Data = parser.Values(auth)
	}
	return s.send(session, &p)
}

// send encodes a packet and sends it.
func (s *Socket) send(session *eio.Session, p *parser.Packet) error {
	messages, _, err := s.encode(p)
	if err != nil {
		return err
	}
	return session.Send(messages...)
}

func (s *Socket) encode(p *parser.Packet) (all []eio.Message, size int, err error) {
	encoded, err := s.manager.set.Parser.Encode(nil, nil, p)
	if err != nil {
		return nil, 0, err
	}
	all = make([]eio.Message, len(encoded))
	for i, m := range encoded {
		all[i] = eio.Message{Data: m.Data, Binary: m.Binary}
		size += len(m.Data)
	}
	return all, size, nil
}

// receive does what a packet says. It is called by the goroutine that reads.
func (s *Socket) receive(session *eio.Session, p *parser.Packet) {
	switch p.Type {
	case parser.Connect:
		s.admitted(session, p)
	case parser.Event:
		s.event(session, p)
	case parser.Ack:
		s.acknowledged(p)
	case parser.Disconnect:
		if s.wanted.Swap(false) {
			s.disconnected(ServerDisconnect, ErrDisconnected, ErrDisconnected)
			s.manager.unwanted()
		}
	case parser.ConnectError:
		s.refused(session, p)
	}
}

// earlyOverhead is about what an event takes that waits, beside its bytes.
const earlyOverhead = 200

// event hands an event on, or keeps it until the server has let the socket in: with connection state recovery what was missed comes before.
func (s *Socket) event(session *eio.Session, p *parser.Packet) {
	limit := s.manager.set.MaxBuffered
	s.mu.Lock()
	switch {
	case s.session == session:
		s.note(p)
		life := s.life
		s.mu.Unlock()
		s.handle(p, life, sizeOf(p), session)
		return
	case s.greeted != session: // it has left
		s.mu.Unlock()
		return
	}
	size := sizeOf(p) + earlyOverhead
	if len(s.early) == 0 || s.earlySize+size <= limit {
		s.early, s.earlySize = append(s.early, *p), s.earlySize+size
		s.mu.Unlock()
		return
	}
	s.pid, s.offset = "", "" // they would come again
	s.mu.Unlock()
	err := violation("more than %d bytes of events came before the answer to CONNECT", limit)
	s.failed(err)
	s.manager.lost(session, err)
	session.CloseNow()
}

// admitted is the answer to CONNECT.
func (s *Socket) admitted(session *eio.Session, p *parser.Packet) {
	var said struct {
		SID string `json:"sid"`
		PID string `json:"pid"`
	}
	s.mu.Lock()
	if s.asked != session {
		s.mu.Unlock()
		return
	}
	s.asked = nil
	if s.greeted != session || !s.wanted.Load() {
		s.mu.Unlock()
		_ = s.send(session, &parser.Packet{Type: parser.Disconnect, Namespace: s.namespace}) // it has left meanwhile
		return
	}
	if p.Data.Len() == 0 || p.Data.Bind(&said) != nil || said.SID == "" {
		s.greeted, s.early, s.earlySize = nil, nil, 0
		s.mu.Unlock()
		err := violation("the answer to CONNECT has no sid: the server may be one of Socket.IO 2, which this client does not speak to")
		s.failed(err)
		s.settle(err) // there will be no other answer, as long as the connection lasts
		return
	}
	s.id, s.session = said.SID, session
	s.life++
	s.recovered = said.PID != "" && said.PID == s.pid
	if s.pid != said.PID {
		s.offset = ""
	}
	s.pid = said.PID
	early := s.early
	s.early, s.earlySize = nil, 0
	s.inbox.push(0, nil, s.handlers.connected)
	for i := range early {
		s.note(&early[i])
		s.handle(&early[i], s.life, 0, session)
	}
	s.flush()
	s.mu.Unlock()
	s.retry()
	s.arrived(nil)
}

// refused is that the server, or its middleware, does not want the socket.
func (s *Socket) refused(session *eio.Session, p *parser.Packet) {
	s.mu.Lock()
	if s.asked != session {
		s.mu.Unlock()
		return // it is let in already
	}
	s.asked = nil
	again := s.adopted && s.greeted == session
	s.greeted, s.early, s.earlySize = nil, nil, 0
	s.mu.Unlock()
	if again {
		s.hello(session) // by what it would say now
		return
	}
	var said struct {
		Message string `json:"message"`
		Data    Value  `json:"data"`
	}
	_ = p.Data.Bind(&said) // without what it says
	err := &ConnectError{Message: said.Message, Data: said.Data}
	if s.wanted.Swap(false) {
		s.failed(err)
		s.manager.unwanted()
	}
}

// failed is that the socket could not be connected, this time.
func (s *Socket) failed(err error) {
	s.arrived(err) // before somebody hears of it, who may call Connect
	s.inbox.push(0, nil, func() { s.handlers.failed(err) })
}

// giveUp is that the manager does not try any more.
func (s *Socket) giveUp(err error) {
	if s.wanted.Swap(false) {
		s.arrived(err)
		s.manager.unwanted()
	}
}

// arrived tells who waits in Connect, unless it is tried again.
func (s *Socket) arrived(err error) {
	s.mu.Lock()
	if err != nil && !final(err) {
		s.failure = err
		s.mu.Unlock()
		return
	}
	if errors.Is(err, ErrGivenUp) && s.failure != nil {
		err = errors.Join(err, s.failure)
	}
	s.mu.Unlock()
	s.settle(err)
}

// settle tells who waits in Connect.
func (s *Socket) settle(err error) {
	s.mu.Lock()
	all := s.arrivals
	s.arrivals, s.failure = nil, nil
	s.mu.Unlock()
	for _, arrival := range all {
		arrival <- err
	}
}

// disconnected is the end of the connection. Where the socket leaves with it (told is not nil) that is told to who waits in Connect, but not to
// who calls that because he has heard of it.
func (s *Socket) disconnected(why Reason, err, told error) {
	s.mu.Lock()
	was := s.session != nil
	s.session, s.greeted, s.early, s.earlySize = nil, nil, nil, 0
	s.greeting++
	var waiting []chan<- error
	if why == ClientDisconnect || why == ServerDisconnect {
		s.pid, s.offset = "", ""
	} else {
		s.asked = nil
	}
	if told != nil {
		waiting, s.arrivals, s.failure = s.arrivals, nil, nil
	}
	if s.manager.ctx.Err() != nil {
		told = ErrClosed
	}
	failed := s.failPending()
	s.mu.Unlock()
	for _, arrival := range waiting {
		arrival <- told
	}
	if was {
		s.inbox.push(0, nil, func() { s.handlers.disconnected(why, err) })
	}
	for _, p := range failed {
		p.end(Args{}, ErrDisconnected)
	}
}
