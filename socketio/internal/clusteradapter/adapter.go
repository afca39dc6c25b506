package clusteradapter

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// A Transport takes messages to the other servers. All methods may be called by any goroutine.
type Transport interface {
	// Publish sends a message to all other servers that have something to do with it; a message to its sender is ignored. It
	// does not wait for the network: what cannot be sent now is kept within bounds, or dropped, which is an error. m is
	// not used any more after it has returned.
	Publish(m *Message) error
	// Respond sends an answer to one server; otherwise it is like Publish.
	Respond(uid string, m *Message) error
	// Servers tells who would answer a request now. It may wait for the network. It is not called with Options.HeartbeatTimeout.
	Servers(ctx context.Context) (Servers, error)
}

// Servers are the servers of a cluster that have a namespace.
type Servers struct {
	Count  int      // with this one
	Others []string // the uids of the others; nil: only their number is known
}

// Options configure an Adapter.
type Options struct {
	// UID is what the server is called. "": 16 random hexadecimal digits.
	UID string
	// RequestTimeout is how long answers of other servers are waited for where the caller has not said that. 0: 5 s.
	RequestTimeout time.Duration
	// HeartbeatTimeout is after what time of silence a server is gone. 0: there are no heartbeats, and the transport knows the
	// servers.
	HeartbeatTimeout time.Duration
	// HeartbeatInterval is how often a heartbeat is sent. 0: half of HeartbeatTimeout.
	HeartbeatInterval time.Duration
	// MaxBytes is how long a message from the wire may be. 0: 16 MiB.
	MaxBytes int
	// Logger is told, at most once a minute, of messages that are not understood. nil: slog.Default.
	Logger *slog.Logger
}

// Stats count what an adapter has done since it was made.
type Stats struct {
	Published  uint64 // messages for other servers, answers among them, that the transport has taken
	Unsent     uint64 // those that it has not taken, or not sent after all
	Received   uint64 // messages of other servers that concerned this one
	Elsewhere  uint64 // broadcasts among them for rooms that nobody here is in
	Ignored    uint64 // what was no message of a cluster, or too long
	Overloaded uint64 // events for servers, and disconnections, that came faster than they could be handled
}

type counters struct{ published, unsent, received, elsewhere, ignored, overloaded atomic.Uint64 }

// Adapter is a MemoryAdapter that is told by the adapters of other servers what concerns its sockets, and tells them what
// concerns theirs. An adapter for a broker embeds it, gives it a Transport, and calls Receive with what comes.
type Adapter struct {
	*socketio.MemoryAdapter
	transport Transport
	options   Options
	uid       string
	log       *logger
	count     counters
	events    serial // handlers of events of servers
	endings   serial // of sockets

	mu       sync.Mutex
	requests map[string]*request
	acks     map[string]*ackRequest
	serving  map[*serving]struct{}
	beats    *heartbeats // nil: none
	closed   bool
}

