package client

import (
	"context"
	"errors"
	"sync"
	"time"

	eio "baro.dev/engineio/client"
	"baro.dev/socketio/parser"
)

// A Manager has a connection to a server, which the sockets of many namespaces share, and makes it again when it is lost.
// [NewManager] makes one. It is connected while one of its sockets is, or wants to be.
type Manager struct {
	set    *settings
	events lifecycle

	ctx    context.Context // until Close
	cancel context.CancelCauseFunc
	ended  chan struct{}

	mu        sync.Mutex
	sockets   map[string]*Socket
	made      []*Socket    // the same, in the order in which they were made
	active    int          // sockets that want to be connected
	session   *eio.Session // nil while there is none
	prior     bool         // the last one was a WebSocket in the end
	dialing   context.CancelFunc
	work      int // goroutines, and sessions that have not ended
	announced bool
}

// NewManager makes a manager for the server of a URL: http, https, ws or wss; its path is ignored. options may be nil; they are copied.
// It does not connect.
func NewManager(url string, options *Options) (*Manager, error) {
	set, _, err := options.settings(url)
	if err != nil {
		return nil, err
	}
	return newManager(set), nil
}

func newManager(set *settings) *Manager {
	m := &Manager{set: set, sockets: make(map[string]*Socket), ended: make(chan struct{})}
	m.ctx, m.cancel = context.WithCancelCause(context.Background())
	return m
}

// Socket returns the socket of a namespace, "/" or "" being the main one: always the same one. It is connected by Socket.Connect.
func (m *Manager) Socket(namespace string) *Socket {
	switch {
	case namespace == "":
		namespace = "/"
	case namespace[0] != '/':
		namespace = "/" + namespace
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sockets[namespace]
	if s == nil {
		s = newSocket(m, namespace)
		m.sockets[namespace] = s
		m.made = append(m.made, s)
	}
	return s
}

// Engine returns the session of Engine.IO; nil while there is none.
func (m *Manager) Engine() *eio.Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session
}

// Close disconnects all sockets, for ever. What was emitted leaves first, as far as ctx permits. When all has ended Done is closed: Close
// does not wait for handlers, so that one may call it. The error is that of ctx.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	m.cancel(ErrClosed)
	all := m.made
	session := m.session
	m.mu.Unlock()
	for _, s := range all {
		s.Disconnect()
		s.abandon()
	}
	var err error
	if session != nil {
		if err = session.Close(ctx); errors.Is(err, eio.ErrClosed) {
			err = nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endIfIdle()
	return err
}

// Done is closed when the manager was closed and all has ended, handlers that were running too.
func (m *Manager) Done() <-chan struct{} { return m.ended }

// begin counts something that has to end; it is false if nothing begins any more. The caller holds mu.
func (m *Manager) begin() bool {
	if m.ctx.Err() != nil {
		return false
	}
	m.work++
	return true
}

func (m *Manager) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.work--
	m.endIfIdle()
}

func (m *Manager) endIfIdle() {
	if m.work == 0 && m.ctx.Err() != nil && !m.announced {
		m.announced = true
		close(m.ended)
	}
}

// want has the manager connect for a socket, which is among the active ones unless it has left again.
func (m *Manager) want(s *Socket) {
	m.mu.Lock()
	session := m.session
	if session == nil && m.dialing == nil && m.active > 0 && m.begin() {
		ctx, cancel := context.WithCancel(m.ctx)
		m.dialing = cancel
		go m.dial(ctx, false)
	}
	m.mu.Unlock()
	if session != nil {
		s.hello(session)
	}
}

// unwanted is that a socket leaves: with the last one the connection ends.
func (m *Manager) unwanted() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.active--; m.active > 0 {
		return
	}
	if m.dialing != nil {
		m.dialing()
	}
	if m.ctx.Err() != nil {
		return // Close ends the session
	}
	if session := m.session; session != nil && m.begin() {
		m.session, m.prior = nil, session.Transport() == eio.WebSocket
		go func() {
			defer m.end()
			ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
			defer cancel()
			_ = session.Close(ctx) // it ends in any case
		}()
	}
}

// closeTimeout bounds how long what was emitted may take to leave when nobody waits for it.
const closeTimeout = 5 * time.Second

// all returns the sockets that want to be connected, in the order in which they were made: so they enter.
func (m *Manager) all() (all []*Socket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.made {
		if s.wanted.Load() {
			all = append(all, s)
		}
	}
	return all
}

