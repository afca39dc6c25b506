package connection

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/net/http2"

	"baro.dev/internal/cli/exit"
	"baro.dev/ws"
	"baro.dev/ws/wsh2"
	"baro.dev/ws/wsh3"
)

// webSocket is a link over WebSocket.
type webSocket struct {
	*ws.Conn
	resp     *http.Response
	url      *url.URL
	envelope bool      // messages are the envelopes of a channel
	missed   bool      // it has been told that messages cannot be had
	taps     *taps     // nil: nobody looks
	release  io.Closer // of HTTP/3; may be nil
	tls      string    // its version, over HTTP/2 and HTTP/3
}

func (d *dialer) webSocket(ctx context.Context, from resume) (link, error) {
	o, t := d.Options, d.Target
	u := *t.URL
	subprotocols := o.Subprotocols
	if isChannel(&u) {
		setAfter(&u, from.id)
		if o.Reconnect && len(subprotocols) == 0 {
			subprotocols = []string{envelopes} // with which a message says where it is
		}
	}
	l := &webSocket{url: &u}
	header, err := d.header(ctx)
	if err != nil {
		return nil, err
	}
	options := &ws.DialOptions{
		Subprotocols: subprotocols,
		Header:       header,
		TLS:          t.TLS,
		Proxy:        t.Proxy,
		DialContext:  t.DialContext,
		Compression:  o.Compression,
		Limits:       ws.Limits{MaxMessageSize: o.maxMessage(), HandshakeTimeout: t.Timeout},
		Keepalive:    ws.Keepalive{Interval: o.PingInterval},
		MaxRedirects: maxRedirects,
	}
	if o.Measure || o.OnFrame != nil {
		l.taps = &taps{tell: o.OnFrame, measured: d.wire}
		options.Wrap = l.taps.conn
	}
	if err := d.streams(l, options, &u); err != nil {
		return nil, err
	}
	c, resp, err := ws.Dial(ctx, u.String(), options)
	if err != nil {
		l.free()
		if e, ok := errors.AsType[*ws.HandshakeError](err); ok && resp != nil {
			if options.Streams == nil && slices.Contains(redirections, resp.StatusCode) {
				return nil, refusal(resp, fmt.Sprintf("more than %d redirects", maxRedirects))
			}
			return nil, Refusal(e, resp)
		}
		return nil, unreached(ctx, err, resp != nil)
	}
	l.Conn, l.resp = c, resp
	l.envelope = c.Subprotocol() == envelopes && len(o.Subprotocols) == 0
	return l, nil
}

// Refusal makes a RefusedError, with exit.Refused, of what ws.Dial returns where a server has answered and there is no WebSocket.
func Refusal(e *ws.HandshakeError, resp *http.Response) error {
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.StatusCode == http.StatusOK {
		return refusal(resp, e.Reason)
	}
	return refusal(resp, "")
}

// maxRedirects is how many redirects lead to a WebSocket.
const maxRedirects = 5

// redirections are the statuses that lead elsewhere.
var redirections = []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}

// streams has the WebSocket opened as a stream of HTTP/2 or HTTP/3, if that is asked for.
func (d *dialer) streams(l *webSocket, options *ws.DialOptions, u *url.URL) error {
	t := d.Target
	secure := u.Scheme == "https" || u.Scheme == "wss"
	switch d.HTTP {
	case 0, 1:
		return nil
	case 2:
		options.Streams = &wsh2.Streams{Transport: &http2.Transport{
			AllowHTTP:       true,
			TLSClientConfig: t.TLS.Clone(),
			DialTLSContext: func(ctx context.Context, network, addr string, config *tls.Config) (net.Conn, error) {
				nc, err := t.DialContext(ctx, network, addr)
				if err != nil || !secure {
					return nc, err
				}
				c := tls.Client(nc, config)
				if err := c.HandshakeContext(ctx); err != nil {
					nc.Close()
					return nil, err
				}
				if p := c.ConnectionState().NegotiatedProtocol; p != http2.NextProtoTLS {
					nc.Close()
					return nil, errors.New("the server does not speak HTTP/2")
				}
				l.tls = tls.VersionName(c.ConnectionState().Version)
				return c, nil
			},
		}}
	case 3:
		if !secure {
			return exit.With(exit.Usage, errors.New("HTTP/3 is spoken by https and wss alone"))
		}
		transport, err := d.http3(authority(u))
		if err != nil {
			return err
		}
		streams := &wsh3.Streams{Transport: transport}
		options.Streams, l.release, l.tls = streams, streams, tls.VersionName(tls.VersionTLS13)
	}
	if proxy, err := t.Proxy(&url.URL{Scheme: "https", Host: u.Host}); err == nil && proxy != nil {
		return exit.With(exit.Usage, fmt.Errorf("a proxy carries WebSocket over HTTP/1.1 alone, not over HTTP/%d", d.HTTP))
	}
	if l.taps != nil {
		options.Streams = &tappedStreams{options.Streams, l.taps}
	}
	return nil
}

