package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"

	"baro.dev/ws"
	"baro.dev/ws/wsh2"
	"baro.dev/ws/wsh3"
)

// Pings is the data of the checks websocket, websocket-http2 and websocket-http3.
type Pings struct {
	Subprotocol string      `json:"subprotocol,omitempty"`
	Connect     Duration    `json:"connect_ms"`            // to the end of the handshake
	RoundTrips  *RoundTrips `json:"round_trips,omitempty"` // of pings
}

// dialOptions are those of a WebSocket to the server, which speaks of itself only if asked.
func (e *examination) dialOptions() *ws.DialOptions {
	return &ws.DialOptions{
		Subprotocols: e.o.Subprotocols, Header: e.t.Header, TLS: e.t.TLS, Proxy: e.t.Proxy, DialContext: e.t.DialContext,
		MaxRedirects: -1, Compression: ws.Compression{Enabled: true}, Keepalive: ws.Keepalive{Interval: -1},
	}
}

// checkWebSocket opens one, and pings.
func checkWebSocket(ctx context.Context, e *examination) Result {
	data, err := e.ping(ctx, e.dialOptions())
	if err != nil {
		return broken(data, "The handshake passes and the frames do not: a proxy that answers it by itself, or lets only the answer through. "+upgradeAdvice(whoIs(e.head)),
			"no pong: %v", err)
	}
	return ok(data, "pings min/median/max %s", data.RoundTrips)
}

// ping opens a WebSocket, and pings a few times. An error comes with what was measured before.
func (e *examination) ping(ctx context.Context, o *ws.DialOptions) (*Pings, error) {
	data := new(Pings)
	start := time.Now()
	c, _, err := ws.Dial(ctx, asWebSocket(e.webSocketURL()), o)
	if err != nil {
		return data, cause(ctx, err)
	}
	data.Connect, data.Subprotocol = Duration(time.Since(start)), c.Subprotocol()
	read := make(chan struct{})
	go func() {
		defer close(read)
		for _, err := range c.Messages(ctx) { // what comes is not looked at
			if err != nil {
				return
			}
		}
	}()
	defer func() {
		c.CloseNow()
		<-read
	}()
	var times []time.Duration
	for len(times) < samples {
		took, err := c.Ping(ctx)
		if err != nil {
			data.RoundTrips = roundTrips(times)
			return data, cause(ctx, err)
		}
		times = append(times, took)
	}
	data.RoundTrips = roundTrips(times)
	closing, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = c.Close(closing, ws.StatusNormalClosure, "")
	return data, nil
}

// Compressed is the data of the check compression.
type Compressed struct {
	Extensions string `json:"extensions"` // agreed on
}

// checkCompression tells what was agreed on. That it is not compressed is no problem.
func checkCompression(_ context.Context, e *examination) Result {
	data := &Compressed{e.extensions}
	if e.extensions == "" {
		return ok(data, "permessage-deflate was offered, and is not used")
	}
	return ok(data, "%s", e.extensions)
}

func checkWebSocketHTTP2(ctx context.Context, e *examination) Result {
	transport := &http2.Transport{
		MaxHeaderListSize: maxHead,
		DialTLSContext: func(ctx context.Context, _, _ string, config *tls.Config) (net.Conn, error) {
			conn, err := e.connect(ctx)
			if err != nil {
				return nil, err
			}
			agreed := e.t.TLS.Clone()
			agreed.NextProtos = []string{http2.NextProtoTLS}
			if agreed.ServerName == "" {
				agreed.ServerName = config.ServerName
			}
			over := tls.Client(conn, agreed)
			if err := over.HandshakeContext(ctx); err != nil {
				conn.Close()
				return nil, err
			}
			return over, nil
		},
	}
	defer transport.CloseIdleConnections()
	o := e.dialOptions()
	o.Streams = &wsh2.Streams{Transport: transport}
	return e.pingStream(ctx, "HTTP/2", o)
}

func checkWebSocketHTTP3(ctx context.Context, e *examination) Result {
	transport := e.overQUIC()
	defer func() { _ = transport.Close() }()
	streams := &wsh3.Streams{Transport: transport}
	defer func() { _ = streams.Close() }()
	o := e.dialOptions()
	o.Streams = streams
	return e.pingStream(ctx, "HTTP/3", o)
}