// dial opens a session, again and again if need be. It is a goroutine, one at a time.
func (m *Manager) dial(ctx context.Context, again bool) {
	defer m.end()
	for attempt := 0; ; attempt++ {
		if again || attempt > 0 {
			if err := m.pause(ctx, attempt, again); err != nil {
				m.giveUp(err)
				return
			}
		}
		err := m.open(ctx)
		if err == nil {
			if again || attempt > 0 {
				m.events.tell(reconnected, nil, attempt)
			}
			return
		}
		if ctx.Err() != nil {
			m.giveUp(context.Cause(ctx))
			return
		}
		m.set.Logger.Debug("not connected", "error", err)
		for _, s := range m.all() {
			s.failed(err)
		}
		m.events.tell(reconnectFailed, err, attempt)
	}
}

// pause waits until it is time for an attempt.
func (m *Manager) pause(ctx context.Context, attempt int, again bool) error {
	if again {
		attempt++
	}
	switch {
	case m.set.NoReconnection:
		return ErrGivenUp
	case m.set.ReconnectionAttempts > 0 && attempt > m.set.ReconnectionAttempts:
		return ErrGivenUp
	}
	t := time.NewTimer(m.set.delay(attempt))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	m.events.tell(reconnecting, nil, attempt)
	return nil
}

// giveUp ends dialling. A socket that has begun to want a connection just now gets another try.
func (m *Manager) giveUp(err error) {
	if errors.Is(err, ErrGivenUp) {
		for _, s := range m.all() {
			s.giveUp(err)
		}
		m.events.tell(gaveUp, err, 0)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dialing()
	m.dialing = nil
	if m.active > 0 && m.session == nil && m.begin() {
		next, cancel := context.WithCancel(m.ctx)
		m.dialing = cancel
		go m.dial(next, false)
	}
}

// open opens a session, and has the sockets connect by it.
func (m *Manager) open(ctx context.Context) error {
	m.mu.Lock()
	options := m.set.engine(m.prior)
	m.mu.Unlock()
	decoder := m.set.Parser.NewDecoder(m.set.Limits)
	var p parser.Packet
	options.OnMessage = func(session *eio.Session, msg eio.Message) {
		complete, err := decoder.Add(&p, msg.Binary, msg.Data)
		if err != nil {
			m.lost(session, violation("%w", err))
			session.CloseNow()
			return
		}
		if complete {
			m.receive(session, &p)
		}
	}
	options.OnPing = func(*eio.Session) {
		for _, s := range m.all() { // what a session did not take at once
			s.mu.Lock()
			s.flush()
			s.mu.Unlock()
		}
		m.events.tell(pinged, nil, 0)
	}
	options.OnClose = func(session *eio.Session, err error) {
		m.lost(session, err)
		m.end()
	}
	m.mu.Lock()
	if !m.begin() {
		m.mu.Unlock()
		return ErrClosed
	}
	m.mu.Unlock()
	session, err := eio.Dial(ctx, m.set.url, &options)
	if err != nil {
		m.mu.Lock()
		m.prior = false // it may be WebSocket that does not pass any more
		m.mu.Unlock()
		m.end()
		return err
	}
	m.mu.Lock()
	if err := session.Err(); err != nil || m.active == 0 || ctx.Err() != nil {
		m.mu.Unlock()
		session.CloseNow()
		return errors.Join(err, context.Cause(ctx))
	}
	m.session = session
	m.dialing()
	m.dialing = nil
	m.mu.Unlock()
	for _, s := range m.all() {
		s.hello(session)
	}
	return nil
}

// receive hands a packet to its socket.
func (m *Manager) receive(session *eio.Session, p *parser.Packet) {
	m.mu.Lock()
	s := m.sockets[p.Namespace]
	current := m.session == session
	m.mu.Unlock()
	if s != nil && current {
		s.receive(session, p)
	}
}

// lost has the session be none any more, and another one made.
func (m *Manager) lost(session *eio.Session, why error) {
	m.mu.Lock()
	if m.session != session {
		m.mu.Unlock()
		return
	}
	m.session, m.prior = nil, session.Transport() == eio.WebSocket
	m.mu.Unlock()
	m.set.Logger.Debug("connection lost", "error", why)
	for _, s := range m.all() {
		switch {
		case !m.set.NoReconnection:
			s.disconnected(reasonOf(why), why, nil)
		case s.wanted.Swap(false): // before somebody hears of it, who may want it back
			s.disconnected(reasonOf(why), why, errors.Join(ErrGivenUp, why))
			m.unwanted()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.active > 0 && m.session == nil && m.dialing == nil && m.begin() {
		ctx, cancel := context.WithCancel(m.ctx)
		m.dialing = cancel
		go m.dial(ctx, !m.set.NoReconnection)
	}
}
