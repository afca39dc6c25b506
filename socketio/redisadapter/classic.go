package redisadapter

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// ErrClosed is what requests end with when their adapter is closed.
var ErrClosed = errors.New("redisadapter: closed")

// Options configure the adapter that New makes. The zero value, and nil, have the defaults of the official adapter. Names in
// parentheses are those of its documentation. Its option parser does not exist: messages are MessagePack, as by its default.
type Options struct {
	// Key is what the names of all channels begin with (key). "": socket.io.
	Key string
	// RequestsTimeout is how long answers of other servers are waited for (requestsTimeout). 0: 5 s.
	RequestsTimeout time.Duration
	// PublishOnSpecificResponseChannel has answers sent to the server that has asked, not to all
	// (publishOnSpecificResponseChannel). Servers with and without understand each other.
	PublishOnSpecificResponseChannel bool
	// MaxQueueBytes bounds what waits to be published. 0: 16 MiB.
	MaxQueueBytes int
	// MaxMessageBytes is how long a message may be that is taken from Redis; longer ones are ignored. 0: 32 MiB.
	MaxMessageBytes int
	// Logger is told that Redis is away or back, and, each at most once a minute, of messages that are lost or ignored. nil:
	// slog.Default.
	Logger *slog.Logger
	// OnError is called with what the logger is told, but that Redis is back. It must not block. nil: nothing.
	OnError func(error)
}

func (o *Options) withDefaults() Options {
	var set Options
	if o != nil {
		set = *o
	}
	set.Key = cmp.Or(set.Key, "socket.io")
	set.RequestsTimeout = cmp.Or(set.RequestsTimeout, 5*time.Second)
	set.MaxQueueBytes = cmp.Or(set.MaxQueueBytes, 16<<20)
	set.MaxMessageBytes = cmp.Or(set.MaxMessageBytes, 32<<20)
	set.Logger = cmp.Or(set.Logger, slog.Default())
	return set
}

// New returns what makes the adapters of a server: see socketio.Options.Adapter. They are of type *Adapter, and those of one server share
// one connection to receive and one to publish. client is used as well to ask how many servers there are.
func New(client redis.UniversalClient, o *Options) func(*socketio.Namespace) socketio.Adapter {
	f := &factory{client: client, set: o.withDefaults(), links: map[*socketio.Server]*link{}}
	return func(n *socketio.Namespace) socketio.Adapter { return f.adapter(n) }
}

// Adapter is the adapter of a namespace. All methods may be called by any goroutine. FetchSockets, ServerCount, AllRooms, and
// ServerSideEmit with acknowledgements wait for the network; the others do not.
type Adapter struct {
	*socketio.MemoryAdapter
	link *link
	name string // of the namespace

	channel, requestChannel, responseChannel, ownResponseChannel string

	events turns // handlers of events of other servers, which may wait for answers of these

	mu       sync.Mutex
	requests map[string]*request // by id: what other servers are asked
	acks     map[string]*ackRequest
	serving  map[*serving]struct{} // what others have asked sockets of this server
	closed   bool
}

func newAdapter(n *socketio.Namespace, l *link) *Adapter {
	key, name := l.set.Key, "#"+n.Name()+"#"
	a := &Adapter{
		MemoryAdapter: socketio.NewMemoryAdapter(n).WithoutRecovery(), link: l, name: n.Name(),
		channel: key + name, requestChannel: key + "-request" + name, responseChannel: key + "-response" + name,
		requests: map[string]*request{}, acks: map[string]*ackRequest{}, serving: map[*serving]struct{}{},
	}
	a.ownResponseChannel = a.responseChannel + l.uid + "#"
	return a
}

// Broadcast sends an event to sockets of all servers. Those of this one get it whatever becomes of Redis.
func (a *Adapter) Broadcast(p *parser.Packet, o *socketio.BroadcastOptions) error {
	if !o.Flags.Local {
		message, err := appendBroadcast(nil, a.link.uid, p, o)
		if err != nil {
			return err
		}
		channel := a.channel
		if len(o.Rooms) == 1 {
			channel += o.Rooms[0] + "#"
		}
		_ = a.link.out.publish(channel, message) // that it is lost has been told
	}
	return a.MemoryAdapter.Broadcast(p, o)
}

// AddSockets puts sockets of all servers into rooms; those of this one at once.
func (a *Adapter) AddSockets(o *socketio.BroadcastOptions, rooms []string) {
	a.tell(o, &requestJSON{Type: remoteJoin, Rooms: rooms})
	a.MemoryAdapter.AddSockets(o, rooms)
}

// DelSockets takes sockets of all servers out of rooms; those of this one at once.
func (a *Adapter) DelSockets(o *socketio.BroadcastOptions, rooms []string) {
	a.tell(o, &requestJSON{Type: remoteLeave, Rooms: rooms})
	a.MemoryAdapter.DelSockets(o, rooms)
}

// DisconnectSockets disconnects sockets of all servers; those of this one at once.
func (a *Adapter) DisconnectSockets(o *socketio.BroadcastOptions, closeClients bool) {
	a.tell(o, &requestJSON{Type: remoteDisconnect, Close: &closeClients})
	a.MemoryAdapter.DisconnectSockets(o, closeClients)
}

// tell publishes a request that nobody answers.
func (a *Adapter) tell(o *socketio.BroadcastOptions, r *requestJSON) {
	if o.Flags.Local {
		return
	}
	r.UID, r.Opts = a.link.uid, newTargetJSON(o)
	_ = a.link.out.publish(a.requestChannel, r.encode())
}

// ServerCount returns how many servers have subscribed to the requests of the namespace, this one among them.
func (a *Adapter) ServerCount(ctx context.Context) (int, error) {
	others, err := a.others(ctx)
	return others + 1, err
}

// others returns how many other servers there are.
func (a *Adapter) others(ctx context.Context) (int, error) {
	n, err := subscribers(ctx, a.link.client, false, a.requestChannel)
	if a.link.in.subscribed(a.requestChannel) {
		n--
	}
	return max(n, 0), err
}

// Stats returns what the adapters of the server have counted since the first of them was made.
func (a *Adapter) Stats() Stats { return a.link.stats() }

// Err says why other servers cannot be reached, or not be heard, at the moment; nil: they can.
func (a *Adapter) Err() error { return cmp.Or(a.link.out.err(), a.link.in.err()) }

// Close ends what waits for answers, and takes the namespace out of the cluster. With the last adapter of a server its connections
// are closed; what waits to be published is given a second.
func (a *Adapter) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	for _, r := range a.requests {
		r.end(ErrClosed)
	}
	acks, serving := a.acks, a.serving
	a.acks, a.serving = nil, nil
	a.mu.Unlock()
	for _, r := range acks {
		r.lost(ErrClosed)
	}
	for s := range serving {
		s.end()
	}
	a.link.leave(a)
	return a.MemoryAdapter.Close()
}
