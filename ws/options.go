package ws

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"baro.dev/ws/internal/frame"
)

// Limits bound what a peer can make this side spend. In every field 0 means the default, and a negative value no
// limit.
type Limits struct {
	// MaxMessageSize is the largest message accepted, in bytes after inflation. The default is 1 MiB. A peer that
	// sends more is closed with StatusMessageTooBig, as soon as the length is announced.
	MaxMessageSize int64
	// MaxFragments is the largest number of frames in one message. The default is 16384. A peer that sends more is
	// closed with StatusPolicyViolation.
	MaxFragments int
	// MaxControlFrames is the largest number of pings, pongs and closes accepted in one second. The default is 200.
	// A peer that sends more is closed with StatusPolicyViolation.
	MaxControlFrames int
	// HandshakeTimeout bounds the opening handshake: for a client everything from looking up the host to the
	// response, for a server the writing of the response (reading the request is net/http's, bounded by
	// http.Server.ReadHeaderTimeout). The default is 10 s.
	HandshakeTimeout time.Duration
	// MaxHeaderBytes is the largest response header a client accepts. The default is 64 KiB. The request header that
	// a server accepts is bounded by http.Server.MaxHeaderBytes.
	MaxHeaderBytes int64
	// CloseTimeout bounds the closing handshake: how long Close waits for the peer's close frame, and how long what
	// was queued before it may take to leave. The default is 5 s.
	CloseTimeout time.Duration
	// IdleTimeout ends a connection over which no message came for so long, with StatusPolicyViolation. Pings and
	// pongs do not count. The default is no limit.
	IdleTimeout time.Duration
}

// Keepalive finds peers that are gone. A connection over which nothing came for Interval is sent a ping, and is ended
// with ErrPeerTimeout if nothing comes within Timeout after that either.
type Keepalive struct {
	// Interval is the time of silence before a ping. 0 means 30 s, a negative value no pings at all.
	Interval time.Duration
	// Timeout is the time to answer. 0 means 15 s.
	Timeout time.Duration
	// OnPong, if set, is told how long a peer took to answer a ping, to about 10 µs; a late answer, or one to a ping before the
	// latest that was answered, is left out. It is called by whoever reads, which may be an event loop: it must not block.
	OnPong func(roundTrip time.Duration)
}

// Policy says what Send does with a message that does not fit into the write queue.
type Policy byte

const (
	// Close ends the connection with StatusPolicyViolation: the peer is too slow. It is the default.
	Close Policy = iota
	// Drop drops the message; Send returns ErrQueueFull and the connection goes on.
	Drop
	// Block makes Send wait until there is room or the connection ends.
	Block
)

// Queue bounds the bytes that wait in memory because the peer, or the network, takes them more slowly than they are
// sent.
type Queue struct {
	// MaxBytes is the bound, in bytes of encoded frames. 0 means room for two messages as large as those accepted
	// (Limits.MaxMessageSize), but at least 1 MiB: an answer fits while the one before is still being written. A
	// message that is larger is accepted when the queue is empty.
	MaxBytes int
	// Full is what Send does at the bound. Write always waits.
	Full Policy
}

// Compression configures permessage-deflate (RFC 7692). The zero value is off.
//
// Compression trades memory and processor time for bytes on the wire. Nothing is held by a connection that is not in
// the middle of a message, except, with context takeover, the last 2^bits bytes of each direction.
type Compression struct {
	// Enabled offers, or agrees to, permessage-deflate.
	Enabled bool
	// Level is that of compress/flate: 1 (fastest) to 9 (smallest). 0 means 1.
	Level int
	// Threshold is the size in bytes below which a message is sent uncompressed when there is no context takeover
	// (with it, short messages profit most and all are compressed). 0 means 256.
	Threshold int
	// ContextTakeover lets messages refer back to the ones before them (7.1.1): smaller, but each connection keeps
	// its window, and broadcasts profit less.
	ContextTakeover bool
	// WindowBits is the size of the window used for sending, as a power of two from 8 to 15 (7.1.2). 0 means 15, or
	// 12 with context takeover: 4 KiB.
	WindowBits int
	// PeerWindowBits asks the peer to use a window no larger than so many bits for what it sends. 0 means that of
	// WindowBits where the peer can be asked, that is, with context takeover; otherwise 15.
	PeerWindowBits int
}

