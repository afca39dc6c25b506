// Package redisadapter joins servers of Socket.IO over Redis: those of this project, and those of Node, in one cluster.
//
// New makes the adapter that talks to @socket.io/redis-adapter 8 (createAdapter), over Pub/Sub. Rooms, broadcasts, broadcasts with
// acknowledgements, FetchSockets, SocketsJoin, SocketsLeave, DisconnectSockets and ServerSideEmit reach the sockets and servers of all,
// in both directions. An [Emitter] is for programs that only emit; what @socket.io/redis-emitter 5 sends is understood as well.
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
//	io := socketio.NewServer(&socketio.Options{Adapter: redisadapter.New(client, nil)})
//
// The client may be one of a single server, of Sentinel or of a Redis Cluster. It belongs to the caller, who closes it after the server.
//
// # What Redis promises
//
// Pub/Sub keeps nothing: a server that is cut off misses what is broadcast meanwhile, and that is why the adapter has no connection
// state recovery. What a server publishes arrives in that order, each message at most once. Handlers that emit never wait
// for Redis: messages go into a queue that a goroutine empties. While Redis is away the sockets of this server still get
// what is emitted here, and the queue grows to [Options.MaxQueueBytes]; what does not fit is lost to the other servers, and counted.
// Adapter.Err says whether Redis is away at the moment.
//
// # Sharded Pub/Sub and streams
//
// [NewSharded] talks to createShardedAdapter of the same package, for Redis 7 and newer: each room has a channel of its own, so that
// its broadcasts reach only servers that have somebody in it, and in a Redis Cluster only one of its nodes. It promises what Pub/Sub
// does.
//
// [NewStreams] talks to @socket.io/redis-streams-adapter 0.3: events go through a stream, and a server that was cut off reads what it
// has missed. With [socketio.Options.ConnectionStateRecovery] clients find their sockets on any server, and those of Node, again.
// Each server reads the events of all rooms.
//
// Both send in one pipeline what has been emitted meanwhile, and nothing twice. While Redis is away their messages fail at once, and
// are counted; the sockets of the server get theirs.
//
// Which one: NewStreams where clients are to miss nothing, NewSharded where there are many rooms and many servers, New for servers
// and emitters that are there already. All servers of a cluster need the same.
//
// Whoever can publish in Redis can send anything to anybody. What is no message of a cluster is ignored, counted, and logged once
// a minute.
package redisadapter
