package client

import (
	"slices"
	"sync"

	"baro.dev/socketio/parser"
)

// handlers is what is registered with a socket.
type handlers struct {
	mu           sync.Mutex
	byName       map[string][]*handler
	any          []*handler
	anyOutgoing  []*handler
	onConnect    []func()
	onDisconnect []func(Reason, error)
	onFailed     []func(error)
}

type handler struct{ call func(*Event) }

// On registers a handler of an event, and returns what removes it again. A name that is one of the lifecycle panics: see OnConnect,
// OnDisconnect and OnConnectError.
func (s *Socket) On(name string, f func(*Event)) (remove func()) {
	if parser.Reserved(name) {
		panic("socketio/client: " + name + " is no event of the server: see OnConnect, OnDisconnect and OnConnectError")
	}
	h, added := &s.handlers, &handler{f}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byName == nil {
		h.byName = make(map[string][]*handler)
	}
	h.byName[name] = append(h.byName[name], added)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.byName[name] = without(h.byName[name], added); len(h.byName[name]) == 0 {
			delete(h.byName, name)
		}
	}
}

// Once is On for the next event of that name alone.
func (s *Socket) Once(name string, f func(*Event)) (remove func()) {
	var once sync.Once
	remove = s.On(name, func(e *Event) {
		once.Do(func() {
			remove()
			f(e)
		})
	})
	return remove
}

// Off removes all handlers of an event.
func (s *Socket) Off(name string) {
	s.handlers.mu.Lock()
	defer s.handlers.mu.Unlock()
	delete(s.handlers.byName, name)
}

// OnAny registers a handler of all events, which is called before the others (onAny), and returns what removes it again.
func (s *Socket) OnAny(f func(*Event)) (remove func()) { return s.handlers.addAny(&s.handlers.any, f) }

// OnAnyOutgoing registers a handler of all events that are emitted (onAnyOutgoing), and returns what removes it again. It is called by
// whoever emits, must not block, and must not use the socket.
func (s *Socket) OnAnyOutgoing(f func(*Event)) (remove func()) {
	return s.handlers.addAny(&s.handlers.anyOutgoing, f)
}

func (h *handlers) addAny(to *[]*handler, f func(*Event)) (remove func()) {
	added := &handler{f}
	h.mu.Lock()
	defer h.mu.Unlock()
	*to = append(*to, added)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		*to = without(*to, added)
	}
}

// without returns all but one, in a slice of its own: somebody may be calling the others.
func without(all []*handler, one *handler) []*handler {
	return slices.DeleteFunc(slices.Clone(all), func(h *handler) bool { return h == one })
}

// OnConnect registers a handler that is called whenever the socket has been connected (connect), before the events that come by that
// connection: see Recovered.
func (s *Socket) OnConnect(f func()) {
	s.handlers.mu.Lock()
	defer s.handlers.mu.Unlock()
	s.handlers.onConnect = append(s.handlers.onConnect, f)
}

// OnDisconnect registers a handler that is called whenever the socket has been disconnected, with what is known of why (disconnect).
func (s *Socket) OnDisconnect(f func(why Reason, err error)) {
	s.handlers.mu.Lock()
	defer s.handlers.mu.Unlock()
	s.handlers.onDisconnect = append(s.handlers.onDisconnect, f)
}

// OnConnectError registers a handler that is called whenever the socket could not be connected (connect_error): by a *ConnectError of
// the server, after which it is not tried again, or by an error of the network, after which it is (see Socket.Active).
func (s *Socket) OnConnectError(f func(error)) {
	s.handlers.mu.Lock()
	defer s.handlers.mu.Unlock()
	s.handlers.onFailed = append(s.handlers.onFailed, f)
}

func (h *handlers) connected() {
	h.mu.Lock()
	all := h.onConnect
	h.mu.Unlock()
	for _, f := range all {
		f()
	}
}

func (h *handlers) disconnected(why Reason, err error) {
	h.mu.Lock()
	all := h.onDisconnect
	h.mu.Unlock()
	for _, f := range all {
		f(why, err)
	}
}

func (h *handlers) failed(err error) {
	h.mu.Lock()
	all := h.onFailed
	h.mu.Unlock()
	for _, f := range all {
		f(err)
	}
}

func (h *handlers) call(e *Event) {
	h.mu.Lock()
	first, all := h.any, h.byName[e.Name()]
	h.mu.Unlock()
	for _, h := range first {
		h.call(e)
	}
	for _, h := range all {
		h.call(e)
	}
}

// outgoing tells of an event that is emitted.
func (h *handlers) outgoing(s *Socket, p *parser.Packet) {
	h.mu.Lock()
	all := h.anyOutgoing
	h.mu.Unlock()
	for _, h := range all {
		h.call(&Event{socket: s, packet: parser.Packet{Type: p.Type, Namespace: p.Namespace, Data: p.Data}})
	}
}
