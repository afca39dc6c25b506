package connection

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"baro.dev/internal/cli/exit"
)

// A link is a connection that is not made again when it breaks. receive is called by one goroutine at a time.
type link interface {
	receive(ctx context.Context) (Message, error)
	send(ctx context.Context, m Message) error
	ping(ctx context.Context) (time.Duration, error)
	close(ctx context.Context, code int, reason string) error
	// cut ends it at once. It may be called more than once.
	cut()
	// info adds what it knows.
	info(i *Info)
}

// resume is what a new link goes on from.
type resume struct {
	id    string        // of the last message
	retry time.Duration // what the server has said that it takes to come back; 0: nothing
}

// dialer makes the links of a connection.
type dialer struct {
	*Options
	wire *wire
	tell func(State)
}

// Dial connects to a server, and waits until it is connected, for Target.Timeout at most. The error has its exit code.
func Dial(ctx context.Context, options *Options) (Connection, error) {
	o := *options
	o.Protocol = cmp.Or(o.Protocol, Auto)
	if err := o.check(); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	c := newConn(&o)
	l, err := c.dialer.first(ctx)
	if _, missed := errors.AsType[*missedError](err); missed {
		err = exit.With(exit.Refused, err)
	}
	if err != nil {
		return nil, err
	}
	c.begin(l)
	return c, nil
}

func (o *Options) check() error {
	switch {
	case !slices.Contains(Protocols, o.Protocol):
		return fmt.Errorf("there is no protocol %q: it is one of %v", o.Protocol, Protocols)
	case o.HTTP < 0 || o.HTTP > 3:
		return fmt.Errorf("there is no HTTP/%d: it is 1, 2 or 3", o.HTTP)
	case o.HTTP == 3 && o.Target.URL.Scheme != "https" && o.Target.URL.Scheme != "wss":
		return errors.New("HTTP/3 is spoken by https and wss alone")
	case o.Target.URL.Scheme == "ws+unix" && o.Protocol != Auto && o.Protocol != WebSocket:
		return fmt.Errorf("ws+unix is for WebSocket: for %s use http and --unix", o.Protocol)
	case o.Protocol == WebTransport && o.Target.URL.Scheme != "https":
		return errors.New("WebTransport is spoken by https alone")
	}
	return nil
}

func (o *Options) maxMessage() int64 { return cmp.Or(o.MaxMessage, defaultMaxMessage) }

// dial makes a link of a known protocol. ctx is for dialling alone.
func (d *dialer) dial(ctx context.Context, p Protocol, from resume) (link, error) {
	switch p {
	case WebSocket:
		return d.webSocket(ctx, from)
	case SocketIO:
		return d.socketIO(ctx)
	case SSE, NDJSON:
		return d.stream(ctx, p, from)
	case LongPolling, Polling:
		return d.poll(ctx, p, from)
	}
	return d.webTransport(ctx)
}

// first makes the first link, and finds out the protocol if that is to be.
func (d *dialer) first(ctx context.Context) (link, error) {
	if d.Protocol != Auto {
		return d.dial(ctx, d.Protocol, resume{id: d.After})
	}
	return d.detect(ctx, resume{id: d.After})
}

// header is what goes with each request: the target's, with the token that is good at present.
func (d *dialer) header(ctx context.Context) (http.Header, error) {
	h := d.Target.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if d.Target.Token == nil {
		return h, nil
	}
	token, err := d.Target.Token(ctx)
	if err != nil {
		return nil, err
	}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return h, nil
}

// shown is a URL without its query, which may have secrets.
func shown(u *url.URL) string {
	v := *u
	v.User = nil
	if v.RawQuery != "" {
		v.RawQuery = "..."
	}
	return v.String()
}

// http3 is how to connect to addr by QUIC.
func (d *dialer) http3(addr string) (*http3.Transport, error) {
	t := d.Target
	at, ok := t.Address(addr)
	if !ok {
		return nil, exit.With(exit.Usage, errors.New("HTTP/3 is not spoken over a unix socket"))
	}
	config := t.TLS.Clone()
	config.MinVersion = tls.VersionTLS13
	tr := &http3.Transport{TLSClientConfig: config, QUICConfig: &quic.Config{HandshakeIdleTimeout: t.Timeout, KeepAlivePeriod: quicKeepAlive}}
	if at != addr {
		tr.Dial = func(ctx context.Context, _ string, config *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, at, config, qc)
		}
	}
	return tr, nil
}

// quicKeepAlive is how often a packet keeps a connection, and what lies between, from timing out.
const quicKeepAlive = 10 * time.Second

// authority is the host and port of a URL of TLS.
func authority(u *url.URL) string { return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443")) }
