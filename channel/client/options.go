package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"baro.dev/internal/webclient"
	"baro.dev/ws"
)

// A Transport is a way to the server.
type Transport string

// The transports, the best first.
const (
	WebSocket   Transport = "websocket"
	EventStream Transport = "event stream"
	LongPolling Transport = "long polling"
	Polling     Transport = "polling"
)

// Options configure a [Client]. The zero value is a client without a token.
type Options struct {
	// Token gives the token, whenever one is needed: it is asked again when the server says that the last has expired, and before it
	// does. nil: there is none. The error ends the try.
	Token func(ctx context.Context) (string, error)
	// OnCall answers the calls of the backend. The result is what encodes as JSON; an *Error refuses with its code and message. ctx
	// is done when there is no more time for an answer. It is called by a goroutine of its own, for up to 16 calls at a time; a
	// call that comes twice because a connection broke is asked once. nil: all calls are refused.
	OnCall func(ctx context.Context, call Call) (any, error)
	// OnState is called whenever a transport has begun to work ("" and an error: none does any more). It must not block.
	OnState func(Transport, error)

	// Transports are those that may be used. nil: all.
	Transports []Transport
	// Header is added to each request.
	Header http.Header
	// TLS is for https and wss. It is cloned.
	TLS *tls.Config
	// Proxy returns the proxy for a URL: http, https, socks5 or socks5h; nil for none. nil: http.ProxyFromEnvironment's rules.
	Proxy func(*url.URL) (*url.URL, error)
	// DialContext connects to the host or its proxy. nil: a net.Dialer does.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Timeout bounds each try to connect, and each request but long ones. 0: 20 s.
	Timeout time.Duration
	// Delay is the time before the second try to connect; it doubles with each, and half of it is random. 0: 1 s.
	Delay time.Duration
	// DelayMax is the longest. 0: 30 s.
	DelayMax time.Duration
	// PollInterval is the time between two polls where nothing better passes. 0: 5 s.
	PollInterval time.Duration
	// WebSocketInterval is how often the WebSocket is tried again where something else is in use. 0: 5 min.
	WebSocketInterval time.Duration
	// MaxMessage is the largest frame or answer that is accepted, in bytes. 0: 16 MiB.
	MaxMessage int64
	// MaxBuffered is how many bytes of messages may wait for handlers. 0: 1 MiB.
	MaxBuffered int
	// Compression is offered to the server for the WebSocket.
	Compression ws.Compression
	// Logger is told what nobody else is, at level Debug. nil: nobody is.
	Logger *slog.Logger
}

// Call is a question of the backend.
type Call struct {
	ID     string          // of the call: the same if it comes again
	Method string          // what is asked
	Data   json.RawMessage // JSON; empty if there is none
}

// settings are Options with their defaults.
type settings struct {
	Options
	base *url.URL // http or https, with a slash at its end
}

func (o *Options) settings(rawURL string) (*settings, error) {
	s := new(settings)
	if o != nil {
		s.Options = *o
	}
	base, err := webclient.Base(rawURL)
	if err != nil {
		return nil, fmt.Errorf("channel/client: %w", err)
	}
	base.Path, base.RawPath, base.RawQuery, base.Fragment = strings.TrimSuffix(base.Path, "/")+"/", "", "", ""
	s.base = base
	all := []Transport{WebSocket, EventStream, LongPolling, Polling}
	if s.Transports == nil {
		s.Transports = all
	}
	for _, t := range s.Transports {
		if !slices.Contains(all, t) {
			return nil, fmt.Errorf("channel/client: no transport is called %q", t)
		}
	}
	s.Transports = slices.DeleteFunc(all, func(t Transport) bool { return !slices.Contains(s.Transports, t) })
	if len(s.Transports) == 0 {
		return nil, fmt.Errorf("channel/client: Transports names none")
	}
	for name, d := range map[string]*time.Duration{"Timeout": &s.Timeout, "Delay": &s.Delay, "DelayMax": &s.DelayMax, "PollInterval": &s.PollInterval, "WebSocketInterval": &s.WebSocketInterval} {
		if *d < 0 {
			return nil, fmt.Errorf("channel/client: %s is negative: %v", name, *d)
		}
	}
	if s.MaxMessage < 0 || s.MaxBuffered < 0 {
		return nil, fmt.Errorf("channel/client: MaxMessage %d or MaxBuffered %d is negative", s.MaxMessage, s.MaxBuffered)
	}
	s.Timeout = cmp.Or(s.Timeout, 20*time.Second)
	s.Delay = cmp.Or(s.Delay, time.Second)
	s.DelayMax = cmp.Or(s.DelayMax, 30*time.Second)
	s.PollInterval = cmp.Or(s.PollInterval, 5*time.Second)
	s.WebSocketInterval = cmp.Or(s.WebSocketInterval, 5*time.Minute)
	s.MaxMessage = cmp.Or(s.MaxMessage, 16<<20)
	s.MaxBuffered = cmp.Or(s.MaxBuffered, 1<<20)
	if s.Proxy == nil {
		s.Proxy = webclient.EnvironmentProxy
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// delay is how long to wait before a try, the second being 1: at least as long as the server has said.
func (s *settings) delay(try int, err error) time.Duration {
	d := min(float64(s.Delay)*float64(uint64(1)<<min(try-1, 30)), float64(s.DelayMax))
	d *= 0.5 + 0.5*rand.Float64() //nolint:gosec // no secret
	return max(time.Duration(d), after(err))
}

// pause waits; false if ctx was done before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
