// Package parser turns packets of Socket.IO into messages of Engine.IO and back: protocol 5, and what protocol 4 has on
// the wire.
//
// A [Codec] encodes a [Packet] into one message, and one for each binary attachment; its [Decoder] puts them together
// again. [JSON] is the default codec; package msgpack has the other official one. Whoever sends gives values of Go:
//
//	parser.Packet{Type: parser.Event, Namespace: "/chat", Data: parser.EventData("image", name, pixels)}
//
// and whoever receives looks at the name and the number of arguments, which costs nothing, and binds the arguments to
// variables:
//
//	var name string
//	var pixels []byte
//	err := p.Data.Bind(&name, &pixels)
//
// # Not decoded until somebody asks
//
// A decoder checks what came, strictly, and notes where the arguments are. They stay as they came until they are bound.
// Those that are sent on ([Data.Value], or the Data as a whole) are never decoded: numbers stay as they were written,
// and only the placeholders of attachments are numbered anew.
//
// # Who owns the bytes
//
// What is given to a decoder is only read until it returns; the packet that it returns has a copy, made in one piece
// (and a piece for each attachment), that never changes. What Bind decodes belongs to the caller. What an encoder
// returns is fresh, or of received packets, and shared with nobody who changes it.
//
// # What is bounded
//
// The attachments of a packet, by number and together with it in bytes ([Limits]); nesting, namespaces and
// acknowledgement ids. Nothing is allocated for what is declared and not there.
package parser
