// Package load puts load on servers for real-time connections and measures how they bear it.
//
// Latencies in an open loop, at a rate, are from when a message was due, not from when it was sent: a server that stands still is not
// spared the messages that would have come meanwhile (coordinated omission). In a closed loop a message follows the answer to the one
// before; results say that there is no such correction.
package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Scenario is what is done to the server.
type Scenario string

// The scenarios.
const (
	// Echo: messages that the server sends back, or events that it acknowledges.
	Echo Scenario = "echo"
	// Connect: connections that are opened, and held.
	Connect Scenario = "connect"
	// FanOut: messages that are published, and come to the subscribers of channels of baro serve.
	FanOut Scenario = "fanout"
	// Reconnect: all connections are cut, and come back at once.
	Reconnect Scenario = "reconnect"
)

// A Transport is how connections reach the server.
type Transport string

// The transports. Echo takes the first two.
const (
	WebSocket   Transport = "websocket"
	SocketIO    Transport = "socketio"
	EventStream Transport = "sse"
	JSONLines   Transport = "ndjson"
	LongPolling Transport = "longpoll"
)

// A Target is the server.
type Target struct {
	// URL is of scheme ws, wss, http or https.
	URL *url.URL
	// Header is sent with each request.
	Header http.Header
	// Dial connects to the host of a URL, TLS included. It may be called concurrently.
	Dial func(ctx context.Context, u *url.URL) (net.Conn, error)
	// Timeout bounds the opening of a connection, to the end of the handshake. 0: 20 s.
	Timeout time.Duration
}

// Options are what is to be done. Zero values mean the defaults that are said.
type Options struct {
	Target   Target
	Scenario Scenario
	// Transports are those of the connections, in turn. Default: WebSocket.
	Transports []Transport
	// Connections is how many there are: subscribers in a fan-out. Default: 10.
	Connections int
	// Duration is for how long is measured. Default: 10 s.
	Duration time.Duration
	// WarmUp is how long before that the load begins. Default, with a negative value: 1 s.
	WarmUp time.Duration
	// Ramp is over how long connections are opened, evenly. 0: as fast as InFlight at a time can be.
	Ramp time.Duration
	// Drain is how long is waited afterwards for what has not come. Default: 5 s.
	Drain time.Duration
	// Rate is how many messages, or connections, a second are sent, or opened, in all: an open loop. 0: a closed loop.
	Rate float64
	// Size is the size of a message in bytes. Default: 64.
	Size int
	// InFlight is how many messages of a connection may have been sent and wait for their answers. In an open loop others that are due
	// wait behind them. Default: 1 in a closed loop, 10,000 in an open one. A connection that publishes by HTTP has one.
	InFlight int
	// Opening is how many connections are opened at a time. Default: 100.
	Opening int
	// Binary: messages are binary, not text.
	Binary bool
	// Event is the name of the event that a Socket.IO server acknowledges. Default: echo.
	Event string
	// Namespace is that of Socket.IO. Default: /.
	Namespace string
	// Channels is over how many channels, NAME-1, NAME-2 and so on, subscribers and publishers are spread. Default: 1, which is NAME.
	Channels int
	// Publishers is how many connections publish. Default: 1.
	Publishers int
	// PublishBy is how: "post" (POST to the channel), "api" (the HTTP API) or "websocket" (/ws). Default: post.
	PublishBy string
	// API is where the HTTP API is. Default: the Target's own host.
	API *url.URL
	// Pause is how long all connections rest after a storm, before the next. Default: 1 s.
	Pause time.Duration
	// Workers is how many threads there are. Default: half as many as processors.
	Workers int
	// MaxErrors is after how many errors the run ends. Negative: never.
	MaxErrors int64
	// Progress, if set, is called about once a second. It must not block.
	Progress func(Progress)

	// portable: goroutines read and write, as where there is no epoll.
	portable bool
}

// Progress is how far a run is.
type Progress struct {
	Phase       string        // opening, warm-up, measuring, draining, closing
	Elapsed     time.Duration // of the phase
	Of          time.Duration // 0: not known
	Connections int           // that are open
	PerSecond   float64       // messages, or connections, since the last call
	P50, P99    time.Duration // since the last call
	Errors      int64
}

// UsageError is an option that makes no sense.
type UsageError struct{ Reason string }