func (l *webSocket) free() {
	if l.release != nil {
		l.release.Close()
	}
}

func (l *webSocket) receive(ctx context.Context) (Message, error) {
	m, err := l.Read(ctx)
	switch {
	case err == nil && l.envelope:
		return opened(m.Data)
	case err == nil && m.Type == ws.Binary:
		return Message{Kind: Binary, Data: m.Data}, nil
	case err == nil:
		return Message{Data: m.Data}, nil
	case l.Err() == nil && ctx.Err() != nil:
		return Message{}, context.Cause(ctx)
	}
	return Message{}, l.over(err)
}

// over is what the end means; the codes of channels say whether to come back (docs/ws-protocol.md).
func (l *webSocket) over(err error) error {
	e, ok := errors.AsType[*ws.CloseError](err)
	switch {
	case !ok || !e.Remote || !isChannel(l.url):
	case e.Code == codeMissed && !l.missed:
		l.missed = true
		return &missedError{}
	case e.Code >= 4500:
		return exit.With(exit.Refused, err)
	}
	return closed(err)
}

// codeMissed is how a channel closes what has no envelopes if messages cannot be had any more.
const codeMissed = 4410

func (l *webSocket) send(ctx context.Context, m Message) error {
	t, data := ws.Text, m.Data
	if m.Kind == Binary {
		t = ws.Binary
	}
	if m.Kind == Event {
		return bad(errors.New("WebSocket has no events"))
	}
	var err error
	if l.envelope {
		t = ws.Text
		if data, err = enclosed(m); err != nil {
			return bad(err)
		}
	}
	err = l.Write(ctx, t, data)
	switch {
	case err == nil:
		return nil
	case l.Err() != nil:
		return closed(err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return bad(err)
}

func (l *webSocket) ping(ctx context.Context) (time.Duration, error) {
	took, err := l.Ping(ctx)
	if err != nil && l.Err() != nil {
		err = closed(err)
	}
	return took, err
}

func (l *webSocket) close(ctx context.Context, code int, reason string) error {
	defer l.free()
	if code == 0 {
		code = int(ws.StatusNormalClosure)
	}
	err := l.Close(ctx, ws.StatusCode(code), reason)
	if errors.Is(err, ws.ErrClosed) {
		return nil
	}
	return err
}

func (l *webSocket) cut() {
	l.CloseNow()
	l.free()
}

func (l *webSocket) info(i *Info) {
	i.Protocol = WebSocket
	i.HTTP = l.resp.Proto
	i.Subprotocol, i.Compressed, i.CanSend, i.Header = l.Subprotocol(), l.Compressed(), true, l.resp.Header
	i.URL = shown(l.url)
	if a := l.RemoteAddr(); a != nil {
		i.Remote = a.String()
	}
	i.TLS = l.tls
	nc := l.UnderlyingConn()
	if t, ok := nc.(*tappedConn); ok {
		nc = t.Conn
	}
	if c, ok := nc.(*tls.Conn); ok {
		i.TLS = tls.VersionName(c.ConnectionState().Version)
	}
}
