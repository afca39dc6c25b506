package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"baro.dev/internal/cli/target"
)

// Protocol is what a URL speaks.
type Protocol string

// What can be examined. Auto finds out.
const (
	Auto      Protocol = "auto"
	Channel   Protocol = "channel"  // a channel of baro serve, or the server of it
	SocketIO  Protocol = "socketio" // a server of Socket.IO, or of Engine.IO
	WebSocket Protocol = "ws"       // any other WebSocket
	Events    Protocol = "sse"      // any other event stream
)

// Options say what is examined, and how patiently.
type Options struct {
	Target   *target.Target // where, and as whom
	Protocol Protocol       // "": Auto
	// Channel is read where the URL names none. "": doctor.
	Channel string
	// Publish has a message published to the channel, to see when it arrives.
	Publish bool
	// Subprotocols are offered in the opening handshake.
	Subprotocols []string
	// Idle is for how long silent connections are held. 0: they are not.
	Idle time.Duration
	// Timeout bounds each check, but for Idle. 0: 10 s.
	Timeout time.Duration
	// Slow is from when on what should come at once counts as held back. 0: 2 s.
	Slow time.Duration
	// Lookup finds the addresses of a name; network is "ip4" or "ip6". nil: as the system does.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Check says what is wrong with the options.
func (o *Options) Check() error {
	known := []Protocol{"", Auto, Channel, SocketIO, WebSocket, Events}
	switch {
	case !slices.Contains(known, o.Protocol):
		return fmt.Errorf("the protocol %q is none of auto, channel, socketio, ws, sse", o.Protocol)
	case o.Idle < 0 || o.Timeout < 0 || o.Slow < 0:
		return errors.New("times must not be negative")
	}
	return nil
}

// examination is what checks know, and have found. What one has found is for those that need it, which come after it.
type examination struct {
	o    *Options
	t    *target.Target
	url  *url.URL // what was given, of scheme http or https
	unix bool     // all is at the end of a Unix socket
	via  *url.URL // the proxy that was asked for, or is in the environment; nil: none

	mu      sync.Mutex
	clients map[int]*http.Client

	// of http
	kind    Protocol
	base    *url.URL // under which a server has /c/, /ws and /socket.io/, without a slash at the end
	path    *url.URL // of the channel, or of Engine.IO
	head    http.Header
	altSvc  string
	date    clockReading
	status  int
	pollFor time.Duration // what a short answer takes
	refusal *refusal      // of the channel; nil: it may be read

	// of handshake
	extensions string

	// of socketio-polling
	engine *engineOpen
}

func newExamination(o *Options) *examination {
	set := *o
	set.Timeout = cmp.Or(set.Timeout, 10*time.Second)
	set.Slow = cmp.Or(set.Slow, 2*time.Second)
	set.Channel = cmp.Or(set.Channel, "doctor")
	set.Protocol = cmp.Or(set.Protocol, Auto)
	if set.Lookup == nil {
		set.Lookup = net.DefaultResolver.LookupNetIP
	}
	e := &examination{o: &set, t: o.Target, clients: map[int]*http.Client{}}
	u := *o.Target.URL
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	}
	e.url = &u
	_, direct := o.Target.Address(e.hostPort())
	e.unix = !direct
	if via, err := o.Target.Proxy(e.url); err == nil {
		e.via = via
	}
	return e
}

func (e *examination) secure() bool { return e.url.Scheme == "https" }

// hostPort is where the URL is.
func (e *examination) hostPort() string { return hostPort(e.url) }

func hostPort(u *url.URL) string {
	ports := map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), ports[u.Scheme]))
}

// client is that of a version of HTTP, which follows no redirect.
func (e *examination) client(version int) *http.Client {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.clients[version]
	if c == nil {
		c = e.t.HTTPClient(version)
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		e.clients[version] = c
	}
	return c
}

func (e *examination) close() {
	for _, c := range e.clients {
		c.CloseIdleConnections()
	}
}

// request makes a request with all that was asked to be sent.
func (e *examination) request(ctx context.Context, method string, u *url.URL, accept string) *http.Request {
	r := (&http.Request{Method: method, URL: u, Header: e.t.Header.Clone()}).WithContext(ctx)
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
		r.Header.Del("Host")
	}
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", userAgent)
	}
	return r
}

const userAgent = "baro-doctor"

// at is a URL below the base of the server, with a query that may be "".
func (e *examination) at(path, query string) *url.URL { return below(e.base, path, query) }

func below(base *url.URL, path, query string) *url.URL {
	u := *base
	u.Path, u.RawPath, u.RawQuery = base.Path+path, "", joinQuery(base.RawQuery, query)
	return &u
}

// with is u with more in its query.
func with(u *url.URL, query string) *url.URL {
	more := *u
	more.RawQuery = joinQuery(u.RawQuery, query)
	return &more
}

func joinQuery(a, b string) string { return strings.Trim(a+"&"+b, "&") }

// asWebSocket is u with the scheme of WebSocket.
func asWebSocket(u *url.URL) string {
	w := *u
	w.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	return w.String()
}

// secret are names in queries whose values are not shown.
var secret = []string{"token", "access_token", "auth", "authorization", "jwt", "key", "api_key", "apikey", "secret", "password", "sid", "ticket"}

// redact is u for people, and for those whom they send it to.
func redact(u *url.URL) string {
	shown := *u
	shown.User = nil
	if shown.RawQuery != "" {
		parts := strings.Split(shown.RawQuery, "&")
		for i, part := range parts {
			name, _, found := strings.Cut(part, "=")
			if found && slices.Contains(secret, strings.ToLower(name)) {
				parts[i] = name + "=..."
			}
		}
		shown.RawQuery = strings.Join(parts, "&")
	}
	return shown.String()
}

// cause is why err came about: that the time was over rather than that something was cancelled.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if u, isURL := errors.AsType[*url.Error](err); isURL {
		return u.Err // it repeats the URL, which may have a token
	}
	return err
}
