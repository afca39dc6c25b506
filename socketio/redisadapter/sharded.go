package redisadapter

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"baro.dev/socketio"
	"baro.dev/socketio/internal/clusteradapter"
)

// ShardedOptions configure the adapter of NewSharded. The zero value, and nil, have the defaults of the official one. Names in
// parentheses are those of its documentation; all servers of a cluster need the same ones.
type ShardedOptions struct {
	// ChannelPrefix is what the names of channels begin with (channelPrefix). "": socket.io.
	ChannelPrefix string
	// SubscriptionMode says which rooms have a channel of their own (subscriptionMode). "": Dynamic.
	SubscriptionMode SubscriptionMode
	// RequestTimeout is how long answers of other servers are waited for where no context says that. 0: 5 s.
	RequestTimeout time.Duration
	// MaxQueueBytes bounds what waits to be sent; what is more is not sent. 0: 16 MiB.
	MaxQueueBytes int
	// MaxMessageBytes bounds what comes from other servers; what is longer is ignored. 0: 16 MiB.
	MaxMessageBytes int
	// Logger is told when Redis goes away and comes back, and of messages that are not understood. nil: slog.Default.
	Logger *slog.Logger
}

// SubscriptionMode says which rooms have a channel of their own, so that their broadcasts reach only servers that have
// somebody in them.
type SubscriptionMode string

// The modes, in the words of the official adapter.
const (
	Static         SubscriptionMode = "static"          // none: all is on two channels for each namespace
	Dynamic        SubscriptionMode = "dynamic"         // all but the rooms of single sockets
	DynamicPrivate SubscriptionMode = "dynamic-private" // all; many channels, for applications that emit to single sockets much
)

// ClusterStats count what an adapter of NewSharded or NewStreams has done since it was made.
type ClusterStats = clusteradapter.Stats

// NewSharded makes adapters that talk to those of createShardedAdapter of @socket.io/redis-adapter 8, over sharded Pub/Sub of Redis 7
// and newer: for socketio.Options.Adapter. client is a *redis.Client or a *redis.ClusterClient, which stays the caller's; it panics if
// it is another, or if there is no such SubscriptionMode. One function may be used by one server.
//
// A room whose name has 20 characters is taken for that of a socket by all servers of such a cluster, and has no channel of its own
// in the mode Dynamic.
func NewSharded(client redis.UniversalClient, o *ShardedOptions) func(*socketio.Namespace) socketio.Adapter {
	var set ShardedOptions
	if o != nil {
		set = *o
	}
	set.ChannelPrefix = cmp.Or(set.ChannelPrefix, "socket.io")
	set.SubscriptionMode = cmp.Or(set.SubscriptionMode, Dynamic)
	set.MaxQueueBytes = cmp.Or(set.MaxQueueBytes, 16<<20)
	set.Logger = cmp.Or(set.Logger, slog.Default())
	switch set.SubscriptionMode {
	case Static, Dynamic, DynamicPrivate:
	default:
		panic(fmt.Sprintf("redisadapter: there is no subscription mode %q", set.SubscriptionMode))
	}
	w := newWire(client, true, set.Logger, set.MaxQueueBytes)
	return func(n *socketio.Namespace) socketio.Adapter { return newSharded(n, w, &set) }
}

// ShardedAdapter is what NewSharded makes of a namespace.
type ShardedAdapter struct {
	*clusteradapter.Adapter
	set     *ShardedOptions
	wire    *wire
	send    *sender
	hear    *shards
	channel string
	answers string
	closed  atomic.Bool

	following sync.Mutex
}

func newSharded(n *socketio.Namespace, w *wire, set *ShardedOptions) *ShardedAdapter {
	a := &ShardedAdapter{set: set, wire: w, channel: set.ChannelPrefix + "#" + n.Name() + "#"}
	a.Adapter = clusteradapter.New(n, (*shardedTransport)(a), clusteradapter.Options{
		RequestTimeout: set.RequestTimeout, MaxBytes: set.MaxMessageBytes, Logger: set.Logger,
	})
	a.answers = a.channel + a.UID() + "#"
	a.send, a.hear = w.open()
	w.listen(a.hear, a.channel, a.heard)
	w.listen(a.hear, a.answers, a.heard)
	if set.SubscriptionMode == Static {
		return a
	}
	a.OnRoom(func(e socketio.RoomEvent) {
		if (e.Type == socketio.CreateRoom || e.Type == socketio.DeleteRoom) && a.separate(e.Room) {
			a.follow(e.Room)
		}
	})
	n.OnConnection(func(s *socketio.Socket) { // the room of a socket alone is not told of
		if id := s.ID(); a.separate(id) {
			w.listen(a.hear, a.channel+id+"#", a.heard)
			if !s.Connected() {
				w.unlisten(a.hear, a.channel+id+"#")
			}
		}
	})
	return a
}

