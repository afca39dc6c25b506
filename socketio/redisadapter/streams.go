package redisadapter

import (
	"cmp"
	"context"
	"encoding/base64"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf16"

	"github.com/redis/go-redis/v9"

	"baro.dev/socketio"
	"baro.dev/socketio/internal/clusteradapter"
	"baro.dev/socketio/parser"
)

// StreamsOptions configure the adapter of NewStreams. The zero value, and nil, have the defaults of the official one. Names in
// parentheses are those of its documentation; all servers of a cluster need the same ones, but for those of how it is read.
type StreamsOptions struct {
	// StreamName is the key of the stream (streamName). "": socket.io.
	StreamName string
	// StreamCount is over how many streams the namespaces are spread (streamCount): StreamName, a dash, and a number. 0: 1, which
	// has no number. The official adapter hears nothing of some namespaces if there are several, since it reckons negative
	// numbers for their streams; this one does.
	StreamCount int
	// ChannelPrefix is what the names of the channels for requests and answers begin with (channelPrefix). "": socket.io.
	ChannelPrefix string
	// UseShardedPubSub has these channels be sharded ones, of Redis 7 and newer (useShardedPubSub).
	UseShardedPubSub bool
	// MaxLen is about how many entries a stream keeps (maxLen). 0: 10,000. Who is away while so many come has lost some.
	MaxLen int64
	// ReadCount is how many entries are read at once (readCount). 0: 100.
	ReadCount int64
	// BlockTime is how long Redis is asked to wait for an entry (blockTimeInMs). 0: 5 s.
	BlockTime time.Duration
	// SessionKeyPrefix is what the keys begin with under which sessions wait for their clients (sessionKeyPrefix). "": sio:session:.
	SessionKeyPrefix string
	// RequestTimeout is how long answers of other servers are waited for where no context says that. 0: 5 s.
	RequestTimeout time.Duration
	// MaxQueueBytes bounds what waits to be sent; what is more is not sent. 0: 16 MiB.
	MaxQueueBytes int
	// MaxMessageBytes bounds what comes from other servers; what is longer is ignored. 0: 16 MiB.
	MaxMessageBytes int
	// Logger is told when Redis goes away and comes back, of messages that are not understood, and of entries that were gone
	// before they were read. nil: slog.Default.
	Logger *slog.Logger
}

// NewStreams makes adapters that talk to those of @socket.io/redis-streams-adapter 0.3, over a stream of Redis, and over Pub/Sub for
// what is of use only to who hears it now: for socketio.Options.Adapter. What is broadcast while Redis is away from this server
// is read when it is back, unless it has been dropped from the stream (MaxLen). client is a *redis.Client or a
// *redis.ClusterClient, which stays the caller's; it panics if it is another. One function may be used by one server.
//
// With socketio.Options.ConnectionStateRecovery clients find their socket, rooms, data and missed events on whatever server they
// come back to, one of Node as well. All their events go through the stream then, those of this server too, so that
// every client gets them in the order of the stream: an event takes the time of a round trip to Redis, and what is emitted
// otherwise meanwhile (volatile, local, or to be acknowledged) arrives before it. While Redis is away the clients of this
// server get its events at once, and without an offset. A client whose cut connection another server has not noticed yet begins
// anew. With Engine.Inline a client that comes back has the loop wait for Redis.
func NewStreams(client redis.UniversalClient, o *StreamsOptions) func(*socketio.Namespace) socketio.Adapter {
	var set StreamsOptions
	if o != nil {
		set = *o
	}
	set.StreamName = cmp.Or(set.StreamName, "socket.io")
	set.StreamCount = max(1, set.StreamCount)
	set.ChannelPrefix = cmp.Or(set.ChannelPrefix, "socket.io")
	set.MaxLen = cmp.Or(set.MaxLen, 10_000)
	set.ReadCount = cmp.Or(set.ReadCount, 100)
	set.BlockTime = cmp.Or(set.BlockTime, 5*time.Second)
	set.SessionKeyPrefix = cmp.Or(set.SessionKeyPrefix, "sio:session:")
	set.MaxQueueBytes = cmp.Or(set.MaxQueueBytes, 16<<20)
	set.MaxMessageBytes = cmp.Or(set.MaxMessageBytes, 16<<20)
	set.Logger = cmp.Or(set.Logger, slog.Default())
	w := newWire(client, set.UseShardedPubSub, set.Logger, set.MaxQueueBytes)
	s := &streams{wire: w, set: &set, readers: map[string]*reader{}}
	return func(n *socketio.Namespace) socketio.Adapter { return newStreams(n, s) }
}

