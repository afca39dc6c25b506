// Package connection has one interface for the connections of the command: over WebSocket, Socket.IO, event streams, lines of JSON, polling
// and WebTransport, whichever the server speaks.
package connection

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"baro.dev/internal/cli/target"
	"baro.dev/ws"
)

// A Protocol is what is spoken with a server.
type Protocol string

// The protocols.
const (
	Auto         Protocol = "auto"     // what the URL and the server's answer say
	WebSocket    Protocol = "ws"       // RFC 6455, over HTTP/1.1, 2 or 3
	SocketIO     Protocol = "socketio" // protocol 5, of Socket.IO 3 and 4; the path of the URL is the namespace
	SSE          Protocol = "sse"      // an event stream, as of EventSource
	NDJSON       Protocol = "ndjson"   // a stream of lines
	LongPolling  Protocol = "longpoll" // a request after the other, which the server answers when it has something
	Polling      Protocol = "poll"     // a request now and then
	WebTransport Protocol = "webtransport"
)

// Protocols are all of them.
var Protocols = []Protocol{Auto, WebSocket, SocketIO, SSE, NDJSON, LongPolling, Polling, WebTransport}

// Kind says what a message is.
type Kind byte

// The kinds.
const (
	Text   Kind = iota
	Binary      // bytes
	Event       // an event of Socket.IO: a name and arguments
)

// Message is what came or is to be sent.
type Message struct {
	Kind Kind
	// Event is the name of an event, of Socket.IO or of an event stream; "" for a message without one.
	Event string
	// Data is the text, the bytes, or the JSON array of an event's arguments. That of a message received is lent until the next Receive; that
	// of a message sent is the caller's again when Send returns.
	Data []byte
	// ID is the message's id, if the protocol has one: the place in the stream to go on from.
	ID string
	// At is when it came.
	At time.Time

	// Ack answers an event that wants to be acknowledged, with a JSON array of arguments; nil if none is wanted. It may be kept.
	Ack func(arguments []byte) error
	// Acked, of an event to be sent, has the server acknowledge it, and is called with the JSON array of the acknowledgement's arguments, which
	// may be kept, by another goroutine; or with why none will come. nil: none is wanted.
	Acked func(arguments []byte, err error)
}

// A Connection is one with a server. Receive is called by one goroutine at a time, all else by any.
type Connection interface {
	// Receive waits for the next message. A ctx that is done does not keep it from returning one that has come already, and nothing is lost
	// by it. At the end the error is io.EOF if the server has closed as it should, ErrClosed if this side has, or says why, with its exit code.
	Receive(ctx context.Context) (Message, error)
	// Send sends a message, or waits until there is room for it. The error is ErrReadOnly; one that
	// matches ErrMessage if the message is at fault, and the connection goes on; or why that has ended. While a connection is made again, which needs
	// somebody who receives, it waits. What was sent when a connection breaks may be lost.
	Send(ctx context.Context, m Message) error
	// Ping returns how long the server takes to answer. The error is ErrNoPing where the protocol cannot ask.
	Ping(ctx context.Context) (time.Duration, error)
	// Close ends the connection: what was sent leaves first, as far as ctx permits. code and reason are of WebSocket and WebTransport; code 0
	// is a normal end. It has Receive return.
	Close(ctx context.Context, code int, reason string) error
	// Info says what is known of the connection at present.
	Info() Info
}

// A Corker is a Connection that can hold back what is sent, to have it leave together with what follows.
type Corker interface {
	Cork()
	Uncork()
}

// Info is what is known of a connection.
type Info struct {
	Protocol    Protocol
	URL         string // where it leads, without secrets
	HTTP        string // the version: "HTTP/1.1"
	Transport   string // of Socket.IO: polling, websocket or webtransport
	Subprotocol string
	Compressed  bool   // messages may be compressed
	TLS         string // the version: "TLS 1.3"; "" without
	Remote      string // the server's address, if it is known
	ID          string // of Socket.IO: the socket's
	Namespace   string // of Socket.IO
	Position    string // the last ID that was received
	Header      http.Header
	CanSend     bool
	Stats       Stats
}

// Stats count what has passed since the first connection.
type Stats struct {
	MessagesIn, MessagesOut int64
	BytesIn, BytesOut       int64 // of messages
	// WireIn and WireOut are bytes of the payload of data frames, as they were sent; 0 if that is not known (see Options.Measure).
	WireIn, WireOut int64
	Reconnects      int64
}

// StateKind is what has happened to a connection.
type StateKind byte

// The kinds.
const (
	Connected StateKind = iota
	Disconnected
	Waiting // for the next try, for State.Delay
	Missed  // messages that came meanwhile are lost
)

// State is what has happened to a connection that is made again when it breaks.
type State struct {
	Kind      StateKind
	Err       error         // why it broke, or could not be made
	Attempt   int           // with Waiting, from 1
	Delay     time.Duration // with Waiting
	Recovered bool          // with Connected: nothing was missed, as far as the server says
	Info      Info          // with Connected
}

// Options say what to connect to, and how.
type Options struct {
	Target   *target.Target
	Protocol Protocol // "": Auto
	// HTTP is the version: 1, 2 or 3. 0: what suits the protocol, 1 for WebSocket.
	HTTP         int
	Subprotocols []string
	Compression  ws.Compression

	// Reconnect makes the connection again when it breaks, for ever (0), or MaxAttempts times in a row; the first time is not one of them.
	Reconnect   bool
	MaxAttempts int
	// Delay is the time before the second attempt; it doubles with each, half of it by chance. 0: 500 ms.
	Delay time.Duration
	// MaxDelay is the longest. 0: 30 s.
	MaxDelay time.Duration

	// Namespace and Path are those of Socket.IO: "": the path of the URL; /socket.io/.
	Namespace string
	Path      string
	// Transports of Socket.IO. nil: polling, websocket.
	Transports []string
	// Auth is what Socket.IO says when it connects, a JSON object. nil: nothing.
	Auth json.RawMessage

	// After is where to begin: the id of the last message that was seen, as Last-Event-ID of an event stream and as ?after= of a channel.
	After string
	// Interval is the time between two polls. 0: 5 s. Wait is how long the server may take to answer a long poll. 0: 25 s.
	Interval, Wait time.Duration
	// PingInterval is after how much silence WebSocket pings. 0: 30 s; negative: never.
	PingInterval time.Duration

	// MaxMessage is the largest message that is accepted, in bytes. 0: 16 MiB.
	MaxMessage int64
	// Measure has Stats.WireIn and Stats.WireOut counted, over WebSocket.
	Measure bool
	// OnFrame is called with each frame of WebSocket; its payload is lent. It must not block for long. Frames that are sent and those that come are
	// told by different goroutines.
	OnFrame func(Frame)
	// OnState is called, one call at a time, when a connection has been made, has broken, or is about to be made again. It must not block.
	OnState func(State)
}

const (
	defaultMaxMessage = 16 << 20
	defaultDelay      = 500 * time.Millisecond
	defaultMaxDelay   = 30 * time.Second
	defaultInterval   = 5 * time.Second
	defaultWait       = 25 * time.Second
)
