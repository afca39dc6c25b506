package engineio

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"baro.dev/engineio/internal/cors"
	"baro.dev/ws"
)

// Names of transports.
const (
	Polling      = "polling"
	WebSocket    = "websocket"
	WebTransport = "webtransport"
)

// Options configure a Server. The zero value has the defaults of the official server, save one: a cross-origin request
// that CORS does not allow is refused, where the official server answers it and leaves the rest to the browser.
type Options struct {
	// Path is the only path that is served; "": every path that the server is mounted on.
	Path string
	// PingInterval is how often the server pings (pingInterval). 0: 25 s.
	PingInterval time.Duration
	// PingTimeout is how long the answer may take (pingTimeout). 0: 20 s.
	PingTimeout time.Duration
	// UpgradeTimeout bounds the time from the opening of another transport to its taking over (upgradeTimeout). 0: 10 s.
	UpgradeTimeout time.Duration
	// MaxHTTPBufferSize is the largest message, and the largest body of a POST, in bytes (maxHttpBufferSize). 0: 1,000,000.
	MaxHTTPBufferSize int64
	// AllowRequest decides about handshakes (allowRequest): an error refuses with 403 and its text. nil: all are welcome.
	AllowRequest func(r *http.Request) error
	// Transports are those that may be used (transports). nil: polling and WebSocket. WebTransport comes by package
	// engineio/webtransport, and has to be named here.
	Transports []string
	// NoUpgrades keeps sessions on the transport that they began with (allowUpgrades: false).
	NoUpgrades bool
	// PerMessageDeflate compresses what goes over WebSocket (perMessageDeflate).
	PerMessageDeflate ws.Compression
	// HTTPCompression is from how many bytes on a polling answer is compressed, if the client accepts that
	// (httpCompression.threshold). 0: 1024; negative: none is.
	HTTPCompression int
	// InitialPacket is a message that each session is sent first (initialPacket). "": none.
	InitialPacket string
	// Cookie is set by the answer to a handshake by polling, its value being the session's id (cookie). nil: none is. Name "" means
	// io, Path "" means /, SameSite 0 means Lax; it is HttpOnly.
	Cookie *http.Cookie
	// CORS says which origins besides the server's own may connect, and what browsers are told about it (cors).
	CORS *CORS
	// AllowEIO3 serves protocol 3 as well (allowEIO3).
	AllowEIO3 bool
	// GenerateID returns the id of a new session (engine.generateId): a secret that nobody can guess. nil: 20 characters of 120
	// random bits.
	GenerateID func(r *http.Request) string
	// Elsewhere is asked about the requests for a session that this server does not have, when all else about them is right: polls, POSTs and
	// the openings of WebSockets. The handler that it returns answers in its place: it hands the request to the server that GenerateID
	// has named in the id, say, so that a balancer need not send all requests of a session to one server. The header of the answer is that
	// handler's, CORS included. nil, and a nil handler: such a session is unknown. It may block. A client that asks for WebTransport
	// stays on the transport that it has when it comes to another server.
	Elsewhere func(sid string) http.Handler
	// Headers is called before an answer to polling leaves, and may add to its header; initial is true for that to the
	// handshake (the events headers and initial_headers). It is called for the handshake of a WebSocket, too.
	Headers func(h http.Header, r *http.Request, initial bool)
	// MaxBuffered is how many bytes may wait for one client that does not take them. A message that would be too much
	// closes the session. 0: 1 MiB, and twice MaxHTTPBufferSize at least. The official server has no such bound.
	MaxBuffered int
	// Inline promises that no handler blocks. Those of messages are then called by whoever reads, which may be an event loop; OnClose
	// never is called by who ends the session.
	Inline bool
	// Loops is the number of event loops, as of ws.Server.
	Loops int
	// Logger is told of clients that break the protocol, at level Debug, and of handlers that panic. nil: slog.Default().
	Logger *slog.Logger
}

// CORS configures cross-origin resource sharing, with the names of the npm package of that name.
type CORS = cors.Options

// Validate tells whether the options mean something: the error names the first one that does not. A Server panics with it when
// it is first used: options that come from elsewhere than the program are validated before.
func (o *Options) Validate() error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"PingInterval", o.PingInterval}, {"PingTimeout", o.PingTimeout}, {"UpgradeTimeout", o.UpgradeTimeout}} {
		if d.value < 0 {
			return fmt.Errorf("engineio: %s is negative: %v", d.name, d.value)
		}
	}
	for _, t := range o.Transports {
		if t != Polling && t != WebSocket && t != WebTransport {
			return fmt.Errorf("engineio: no transport is called %q", t)
		}
	}
	switch {
	case o.Transports != nil && len(o.Transports) == 0:
		return errors.New("engineio: Transports names none")
	case o.MaxHTTPBufferSize < 0:
		return fmt.Errorf("engineio: MaxHTTPBufferSize is negative: %d", o.MaxHTTPBufferSize)
	case o.MaxBuffered < 0:
		return fmt.Errorf("engineio: MaxBuffered is negative: %d", o.MaxBuffered)
	}
	if err := o.CORS.Validate(); err != nil {
		return fmt.Errorf("engineio: CORS: %w", err)
	}
	return nil
}

// settings are Options with their defaults.
type settings struct {
	Options
	polling, websocket, webtransport bool
	webSocketUpgrade                 []string // what the handshake by polling offers
}

func (o *Options) settings() *settings {
	s := &settings{Options: *o}
	s.PingInterval = cmp.Or(s.PingInterval, 25*time.Second)
	s.PingTimeout = cmp.Or(s.PingTimeout, 20*time.Second)
	s.UpgradeTimeout = cmp.Or(s.UpgradeTimeout, 10*time.Second)
	s.MaxHTTPBufferSize = cmp.Or(s.MaxHTTPBufferSize, 1_000_000)
	if s.Transports == nil {
		s.Transports = []string{Polling, WebSocket}
	}
	s.polling = slices.Contains(s.Transports, Polling)
	s.websocket = slices.Contains(s.Transports, WebSocket)
	s.webtransport = slices.Contains(s.Transports, WebTransport)
	s.webSocketUpgrade = []string{}
	if !s.NoUpgrades {
		for _, t := range []string{WebSocket, WebTransport} {
			if slices.Contains(s.Transports, t) {
				s.webSocketUpgrade = append(s.webSocketUpgrade, t)
			}
		}
	}
	if s.MaxBuffered == 0 {
		s.MaxBuffered = max(1<<20, int(min(2*s.MaxHTTPBufferSize, 1<<40)))
	}
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	if s.CORS == nil {
		s.CORS = &CORS{}
	}
	return s
}
