package parser

import "strconv"

// A Type is what a packet is for. That an event or an acknowledgement has binary attachments shows only on the wire, so
// that there are no types of their own for that.
type Type byte

// The types of Socket.IO protocol 5, with their numbers on the wire.
const (
	Connect      Type = 0 // to or of a namespace; Data: nothing, or one object
	Disconnect   Type = 1 // from a namespace; no Data
	Event        Type = 2 // Data: a name and arguments
	Ack          Type = 3 // Data: the arguments of the answer
	ConnectError Type = 4 // Data: one value, an object or (protocol 4) a text
)

const ( // only on the wire of the default codec
	binaryEvent = 5
	binaryAck   = 6
)

func (t Type) String() string {
	switch t {
	case Connect:
		return "CONNECT"
	case Disconnect:
		return "DISCONNECT"
	case Event:
		return "EVENT"
	case Ack:
		return "ACK"
	case ConnectError:
		return "CONNECT_ERROR"
	}
	return "packet type " + strconv.Itoa(int(t))
}

// A Packet is one packet of Socket.IO.
//
// One that a [Decoder] returned owns all its bytes, never changes, and may be used by any number of goroutines, for as
// long as one likes. Relaying its Data, or a [Value] of it, shares them.
type Packet struct {
	Type Type
	// HasID says that there is an ID.
	HasID bool
	// Namespace begins with a slash; "" is sent as "/", which is what the main one is received as. In a CONNECT of
	// protocol 4 the query follows it, "/chat?token=abc", as it came.
	Namespace string
	// ID is what an acknowledgement answers to, and what an event wants it to. Not more than [MaxID].
	ID   uint64
	Data Data
}

// MaxID is the greatest acknowledgement id: JavaScript counts no further.
const MaxID = 1<<53 - 1

// A Message is a message of Engine.IO. A packet is one of them, followed by one for each attachment.
type Message struct {
	Binary bool
	Data   []byte
}

// Reserved reports whether name is one that no event may have, because it means something else to the listeners of the
// official client and server. A packet with one is refused, both ways.
func Reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}