// streams are the readers of the streams that there are namespaces for.
type streams struct {
	wire *wire
	set  *StreamsOptions

	mu      sync.Mutex
	readers map[string]*reader
}

// name returns the stream of a namespace: the hash of strings that Java has, of UTF-16 and in 32 bits, and a remainder that may
// be negative.
func (s *streams) name(namespace string) string {
	if s.set.StreamCount == 1 {
		return s.set.StreamName
	}
	var hash int32
	for _, unit := range utf16.Encode([]rune(namespace)) {
		hash = hash*31 + int32(unit)
	}
	return s.set.StreamName + "-" + strconv.Itoa(int(hash)%s.set.StreamCount)
}

// StreamsAdapter is what NewStreams makes of a namespace.
type StreamsAdapter struct {
	*clusteradapter.Adapter
	set      *StreamsOptions
	streams  *streams
	recovery *socketio.ConnectionStateRecovery // nil: none
	send     *sender
	hear     *shards
	reader   *reader
	channel  string
	answers  string
	closed   atomic.Bool

	mu      sync.Mutex
	last    uint64
	pending map[uint64]own // by the number that their entries have
}

// own is an event of this server that is to come back by the stream.
type own struct {
	packet  *parser.Packet
	options *socketio.BroadcastOptions
}

func newStreams(n *socketio.Namespace, s *streams) *StreamsAdapter {
	a := &StreamsAdapter{
		set: s.set, streams: s, recovery: n.ConnectionStateRecovery(), channel: s.set.ChannelPrefix + "#" + n.Name() + "#", pending: map[uint64]own{},
	}
	a.Adapter = clusteradapter.New(n, (*streamsTransport)(a), clusteradapter.Options{
		RequestTimeout: s.set.RequestTimeout, MaxBytes: s.set.MaxMessageBytes, Logger: s.set.Logger,
	})
	a.answers = a.channel + a.UID() + "#"
	a.send, a.hear = s.wire.open()
	a.reader = s.join(a)
	heard := func(payload string) { a.Receive(lend(payload)) }
	s.wire.listen(a.hear, a.channel, heard)
	s.wire.listen(a.hear, a.answers, heard)
	return a
}

// Broadcast sends an event to sockets of all servers.
func (a *StreamsAdapter) Broadcast(p *parser.Packet, o *socketio.BroadcastOptions) error {
	if a.recovery == nil || o.Flags.Local || o.Flags.Volatile || p.Type != parser.Event || p.HasID {
		return a.Adapter.Broadcast(p, o)
	}
	m := a.Message(clusteradapter.Broadcast)
	m.Packet, m.Options = p, o
	a.relieve()
	number := a.expect(own{p, o})
	err := a.add(m, number, func(_ *redis.Cmd, err error) {
		if err != nil {
			a.Unsent(err)
			a.giveUp(number)
		}
	})
	if a.Counted(err) == nil || !a.take(number, nil) {
		return nil
	}
	return a.MemoryAdapter.Broadcast(p, o) // which also knows what cannot be encoded
}

// maxPending is how many events may be on their way through the stream.
const maxPending = 50_000

func (a *StreamsAdapter) expect(o own) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	a.pending[a.last] = o
	return a.last
}

