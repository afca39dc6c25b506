package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"baro.dev/engineio/internal/payload"
	"baro.dev/internal/webclient"
	"baro.dev/ws"
)

// Names of transports.
const (
	Polling      = "polling"
	WebSocket    = "websocket"
	WebTransport = "webtransport"
)

// Message is a message of the application.
type Message struct {
	// Data is the message. Text must be valid UTF-8.
	Data []byte
	// Binary says that Data is bytes, not text.
	Binary bool
}

// Options configure a session. The zero value has the defaults of the official client; the names in parentheses are its names.
type Options struct {
	// Path is where the server has Engine.IO (path). "": that of the URL, or /engine.io/ if it has none.
	Path string
	// Query is added to the query of each request (query).
	Query url.Values
	// Header is added to each request (extraHeaders).
	Header http.Header
	// Transports are those that may be used, the one to begin with first (transports). nil: polling, WebSocket, and WebTransport if
	// OpenStream is set.
	Transports []string
	// TryAllTransports has the next one tried where a session cannot be opened by the first (tryAllTransports).
	TryAllTransports bool
	// NoUpgrade keeps the session on the transport that it began with (upgrade: false).
	NoUpgrade bool
	// ForceBase64 sends and receives binary as base64 (forceBase64).
	ForceBase64 bool

	// TLS is for https and wss. It is cloned.
	TLS *tls.Config
	// Proxy returns the proxy for a URL: http, https, socks5 or socks5h; nil for none. nil: http.ProxyFromEnvironment's rules.
	Proxy func(*url.URL) (*url.URL, error)
	// DialContext connects to the host or its proxy. nil: a net.Dialer does.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Jar keeps cookies (withCredentials). nil: none are kept.
	Jar http.CookieJar
	// PerMessageDeflate compresses what goes over WebSocket, where the server agrees (perMessageDeflate).
	PerMessageDeflate ws.Compression
	// Subprotocols are offered to the server over WebSocket (protocols).
	Subprotocols []string
	// OpenStream opens a session of WebTransport and a stream of it, for the URL of the server, of scheme https. Closing the
	// stream must end its Read and Write. ctx is for opening alone. See package engineio/webtransport. nil: there is no WebTransport.
	OpenStream func(ctx context.Context, u *url.URL, h http.Header) (io.ReadWriteCloser, error)

	// Timeout bounds the opening of a session, and of each transport that is tried for an upgrade (timeout). 0: 20 s.
	Timeout time.Duration
	// RequestTimeout bounds each request of polling (requestTimeout). 0: as long as the server takes to notice that a client has
	// gone, pingInterval and pingTimeout.
	RequestTimeout time.Duration
	// MaxMessage is the largest message that is accepted, and the largest answer to a poll, in bytes. 0: 16 MiB.
	MaxMessage int64
	// MaxBuffered is how many bytes may wait to be sent. 0: 16 MiB.
	MaxBuffered int

	// OnMessage is called with each message. Its data is lent until OnMessage returns.
	OnMessage func(s *Session, m Message)
	// OnUpgrade is called when the session has gone over to another transport.
	OnUpgrade func(s *Session, transport string)
	// OnPing is called when the server has pinged, and was answered.
	OnPing func(s *Session)
	// OnClose is called at the end, once and last, with why: one of the errors of this package, or that of the network.
	OnClose func(s *Session, err error)
}

// settings are Options with their defaults.
type settings struct {
	Options
	base   *url.URL // http or https, with the path and the query of all requests
	format payload.Format
}

func (o *Options) settings(rawURL string) (*settings, error) {
	s := new(settings)
	if o != nil {
		s.Options = *o
	}
	base, err := webclient.Base(rawURL)
	if err != nil {
		return nil, fmt.Errorf("engineio/client: %w", err)
	}
	if base.Path == "/" {
		base.Path = ""
	}
	base.Path, base.RawPath, base.Fragment = cmp.Or(s.Path, base.Path, "/engine.io/"), "", ""
	query := base.Query()
	maps.Copy(query, s.Query)
	query.Set("EIO", "4")
	if s.format = payload.V4; s.ForceBase64 {
		s.format = payload.V4Base64
		query.Set("b64", "1")
	}
	base.RawQuery = query.Encode()
	s.base = base
	if s.Transports == nil {
		s.Transports = []string{Polling, WebSocket}
		if s.OpenStream != nil {
			s.Transports = append(s.Transports, WebTransport)
		}
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	s.Timeout = cmp.Or(s.Timeout, 20*time.Second)
	s.MaxMessage = cmp.Or(s.MaxMessage, 16<<20)
	s.MaxBuffered = cmp.Or(s.MaxBuffered, 16<<20)
	if s.Proxy == nil {
		s.Proxy = webclient.EnvironmentProxy
	}
	return s, nil
}

func (s *settings) check() error {
	if len(s.Transports) == 0 {
		return errors.New("engineio/client: Transports names none")
	}
	for i, t := range s.Transports {
		switch {
		case t != Polling && t != WebSocket && t != WebTransport:
			return fmt.Errorf("engineio/client: no transport is called %q", t)
		case slices.Contains(s.Transports[:i], t):
			return fmt.Errorf("engineio/client: Transports names %s twice", t)
		case t == WebTransport && s.OpenStream == nil:
			return errors.New("engineio/client: WebTransport needs Options.OpenStream")
		case t == WebTransport && s.base.Scheme != "https":
			if len(s.Transports) == 1 {
				return errors.New("engineio/client: WebTransport needs https")
			}
		}
	}
	switch {
	case s.Timeout < 0:
		return fmt.Errorf("engineio/client: Timeout is negative: %v", s.Timeout)
	case s.RequestTimeout < 0:
		return fmt.Errorf("engineio/client: RequestTimeout is negative: %v", s.RequestTimeout)
	case s.MaxMessage < 0:
		return fmt.Errorf("engineio/client: MaxMessage is negative: %d", s.MaxMessage)
	case s.MaxBuffered < 0:
		return fmt.Errorf("engineio/client: MaxBuffered is negative: %d", s.MaxBuffered)
	}
	return nil
}

// url is where a transport goes, in a session if there is one.
func (s *settings) url(transport, sid string) *url.URL {
	u := *s.base
	query := u.Query()
	query.Set("transport", transport)
	if sid != "" {
		query.Set("sid", sid)
	}
	u.RawQuery = query.Encode()
	return &u
}
