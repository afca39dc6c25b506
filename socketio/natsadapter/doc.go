// Package natsadapter joins Socket.IO servers to a cluster over NATS: rooms, broadcasts, acknowledgements, FetchSockets and
// ServerSideEmit are for the sockets of all of them.
//
//	conn, err := nats.Connect(url, nats.MaxReconnects(-1))
//	cluster, err := natsadapter.New(conn, nil)
//	io := socketio.NewServer(&socketio.Options{Adapter: cluster.Adapter})
//
// # By interest
//
// A server receives what is for a room only while it has somebody in that room, or had until a moment ago (Options.Linger): each
// room with members here is a subscription. What is for one socket goes to the server that has it, without a subscription for
// each: the ids of sockets begin with six characters of the server's own, and stand in the subject. Only a socket whose id
// another server has made, or one of protocol 3, has a subscription of its own.
//
// What is for several rooms is sent once for each, and a server that has several of them takes the first; what is for more than
// eight, or for all, goes to all that have the namespace. So do requests that all have to answer.
//
// # Order, and what may be lost
//
// What one server sends arrives in the order in which it was sent, at most once: NATS keeps nothing. It is lost for a server that
// is cut off from the broker, and for one that handles it too slowly (Options.MaxPendingBytes), which is counted (Stats) and
// logged. What is emitted while the broker is away waits in the connection, as far as nats.ReconnectBufSize goes; volatile events do
// not wait. The sockets of this server get everything in any case.
//
// A socket that joins a room hears what other servers send there as soon as the broker knows, moments later. What this server
// sends behind that arrives behind it: who hears of the room by an event, and then sends something there, is heard. Who hears of
// it in another way may be too fast: see [Cluster.Flush]. Whoever puts sockets of other servers into a room (SocketsJoin) may
// send something there at once.
//
// # Who is waited for
//
// Servers tell each other each second that they are there, and say goodbye. A request is answered when all have that live and
// have the namespace; whoever is called dead meanwhile is not waited for, and a *socketio.ServersError names those that have
// not answered in time. While the broker is away requests end at once, with ErrAway.
//
// Connection state recovery does not work across servers: a client that comes back begins anew.
//
// # On the wire
//
// Subjects, with words that are the first 16 bytes of the SHA-256 of a name in base64url:
//
//	<prefix>.nsp.<namespace>.all              to all that have the namespace
//	<prefix>.nsp.<namespace>.room.<room>      to those that have somebody in the room
//	<prefix>.nsp.<namespace>.id.<6>.<14>      the same for what is like the id of a socket: its first six characters, and the rest
//	<prefix>.node.<id>.<namespace>            answers to one server
//	<prefix>.bus.>                            who is there, and which namespaces it has
//
// A message is a byte of the version, 1; one of the form; and the ten letters and digits of the sender. Form 0 is a whole message;
// form 1 one that was sent on several subjects, and has a number first, the same on each; form 2 a piece of one that the
// broker would not take, which has the number of the message, its own place from 0 on, and how many there are. Numbers are varints
// as in package encoding/binary. The rest is a message of the official ClusterAdapter, {uid, nsp, type, data}, types 3 to
// 12, in JSON, or in MessagePack where there is anything binary in it. A version that is one higher is read as well. What
// cannot be understood is ignored, counted, and logged once a minute.
package natsadapter