// pingStream pings over a stream of a connection that others share (RFC 8441, RFC 9220).
func (e *examination) pingStream(ctx context.Context, version string, o *ws.DialOptions) Result {
	data, err := e.ping(ctx, o)
	handshake, isHandshake := errors.AsType[*ws.HandshakeError](err)
	switch {
	case err == nil:
		return ok(data, "pings min/median/max %s", data.RoundTrips)
	case errors.Is(err, wsh3.ErrNotOffered), strings.Contains(err.Error(), "extended connect not supported"):
		return skipped("the server does not offer WebSocket over %s (extended CONNECT): clients take HTTP/1.1", version)
	case isHandshake:
		return refused(data, "Browsers take "+version+" for a WebSocket because the server offers it (extended CONNECT): let it serve that, or not offer it.", "%s", handshake.Reason)
	}
	return broken(data, "Browsers take "+version+" for a WebSocket because the server offers it (extended CONNECT): let it serve that, or not offer it.",
		"offered, and does not work: %v", err)
}

// overQUIC makes connections of HTTP/3, to where Alt-Svc says if it does (RFC 7838).
func (e *examination) overQUIC() *http3.Transport {
	config := e.t.TLS.Clone()
	config.MinVersion = tls.VersionTLS13
	place := e.hostPort()
	if alternative, _ := alternative(e.altSvc); alternative != "" {
		host, port, err := net.SplitHostPort(alternative)
		if err == nil {
			if host == "" {
				host = e.url.Hostname()
			}
			place = net.JoinHostPort(host, port)
		}
	}
	return &http3.Transport{
		TLSClientConfig:        config,
		QUICConfig:             &quic.Config{HandshakeIdleTimeout: e.o.Timeout, KeepAlivePeriod: 10 * time.Second},
		MaxResponseHeaderBytes: maxHead,
		Dial: func(ctx context.Context, _ string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
			at, _ := e.t.Address(place)
			return quic.DialAddrEarly(ctx, at, tlsConfig, config)
		},
	}
}

// alternative is where Alt-Svc says that HTTP/3 is spoken.
func alternative(altSvc string) (place string, offered bool) {
	for entry := range strings.SplitSeq(altSvc, ",") {
		value, found := strings.CutPrefix(strings.TrimSpace(entry), "h3=")
		if found {
			value, _, _ = strings.Cut(value, ";")
			return strings.Trim(strings.TrimSpace(value), "\""), true
		}
	}
	return "", false
}

func noHTTP3(e *examination) string {
	switch {
	case !e.secure():
		return "the URL is not of https"
	case e.unix, e.via != nil:
		return "HTTP/3 goes by UDP, not through proxies and Unix sockets"
	}
	return ""
}

// checkHTTP2 says whether HTTP/2 is spoken.
func checkHTTP2(ctx context.Context, e *examination) Result {
	a, err := e.fetch(ctx, 2, e.request(ctx, http.MethodGet, e.short(), typeJSON))
	if err != nil {
		return skipped("not spoken: browsers then open at most six connections to a server, event streams and polls included")
	}
	return ok(headOf(a), "%s in %s", statusLine(a.status), Duration(a.first))
}

// checkHTTP3 says whether HTTP/3 is spoken, and whether clients are told so.
func checkHTTP3(ctx context.Context, e *examination) Result {
	_, offered := alternative(e.altSvc)
	if !offered {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, e.o.Slow)
		defer cancel()
	}
	transport := e.overQUIC()
	defer func() { _ = transport.Close() }()
	start := time.Now()
	response, err := transport.RoundTrip(e.request(ctx, http.MethodGet, e.short(), typeJSON))
	switch {
	case err != nil && offered:
		return warn(nil, "Open the port for UDP as well, or take Alt-Svc away: browsers try it first, and then wait for TCP.",
			"offered (Alt-Svc: %s), but %v", e.altSvc, cause(ctx, err))
	case err != nil:
		return skipped("not offered (Alt-Svc)")
	}
	response.Body.Close()
	data := &Web{Status: response.StatusCode, Proto: response.Proto, AltSvc: e.altSvc}
	if !offered {
		return ok(data, "spoken, but not offered (Alt-Svc): browsers do not come by themselves")
	}
	return ok(data, "%s in %s", statusLine(data.Status), Duration(time.Since(start)))
}