// follow has the channel of a room heard while somebody is in it. Events of rooms may come in another order than they happened.
func (a *ShardedAdapter) follow(room string) {
	a.following.Lock()
	defer a.following.Unlock()
	if a.Concerns([]string{room}) {
		a.wire.listen(a.hear, a.channel+room+"#", a.heard)
	} else {
		a.wire.unlisten(a.hear, a.channel+room+"#")
	}
}

// heard takes a message. One goroutine calls it at a time.
func (a *ShardedAdapter) heard(payload string) { a.Receive(lend(payload)) }

// DelAll takes a socket of this server out of all rooms.
func (a *ShardedAdapter) DelAll(id string) {
	a.Adapter.DelAll(id)
	if a.set.SubscriptionMode != Static && a.separate(id) {
		a.wire.unlisten(a.hear, a.channel+id+"#")
	}
}

// separate reports whether a room has a channel of its own.
func (a *ShardedAdapter) separate(room string) bool {
	switch a.set.SubscriptionMode {
	case Dynamic:
		return !looksLikeID(room)
	case DynamicPrivate:
		return true
	}
	return false
}

// looksLikeID: 20 characters, as JavaScript counts them.
func looksLikeID(room string) bool {
	if len(room) < 20 || len(room) > 3*20 {
		return false
	}
	n := 0
	for _, r := range room {
		if n++; r > 0xffff && r <= utf8.MaxRune {
			n++
		}
	}
	return n == 20
}

// Err says why the other servers hear nothing of this one at the moment, or it nothing of them; nil: nothing is known to be wrong.
func (a *ShardedAdapter) Err() error {
	if err := a.send.failure(); err != nil {
		return err
	}
	return a.hear.failure()
}

// Close ends the adapter.
func (a *ShardedAdapter) Close() error {
	if a.closed.Swap(true) {
		return nil
	}
	err := a.Adapter.Close()
	a.wire.unlisten(a.hear, a.channel)
	a.wire.unlisten(a.hear, a.answers)
	for room := range a.Rooms() {
		if a.separate(room) {
			a.wire.unlisten(a.hear, a.channel+room+"#")
		}
	}
	a.wire.close()
	return err
}

// shardedTransport is a ShardedAdapter for the messages that it sends.
type shardedTransport ShardedAdapter

func (t *shardedTransport) Publish(m *clusteradapter.Message) error {
	channel := t.channel
	if m.Type == clusteradapter.Broadcast && m.RequestID == "" && len(m.Options.Rooms) == 1 &&
		(*ShardedAdapter)(t).separate(m.Options.Rooms[0]) {
		channel += m.Options.Rooms[0] + "#"
	}
	return t.publish(channel, m)
}

func (t *shardedTransport) Respond(uid string, m *clusteradapter.Message) error {
	return t.publish(t.channel+uid+"#", m)
}

func (t *shardedTransport) publish(channel string, m *clusteradapter.Message) error {
	data, err := m.Encode()
	if err != nil {
		return err
	}
	return t.send.send(len(channel)+len(data), t.sent, "spublish", channel, data)
}

func (t *shardedTransport) sent(_ *redis.Cmd, err error) {
	if err != nil {
		t.Unsent(err)
	}
}

func (t *shardedTransport) Servers(ctx context.Context) (clusteradapter.Servers, error) {
	if err := t.hear.await(ctx, t.channel, t.answers); err != nil {
		return clusteradapter.Servers{}, err
	}
	n, err := subscribers(ctx, t.wire.client, true, t.channel)
	return clusteradapter.Servers{Count: n}, err
}
