package socketio

import (
	"regexp"
	"slices"
	"sync"
	"time"

	"baro.dev/socketio/parser"
)

// ParentNamespace stands for namespaces that come to be when clients connect to them (Server.OfPattern, Server.OfFunc). Their
// sockets run its middleware and handlers, before those that a child has of its own.
type ParentNamespace struct {
	server  *Server
	pattern *regexp.Regexp
	match   func(string, parser.Value) bool
	hooks

	childMu  sync.RWMutex
	children []*Namespace
}

func (p *ParentNamespace) matches(name string, auth parser.Value) bool {
	if p.pattern != nil {
		return p.pattern.MatchString(name)
	}
	if auth.IsZero() {
		auth = jsonValue(struct{}{})
	}
	return p.match(name, auth)
}

func (p *ParentNamespace) adopt(n *Namespace) {
	p.childMu.Lock()
	defer p.childMu.Unlock()
	p.children = append(p.children, n)
}

func (p *ParentNamespace) disown(n *Namespace) {
	p.childMu.Lock()
	defer p.childMu.Unlock()
	if i := slices.Index(p.children, n); i >= 0 {
		p.children = slices.Delete(p.children, i, i+1)
	}
}

// Children returns the namespaces that there are.
func (p *ParentNamespace) Children() []*Namespace {
	p.childMu.RLock()
	defer p.childMu.RUnlock()
	return slices.Clone(p.children)
}

func (p *ParentNamespace) each(f func(*Namespace)) {
	for _, n := range p.Children() {
		f(n)
	}
}

// Use is Namespace.Use.
func (p *ParentNamespace) Use(check func(*Socket) error) { add(&p.hooks, &p.middleware, check) }

// OnConnection is Namespace.OnConnection.
func (p *ParentNamespace) OnConnection(handle func(*Socket)) { add(&p.hooks, &p.connection, handle) }

// OnDisconnecting is Namespace.OnDisconnecting.
func (p *ParentNamespace) OnDisconnecting(handle func(*Socket, Reason)) {
	add(&p.hooks, &p.disconnecting, handle)
}

// OnDisconnect is Namespace.OnDisconnect.
func (p *ParentNamespace) OnDisconnect(handle func(*Socket, Reason)) {
	add(&p.hooks, &p.disconnect, handle)
}

// On is Namespace.On.
func (p *ParentNamespace) On(name string, handle func(*Event)) (remove func()) {
	return p.events.add(&handler{name: name, call: handle})
}

// OnAny is Namespace.OnAny.
func (p *ParentNamespace) OnAny(handle func(*Event)) (remove func()) {
	return p.events.addAny(&handler{call: handle})
}

// Off is Namespace.Off.
func (p *ParentNamespace) Off(names ...string) {
	p.events.removeIf(func(h *handler) bool { return len(names) == 0 || slices.Contains(names, h.name) })
}

func (p *ParentNamespace) operator() BroadcastOperator { return BroadcastOperator{of: p} }

// Emit sends an event to all sockets of all children.
func (p *ParentNamespace) Emit(event string, args ...any) error {
	return p.operator().Emit(event, args...)
}

// Send emits the event message.
func (p *ParentNamespace) Send(args ...any) error { return p.operator().Send(args...) }

// To is Namespace.To. The operator is for all children; it does not wait for acknowledgements, and does not fetch sockets.
func (p *ParentNamespace) To(rooms ...string) BroadcastOperator { return p.operator().To(rooms...) }

// In is To.
func (p *ParentNamespace) In(rooms ...string) BroadcastOperator { return p.operator().To(rooms...) }

// Except is Namespace.Except, and To.
func (p *ParentNamespace) Except(rooms ...string) BroadcastOperator {
	return p.operator().Except(rooms...)
}

// Local is Namespace.Local, and To.
func (p *ParentNamespace) Local() BroadcastOperator { return p.operator().Local() }

// Volatile is Namespace.Volatile, and To.
func (p *ParentNamespace) Volatile() BroadcastOperator { return p.operator().Volatile() }

// Compress is Namespace.Compress, and To.
func (p *ParentNamespace) Compress(compress bool) BroadcastOperator {
	return p.operator().Compress(compress)
}

// Timeout is Namespace.Timeout, and To.
func (p *ParentNamespace) Timeout(d time.Duration) BroadcastOperator { return p.operator().Timeout(d) }

// SocketsJoin puts all sockets of all children into rooms.
func (p *ParentNamespace) SocketsJoin(rooms ...string) { p.operator().SocketsJoin(rooms...) }

// SocketsLeave takes all sockets of all children out of rooms.
func (p *ParentNamespace) SocketsLeave(rooms ...string) { p.operator().SocketsLeave(rooms...) }

// DisconnectSockets disconnects all sockets of all children.
func (p *ParentNamespace) DisconnectSockets(closeClients bool) {
	p.operator().DisconnectSockets(closeClients)
}