func (e *UsageError) Error() string { return e.Reason }

func usage(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// check checks the options and fills in defaults.
func (o *Options) check() error {
	o.defaults()
	for _, n := range []struct {
		name       string
		value, top int
	}{
		{"connections", o.Connections, 1_000_000}, {"channels", o.Channels, maxStreams}, {"publishers", o.Publishers, maxStreams},
		{"messages in flight", o.InFlight, mostWaiting}, {"connections opened at a time", o.Opening, 10_000}, {"workers", o.Workers, 1024},
	} {
		if n.value < 1 || n.value > n.top {
			return usage("%s: %d; it is from 1 to %d", n.name, n.value, n.top)
		}
	}
	if o.Duration <= 0 || o.Ramp < 0 || o.Drain < 0 || o.Pause < 0 {
		return usage("times cannot be negative, and the duration not 0")
	}
	if o.Rate < 0 || o.Rate > 1e9 {
		return usage("rate: %g; it is from 0, a closed loop, to 1e9", o.Rate)
	}
	least := 1
	switch o.Scenario {
	case Echo:
		least = numberSize
		for _, t := range o.Transports {
			if t != WebSocket && t != SocketIO {
				return usage("%s is no transport for echoes: there are websocket and socketio", t)
			}
		}
	case FanOut:
		least = stampSize
		if _, err := o.channel(); err != nil {
			return err
		}
		if !slices.Contains([]string{"post", "api", "websocket"}, o.PublishBy) {
			return usage("messages are not published by %q, but by post, api or websocket", o.PublishBy)
		}
	case Connect, Reconnect:
	default:
		return usage("there is no scenario %q: there are echo, connect, fanout and reconnect", o.Scenario)
	}
	for _, t := range o.Transports {
		switch t {
		case WebSocket, SocketIO, EventStream, JSONLines, LongPolling:
		default:
			return usage("there is no transport %q: there are websocket, socketio, sse, ndjson and longpoll", t)
		}
	}
	if o.Size < least || o.Size > 64<<20 {
		return usage("size: %d; for this scenario it is from %d to %d bytes", o.Size, least, 64<<20)
	}
	if o.Target.URL == nil || o.Target.Dial == nil {
		return errors.New("load: no target")
	}
	return nil
}

// mostWaiting is how many messages of a connection may be due in an open loop and not be answered.
const mostWaiting = 1 << 16

// limit is how many messages of a connection may be due and not be answered.
func (o *Options) limit() int {
	if o.Rate > 0 {
		return mostWaiting
	}
	return o.InFlight
}

func (o *Options) defaults() {
	set := func(value *int, d int) {
		if *value == 0 {
			*value = d
		}
	}
	set(&o.Connections, 10)
	set(&o.Size, 64)
	set(&o.Channels, 1)
	set(&o.Publishers, 1)
	set(&o.Opening, 100)
	set(&o.Workers, defaultWorkers())
	o.Workers = min(o.Workers, max(1, o.Connections))
	if o.Rate > 0 {
		set(&o.InFlight, 10_000)
	}
	set(&o.InFlight, 1)
	if o.Duration == 0 {
		o.Duration = 10 * time.Second
	}
	if o.WarmUp < 0 {
		o.WarmUp = time.Second
	}
	if o.Drain == 0 {
		o.Drain = 5 * time.Second
	}
	if o.Pause == 0 {
		o.Pause = time.Second
	}
	if o.Target.Timeout == 0 {
		o.Target.Timeout = 20 * time.Second
	}
	if len(o.Transports) == 0 {
		o.Transports = []Transport{WebSocket}
	}
	if o.Event == "" {
		o.Event = "echo"
	}
	if o.PublishBy == "" {
		o.PublishBy = "post"
	}
}

// channel is the name in the path /c/NAME.
func (o *Options) channel() (string, error) {
	if _, name, ok := strings.Cut(o.Target.URL.Path, "/c/"); ok && name != "" {
		return name, nil
	}
	return "", usage("%s is not the URL of a channel, which has /c/NAME: a fan-out needs one", o.Target.URL.Redacted())
}

// Guess is the scenario that is meant for a URL if none is said.
func Guess(u *url.URL) Scenario {
	if strings.Contains(u.Path, "/c/") {
		return FanOut
	}
	return Echo
}
