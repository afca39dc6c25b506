package redisadapter

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// emitterID is what emitters are called by servers.
const emitterID = "emitter"

// EmitterOptions configure an Emitter. The zero value, and nil, have the defaults of the official one.
type EmitterOptions struct {
	// Key is that of the servers' Options (key). "": socket.io.
	Key string
}

// Emitter sends events to the clients of servers that are joined by New, here or by @socket.io/redis-adapter, from a program that is no
// server itself, as @socket.io/redis-emitter does. It says which sockets something is for and how it is sent: it is an immutable
// value, each method returns another one, and it may be kept, and used by any goroutine.
//
// What publishes waits for Redis, as long as ctx and the timeouts of the client allow. What several goroutines publish at the same time goes
// in one pipeline; where ctx ends the wait there, it may still be published. A client whose MaxRetries is not -1 tries
// again when a connection breaks, so that a message may come twice. That nobody has received it is no error.
type Emitter struct {
	together  *together
	key       string
	namespace string
	target    socketio.BroadcastOptions
}

// NewEmitter returns an emitter for all sockets of the main namespace.
func NewEmitter(client redis.UniversalClient, o *EmitterOptions) Emitter {
	e := Emitter{together: &together{client: client}, key: "socket.io", namespace: "/"}
	if o != nil {
		e.key = cmp.Or(o.Key, e.key)
	}
	return e
}

// Of returns an emitter for all sockets of a namespace; its slash may be missing.
func (e Emitter) Of(namespace string) Emitter {
	if !strings.HasPrefix(namespace, "/") {
		namespace = "/" + namespace
	}
	return Emitter{together: e.together, key: e.key, namespace: namespace}
}

// To adds rooms: the sockets that are in any of them. Without rooms it is all of the namespace. The id of a socket is a room.
func (e Emitter) To(rooms ...string) Emitter {
	e.target.Rooms = append(slices.Clip(e.target.Rooms), rooms...)
	return e
}

// In is To.
func (e Emitter) In(rooms ...string) Emitter { return e.To(rooms...) }

// Except leaves out the sockets that are in any of the rooms.
func (e Emitter) Except(rooms ...string) Emitter {
	e.target.Except = append(slices.Clip(e.target.Except), rooms...)
	return e
}

// Volatile leaves out clients that are not ready for an event.
func (e Emitter) Volatile() Emitter { e.target.Flags.Volatile = true; return e }

// Compress says whether events are compressed, where there is compression at all.
func (e Emitter) Compress(compress bool) Emitter {
	e.target.Flags.Uncompress = !compress
	return e
}

// Emit sends an event. Arguments are what socketio.Socket.Emit takes. The error is that of Redis, or says what cannot be encoded.
func (e Emitter) Emit(ctx context.Context, event string, args ...any) error {
	p := &parser.Packet{Type: parser.Event, Namespace: e.namespace, Data: parser.EventData(event, args...)}
	message, err := appendBroadcast(nil, emitterID, p, &e.target)
	if err != nil {
		return err
	}
	channel := e.key + "#" + e.namespace + "#"
	if len(e.target.Rooms) == 1 {
		channel += e.target.Rooms[0] + "#"
	}
	return e.publish(ctx, channel, message)
}

// SocketsJoin puts the sockets into rooms.
func (e Emitter) SocketsJoin(ctx context.Context, rooms ...string) error {
	return e.request(ctx, &requestJSON{Type: remoteJoin, Rooms: rooms})
}

// SocketsLeave takes the sockets out of rooms.
func (e Emitter) SocketsLeave(ctx context.Context, rooms ...string) error {
	return e.request(ctx, &requestJSON{Type: remoteLeave, Rooms: rooms})
}

// DisconnectSockets disconnects the sockets; see socketio.Socket.Disconnect.
func (e Emitter) DisconnectSockets(ctx context.Context, closeClients bool) error {
	return e.request(ctx, &requestJSON{Type: remoteDisconnect, Close: &closeClients})
}

func (e Emitter) request(ctx context.Context, r *requestJSON) error {
	r.Opts = newTargetJSON(&e.target)
	return e.publish(ctx, e.key+"-request#"+e.namespace+"#", r.encode())
}

// ServerSideEmit sends an event to the servers that have the namespace (socketio.Namespace.OnServerSide). It cannot be acknowledged.
func (e Emitter) ServerSideEmit(ctx context.Context, event string, args ...any) error {
	data := parser.EventData(event, args...)
	message, err := encodeServerEvent(emitterID, "", &data)
	if err != nil {
		return err
	}
	return e.publish(ctx, e.key+"-request#"+e.namespace+"#", message)
}

func (e Emitter) publish(ctx context.Context, channel string, message []byte) error {
	if err := e.together.publish(ctx, channel, message); err != nil {
		return fmt.Errorf("redisadapter: emitter: %w", err)
	}
	return nil
}