// AcceptOptions configure the server side. The zero value is safe, and so is a nil *AcceptOptions.
type AcceptOptions struct {
	// Subprotocols are those the server speaks, the preferred one first (RFC 6455 1.9).
	Subprotocols []string
	// AllowedOrigins are the origins whose pages may connect: "https://example.com", "http://localhost:3000". They
	// match exactly. Without any, it is the server's own, by the Host header. "*" alone allows all, which lets any
	// page a user visits speak to the server in that user's name. Requests without an Origin header do not come from
	// a browser and are allowed.
	AllowedOrigins []string
	// CheckOrigin, if set, decides instead of AllowedOrigins; an error refuses, with 403 and its text.
	CheckOrigin func(*http.Request) error
	// Header is added to the response, as is what the http.ResponseWriter's header has.
	Header http.Header

	Compression Compression
	Limits      Limits
	Keepalive   Keepalive
	Queue       Queue
	// Logger gets what no caller can be told: panics of handlers, refused handshakes (at debug level). nil: silent.
	Logger *slog.Logger
}

// settings are options with their defaults filled in, shared by all connections made with them.
type settings struct {
	frame.Rules
	compression  Compression
	maxControl   int64
	closeTimeout time.Duration
	idleTimeout  time.Duration
	pingInterval time.Duration
	pingTimeout  time.Duration
	pingStart    uint32
	onPong       func(time.Duration)
	maxQueue     int
	full         Policy
	logger       *slog.Logger
}

const (
	defaultMaxMessageSize   = 1 << 20
	defaultMaxFragments     = 16384
	defaultMaxControlFrames = 200
	defaultHandshakeTimeout = 10 * time.Second
	defaultMaxHeaderBytes   = 64 << 10
	defaultCloseTimeout     = 5 * time.Second
	defaultPingInterval     = 30 * time.Second
	defaultPingTimeout      = 15 * time.Second
	defaultMaxQueueBytes    = 1 << 20
	defaultThreshold        = 256
	defaultTakeoverBits     = 12
)

// or returns v, or the default if v is 0, or none if v is negative.
func or[T int | int64 | time.Duration](v, byDefault, none T) T {
	switch {
	case v == 0:
		return byDefault
	case v < 0:
		return none
	}
	return v
}

func newSettings(l Limits, k Keepalive, q Queue, c Compression, logger *slog.Logger) *settings {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &settings{
		Rules: frame.Rules{
			MaxMessage:   or(l.MaxMessageSize, defaultMaxMessageSize, 0),
			MaxFragments: or(l.MaxFragments, defaultMaxFragments, 0),
		},
		compression:  c,
		maxControl:   int64(or(l.MaxControlFrames, defaultMaxControlFrames, math.MaxInt)),
		closeTimeout: or(l.CloseTimeout, defaultCloseTimeout, math.MaxInt64),
		idleTimeout:  or(l.IdleTimeout, 0, 0),
		pingInterval: or(k.Interval, defaultPingInterval, 0),
		pingTimeout:  or(k.Timeout, defaultPingTimeout, defaultPingTimeout),
		pingStart:    rand.Uint32(),
		onPong:       k.OnPong,
		full:         q.Full,
		logger:       logger,
	}
	twoMessages := min(2*(min(s.MaxMessage, math.MaxInt/4)+frame.MaxHeaderSize), math.MaxInt)
	s.maxQueue = or(q.MaxBytes, max(defaultMaxQueueBytes, int(twoMessages)), math.MaxInt)
	s.compression.Threshold = or(c.Threshold, defaultThreshold, 0)
	if c.Level == 0 {
		s.compression.Level = 1
	}
	return s
}

func (o *AcceptOptions) settings() *settings {
	return newSettings(o.Limits, o.Keepalive, o.Queue, o.Compression, o.Logger)
}

func (l Limits) handshakeTimeout() time.Duration {
	return or(l.HandshakeTimeout, defaultHandshakeTimeout, math.MaxInt64)
}

func (l Limits) maxHeaderBytes() int64 {
	return or(l.MaxHeaderBytes, defaultMaxHeaderBytes, math.MaxInt64)
}
