package clusteradapter

import (
	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// A Type is what a message is for.
type Type int

// The types, with their numbers and names on the wire of the official adapters.
const (
	InitialHeartbeat Type = 1 + iota // answered by a heartbeat of everybody
	Heartbeat
	Broadcast         // Packet, Options; with RequestID acknowledgements are wanted
	SocketsJoin       // Options, Rooms
	SocketsLeave      // Options, Rooms
	DisconnectSockets // Options, Close
	FetchSockets      // Options, RequestID
	FetchSocketsResponse
	ServerSideEmit // Event; with RequestID an answer is wanted
	ServerSideEmitResponse
	BroadcastClientCount // how many clients of a server have been sent a broadcast that is to be acknowledged
	BroadcastAck
	AdapterClose
)

// EmitterUID is the uid of who only emits: no server, and nobody who could be answered.
const EmitterUID = "emitter"

// Message is what servers tell each other. One to be sent has what its type needs; one that came is as the wire had it, checked,
// and lends the bytes that it was parsed from.
type Message struct {
	UID       string // of the server that has sent it
	Namespace string
	Type      Type
	RequestID string // of a request and of what answers it; ""
	Options   *socketio.BroadcastOptions
	Rooms     []string
	Close     bool
	Clients   int // of BroadcastClientCount

	// What is sent; of what came, see event, value and sockets.
	Packet  *parser.Packet           // of Broadcast
	Event   parser.Data              // of ServerSideEmit
	Value   any                      // of BroadcastAck and ServerSideEmitResponse: one value
	Sockets []*socketio.RemoteSocket // of FetchSocketsResponse

	payload raw // of what came: the member packet, or sockets
}

// Ephemeral reports whether a message is of use only to who hears it now: a request that is answered, or an event for servers.
func (m *Message) Ephemeral() bool {
	switch m.Type {
	case Broadcast:
		return m.RequestID != ""
	case ServerSideEmit, FetchSockets:
		return true
	}
	return false
}
