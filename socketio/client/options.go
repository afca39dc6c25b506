package client

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	eio "baro.dev/engineio/client"
	"baro.dev/socketio/parser"
)

// Args are arguments of an event or an acknowledgement: as they came, until they are bound.
type Args = parser.Data

// Value is one argument as it came.
type Value = parser.Value

// Options configure a [Manager] and its sockets. The zero value has the defaults of the official client; the names in parentheses are
// its names.
type Options struct {
	// Engine is how the server is reached: transports, headers, TLS, proxies, Timeout. Path "" means /socket.io/. Its handlers are not
	// used.
	Engine eio.Options

	// NoReconnection keeps a lost connection from being made again (reconnection: false).
	NoReconnection bool
	// ReconnectionAttempts is how often that is tried (reconnectionAttempts). 0: for ever.
	ReconnectionAttempts int
	// ReconnectionDelay is the time before the first attempt (reconnectionDelay); it doubles with each. 0: 1 s.
	ReconnectionDelay time.Duration
	// ReconnectionDelayMax is the longest (reconnectionDelayMax). 0: 5 s.
	ReconnectionDelayMax time.Duration
	// RandomizationFactor is by what part of itself the delay differs, either way, so that not all clients come at once
	// (randomizationFactor). 0: 0.5; negative: it does not differ.
	RandomizationFactor float64
	// RememberUpgrade begins with WebSocket if the last connection was one (rememberUpgrade), unless that has failed since.
	RememberUpgrade bool

	// Auth is what a socket says when it connects (auth): what encodes as a JSON object. nil: nothing.
	Auth any
	// AuthFunc is asked for that instead each time it connects (auth as a function). With an error the socket is not connected:
	// it is told to OnConnectError, and tried again when the connection is.
	AuthFunc func(ctx context.Context) (any, error)
	// AckTimeout is how long an acknowledgement may take for which no time was given (ackTimeout). 0: as long as the connection lasts.
	AckTimeout time.Duration
	// Retries is how often an event is sent again that was not acknowledged in time (retries): events wait for each other then, and the
	// server may get one more than once. It needs AckTimeout. 0: events are sent once, and do not wait.
	Retries int
	// Parser is the codec (parser). nil: parser.JSON.
	Parser parser.Codec
	// Limits bound what a packet of the server may have. nil: those of package parser.
	Limits *parser.Limits
	// MaxBuffered is how many bytes may wait for the connection, for each socket; and how many may wait for handlers before no more is
	// read, not even the acknowledgement that a handler may be waiting for. 0: 16 MiB.
	MaxBuffered int
	// Logger is told what nobody else is, at level Debug. nil: nobody is.
	Logger *slog.Logger
}

// settings are Options with their defaults.
type settings struct {
	Options
	url string // without the namespace
}

func (o *Options) settings(rawURL string) (*settings, string, error) {
	s := new(settings)
	if o != nil {
		s.Options = *o
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, "", fmt.Errorf("socketio/client: %w", err)
	}
	if u.Host == "" {
		return nil, "", fmt.Errorf("socketio/client: %q has no host: it must be like https://host/namespace", u.Redacted())
	}
	nsp := cmp.Or(u.Path, "/")
	u.Path, u.RawPath, u.Fragment = "", "", ""
	s.url = u.String()
	s.Engine.Path = cmp.Or(s.Engine.Path, "/socket.io/")
	if len(nsp) > parser.MaxNamespace {
		return nil, "", fmt.Errorf("socketio/client: the namespace has %d bytes, the limit is %d", len(nsp), parser.MaxNamespace)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"ReconnectionDelay", s.ReconnectionDelay}, {"ReconnectionDelayMax", s.ReconnectionDelayMax}, {"AckTimeout", s.AckTimeout}} {
		if d.value < 0 {
			return nil, "", fmt.Errorf("socketio/client: %s is negative: %v", d.name, d.value)
		}
	}
	switch {
	case s.ReconnectionAttempts < 0:
		return nil, "", fmt.Errorf("socketio/client: ReconnectionAttempts is negative: %d", s.ReconnectionAttempts)
	case s.Retries < 0:
		return nil, "", fmt.Errorf("socketio/client: Retries is negative: %d", s.Retries)
	case s.Retries > 0 && s.AckTimeout == 0:
		return nil, "", fmt.Errorf("socketio/client: Retries needs an AckTimeout")
	case s.MaxBuffered < 0:
		return nil, "", fmt.Errorf("socketio/client: MaxBuffered is negative: %d", s.MaxBuffered)
	case s.RandomizationFactor > 1:
		return nil, "", fmt.Errorf("socketio/client: RandomizationFactor is more than 1: %v", s.RandomizationFactor)
	}
	s.ReconnectionDelay = cmp.Or(s.ReconnectionDelay, time.Second)
	s.ReconnectionDelayMax = cmp.Or(s.ReconnectionDelayMax, 5*time.Second)
	s.RandomizationFactor = cmp.Or(s.RandomizationFactor, 0.5)
	s.MaxBuffered = cmp.Or(s.MaxBuffered, 16<<20)
	if s.Parser == nil {
		s.Parser = parser.JSON
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	return s, nsp, nil
}

// delay is how long to wait before an attempt, the first being 1.
func (s *settings) delay(attempt int) time.Duration {
	d := float64(s.ReconnectionDelay) * float64(uint64(1)<<min(attempt-1, 30))
	if f := s.RandomizationFactor; f > 0 {
		d *= 1 - f + 2*f*rand.Float64() //nolint:gosec // no secret
	}
	return time.Duration(min(d, float64(s.ReconnectionDelayMax)))
}

// engine is how the next session is opened.
func (s *settings) engine(priorWebSocket bool) eio.Options {
	e := s.Engine
	e.OnMessage, e.OnUpgrade, e.OnPing, e.OnClose = nil, nil, nil, nil
	if s.RememberUpgrade && priorWebSocket && (e.Transports == nil || slices.Contains(e.Transports, eio.WebSocket)) {
		first := []string{eio.WebSocket}
		for _, t := range e.Transports {
			if t != eio.WebSocket {
				first = append(first, t)
			}
		}
		if e.Transports == nil {
			first = append(first, eio.Polling)
		}
		e.Transports = first
	}
	return e
}
