package socketio

import (
	"context"

	"baro.dev/socketio/parser"
)

// Adapter keeps the rooms of a namespace, and carries what is for sockets of other servers. NewMemoryAdapter makes the default
// one, which knows of this server only. One for a cluster has to embed a *MemoryAdapter, for what concerns the sockets of this
// server, and overrides what concerns the others too: Broadcast, BroadcastWithAck, FetchSockets, AddSockets, DelSockets,
// DisconnectSockets, ServerSideEmit, ServerCount and Close; and PersistSession and RestoreSession if it has sessions recover
// on other servers. Without BroadcastOptions.Flags.Local such a method is for all servers.
//
// Methods may be called by any goroutine. AddAll, Del, DelAll, Sockets and SocketRooms, and those for broadcasts, must not
// wait for the network: they are called by handlers, which may run on event loops.
type Adapter interface {
	// AddAll puts a socket of this server into rooms. It does nothing for one that is not there.
	AddAll(id string, rooms []string)
	// Del takes a socket of this server out of a room.
	Del(id, room string)
	// DelAll takes a socket of this server out of all rooms: it is being disconnected.
	DelAll(id string)

	// Broadcast sends an event. p is not changed, and may be kept.
	Broadcast(p *parser.Packet, o *BroadcastOptions) error
	// BroadcastWithAck sends an event, whose ID it chooses. It calls clients with the number of clients that were sent the
	// event, once for each server, and answer for each of them: with its acknowledgement, or an error if there will be none.
	// Neither blocks; they may be called by any goroutine, until stop has returned. stop is called when it is not
	// waited for longer. As long as it is not known how many clients other servers have, one is counted for these: clients(1)
	// before it returns, and clients(-1) when all have told, or answer with the error that says who has not.
	BroadcastWithAck(p *parser.Packet, o *BroadcastOptions, clients func(n int), answer func(Args, error)) (stop func(), err error)

	// Sockets returns the ids of the sockets of this server that are in any of the rooms; without rooms, of all.
	Sockets(rooms []string) []string
	// SocketRooms returns the rooms of a socket of this server, its own first; false if it is not there.
	SocketRooms(id string) ([]string, bool)
	// FetchSockets returns sockets. With an error it returns those that it has got nevertheless.
	FetchSockets(ctx context.Context, o *BroadcastOptions) ([]*RemoteSocket, error)

	// AddSockets puts sockets into rooms.
	AddSockets(o *BroadcastOptions, rooms []string)
	// DelSockets takes sockets out of rooms.
	DelSockets(o *BroadcastOptions, rooms []string)
	// DisconnectSockets disconnects sockets.
	DisconnectSockets(o *BroadcastOptions, closeClients bool)

	// ServerSideEmit sends an event to the other servers, which call Namespace.ServerSideEvent. If it is to be acknowledged it
	// returns one value of each server; with an error, those that have come.
	ServerSideEmit(ctx context.Context, event parser.Data, acknowledged bool) ([]parser.Value, error)

	// PersistSession keeps what is needed when the client comes back.
	PersistSession(session *SessionState)
	// RestoreSession takes a session that was persisted, and which nobody gets again. offset is that of the last event that the
	// client has received, "" if none. nil: the client begins anew.
	RestoreSession(pid, offset string) *RestoredSession

	// ServerCount returns the number of servers.
	ServerCount(ctx context.Context) (int, error)
	// Close ends the adapter, when the namespace or the server is closed.
	Close() error

	admit(f func()) // that of *MemoryAdapter
}

// BroadcastOptions say which sockets something is for.
type BroadcastOptions struct {
	Rooms  []string // those in any of them; none: all
	Except []string // but not those in any of these
	Flags  Flags

	told bool // OnAnyOutgoing has been
}

// SessionState is what is kept of a socket whose client may come back.
type SessionState struct {
	ID    string   `json:"sid"`
	PID   string   `json:"pid"`
	Rooms []string `json:"rooms"`
	Data  any      `json:"data"`

	socket *Socket
	mark   uint64 // what came into the log from here on may not have been sent
}

// RestoredSession is a session that goes on.
type RestoredSession struct {
	SessionState
	// Resume sends what the client has missed, in order, by s.Deliver, and then calls live, from which on s gets what is
	// broadcast: nothing may fall between. It is called once. nil: nothing was missed.
	Resume func(s *Socket, live func())
	// GiveBack is called instead of Resume if the client has gone, or been refused, before it could go on: it may come back
	// again. nil: it begins anew then.
	GiveBack func()
}

// RoomEvent tells that a room of this server has come to be or has gone, or that a socket has joined or left it. The rooms
// of sockets alone, of the names of their ids, are not told of.
type RoomEvent struct {
	Type   RoomEventType
	Room   string
	Socket string // for JoinRoom and LeaveRoom
}

// RoomEventType is a type of RoomEvent.
type RoomEventType uint8

// The types, in the words of the official server: create-room, delete-room, join-room, leave-room.
const (
	CreateRoom RoomEventType = iota
	DeleteRoom
	JoinRoom
	LeaveRoom
)

// Deliver sends a packet to the socket as it is. It is for adapters.
func (s *Socket) Deliver(p *parser.Packet) error { return s.client.send(*p, false) }