// relieve sends what should have come back long ago, if it becomes too much: the stream is written, and cannot be read.
func (a *StreamsAdapter) relieve() {
	a.mu.Lock()
	if len(a.pending) <= maxPending {
		a.mu.Unlock()
		return
	}
	numbers := slices.Sorted(maps.Keys(a.pending))
	a.mu.Unlock()
	for _, n := range numbers {
		a.giveUp(n)
	}
}

// take takes what is to come back; nobody else does then.
func (a *StreamsAdapter) take(number uint64, o *own) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	got, ok := a.pending[number]
	if delete(a.pending, number); ok && o != nil {
		*o = got
	}
	return ok
}

// giveUp sends what will not come back to the sockets of this server.
func (a *StreamsAdapter) giveUp(number uint64) {
	var o own
	if a.take(number, &o) {
		_ = a.MemoryAdapter.Broadcast(o.packet, o.options)
	}
}

// add puts a message into the stream. number is kept with it, unless it is 0: by that this server knows it again.
func (a *StreamsAdapter) add(m *clusteradapter.Message, number uint64, done func(*redis.Cmd, error)) error {
	data, packed, err := m.EncodeData()
	if err != nil {
		return err
	}
	if packed {
		data = base64.StdEncoding.AppendEncode(nil, data)
	}
	args := make([]any, 0, 16)
	args = append(args, "xadd", a.reader.name, "MAXLEN", "~", a.set.MaxLen, "*",
		"uid", m.UID, "nsp", m.Namespace, "type", strconv.Itoa(int(m.Type)))
	if data != nil {
		args = append(args, "data", data)
	}
	if number != 0 {
		args = append(args, numberField, number)
	}
	return a.send.send(len(data), done, args...)
}

// numberField is a field of entries that other servers do not look at.
const numberField = "n"

// Err says why the other servers hear nothing of this one at the moment, or it nothing of them; nil: nothing is known to be wrong.
func (a *StreamsAdapter) Err() error {
	if err := a.send.failure(); err != nil {
		return err
	}
	if err := a.reader.failure(); err != nil {
		return err
	}
	return a.hear.failure()
}

// Lost returns how often entries were gone from the stream before this server has read them.
func (a *StreamsAdapter) Lost() uint64 { return a.reader.lost.Load() }

// Close ends the adapter.
func (a *StreamsAdapter) Close() error {
	if a.closed.Swap(true) {
		return nil
	}
	err := a.Adapter.Close()
	a.streams.wire.unlisten(a.hear, a.channel)
	a.streams.wire.unlisten(a.hear, a.answers)
	a.streams.leave(a)
	a.streams.wire.close()
	return err
}

// streamsTransport is a StreamsAdapter for the messages that it sends.
type streamsTransport StreamsAdapter

func (t *streamsTransport) Publish(m *clusteradapter.Message) error {
	if m.Ephemeral() {
		return t.publish(t.channel, m)
	}
	return (*StreamsAdapter)(t).add(m, 0, t.sent)
}

func (t *streamsTransport) Respond(uid string, m *clusteradapter.Message) error {
	return t.publish(t.channel+uid+"#", m)
}

func (t *streamsTransport) publish(channel string, m *clusteradapter.Message) error {
	data, err := m.EncodeMsgpack()
	if err != nil {
		return err
	}
	command := "publish"
	if t.set.UseShardedPubSub {
		command = "spublish"
	}
	return t.send.send(len(channel)+len(data), t.sent, command, channel, data)
}

func (t *streamsTransport) sent(_ *redis.Cmd, err error) {
	if err != nil {
		t.Unsent(err)
	}
}

func (t *streamsTransport) Servers(ctx context.Context) (clusteradapter.Servers, error) {
	if err := t.hear.await(ctx, t.channel, t.answers); err != nil {
		return clusteradapter.Servers{}, err
	}
	if _, err := t.reader.reached(ctx, "0-0"); err != nil { // or it would be counted and hear nothing
		return clusteradapter.Servers{}, err
	}
	n, err := subscribers(ctx, t.streams.wire.client, t.set.UseShardedPubSub, t.channel)
	return clusteradapter.Servers{Count: n}, err
}