// New returns the adapter of a namespace. The transport is not used before it has returned. See Start.
func New(n *socketio.Namespace, t Transport, o Options) *Adapter {
	o.RequestTimeout = cmp.Or(o.RequestTimeout, 5*time.Second)
	o.HeartbeatInterval = cmp.Or(o.HeartbeatInterval, o.HeartbeatTimeout/2)
	o.MaxBytes = cmp.Or(o.MaxBytes, 16<<20)
	if o.UID == "" {
		o.UID = newID()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	a := &Adapter{
		MemoryAdapter: socketio.NewMemoryAdapter(n).WithoutRecovery(), transport: t, options: o, uid: o.UID,
		log: &logger{to: o.Logger.With("namespace", n.Name())}, requests: map[string]*request{},
		acks: map[string]*ackRequest{}, serving: map[*serving]struct{}{},
	}
	if o.HeartbeatTimeout > 0 {
		a.beats = newHeartbeats(a)
	}
	return a
}

// newID returns an id as those of the official adapters.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// UID returns what the server is called by the others.
func (a *Adapter) UID() string { return a.uid }

// Stats returns what has been counted.
func (a *Adapter) Stats() Stats {
	c := &a.count
	return Stats{
		c.published.Load(), c.unsent.Load(), c.received.Load(), c.elsewhere.Load(), c.ignored.Load(), c.overloaded.Load(),
	}
}

// Message returns a message of this server, to be filled in.
func (a *Adapter) Message(t Type) *Message {
	return &Message{UID: a.uid, Namespace: a.Namespace().Name(), Type: t}
}

// Publish has the transport send a message to the other servers.
func (a *Adapter) Publish(m *Message) error {
	return a.Counted(a.transport.Publish(m))
}

func (a *Adapter) respond(to string, m *Message) {
	if err := a.Counted(a.transport.Respond(to, m)); err != nil {
		a.log.warn("answer to another server not sent", "error", err)
	}
}

// Counted counts a message that the transport has taken, or not, for an err.
func (a *Adapter) Counted(err error) error {
	if err != nil {
		a.count.unsent.Add(1)
	} else {
		a.count.published.Add(1)
	}
	return err
}

// Unsent counts a message that the transport has taken and could not send after all.
func (a *Adapter) Unsent(err error) {
	a.count.unsent.Add(1)
	a.log.warn("message to the other servers not sent", "error", err)
}

// Broadcast sends an event to sockets of all servers. Those of this one get it whether or not the transport takes it.
func (a *Adapter) Broadcast(p *parser.Packet, o *socketio.BroadcastOptions) error {
	if o.Flags.Local {
		return a.MemoryAdapter.Broadcast(p, o)
	}
	m := a.Message(Broadcast)
	m.Packet, m.Options = p, o
	a.tell(m)
	return a.MemoryAdapter.Broadcast(p, o)
}

// tell publishes what nobody waits for. Errors of what cannot be encoded are those of the local broadcast, too.
func (a *Adapter) tell(m *Message) {
	if err := a.Publish(m); err != nil {
		a.log.warn("message to the other servers not sent", "error", err)
	}
}

// AddSockets puts sockets of all servers into rooms.
func (a *Adapter) AddSockets(o *socketio.BroadcastOptions, rooms []string) {
	if !o.Flags.Local {
		m := a.Message(SocketsJoin)
		m.Options, m.Rooms = o, rooms
		a.tell(m)
	}
	a.MemoryAdapter.AddSockets(o, rooms)
}

// DelSockets takes sockets of all servers out of rooms.
func (a *Adapter) DelSockets(o *socketio.BroadcastOptions, rooms []string) {
	if !o.Flags.Local {
		m := a.Message(SocketsLeave)
		m.Options, m.Rooms = o, rooms
		a.tell(m)
	}
	a.MemoryAdapter.DelSockets(o, rooms)
}

// DisconnectSockets disconnects sockets of all servers.
func (a *Adapter) DisconnectSockets(o *socketio.BroadcastOptions, closeClients bool) {
	if !o.Flags.Local {
		m := a.Message(DisconnectSockets)
		m.Options, m.Close = o, closeClients
		a.tell(m)
	}
	a.MemoryAdapter.DisconnectSockets(o, closeClients)
}

// ServerCount returns the number of servers that have the namespace.
func (a *Adapter) ServerCount(ctx context.Context) (int, error) {
	s, err := a.servers(ctx)
	return s.Count, err
}

func (a *Adapter) servers(ctx context.Context) (Servers, error) {
	if a.beats != nil {
		others := a.beats.others()
		return Servers{len(others) + 1, others}, nil
	}
	return a.transport.Servers(ctx)
}

// Close ends what waits for answers, and with heartbeats tells the others that this server has gone.
func (a *Adapter) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	var stops []func()
	for s := range a.serving {
		stops = append(stops, s.end)
	}
	for _, r := range a.requests {
		r.end(ErrClosed)
	}
	for _, r := range a.acks {
		stops = append(stops, func() { r.lost(ErrClosed) })
	}
	a.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	if a.beats != nil {
		a.beats.stop()
		a.tell(a.Message(AdapterClose))
	}
	a.events.close()
	a.endings.close()
	return a.MemoryAdapter.Close()
}
