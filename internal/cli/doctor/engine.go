package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"

	"baro.dev/engineio/client"
	"baro.dev/engineio/webtransport"
)

// Engine is the data of the checks of Socket.IO.
type Engine struct {
	PingInterval Duration `json:"ping_interval_ms,omitempty"`
	PingTimeout  Duration `json:"ping_timeout_ms,omitempty"`
	Upgrades     []string `json:"upgrades,omitempty"` // offered by the server
	Open         Duration `json:"open_ms,omitempty"`
	Deliver      Duration `json:"deliver_ms,omitempty"` // from a POST until its answer comes by the poll that waits
	Upgrade      Duration `json:"upgrade_ms,omitempty"`
	Cookies      bool     `json:"needs_cookies,omitempty"` // a session works only with the cookies that came
}

// engineOpen is how a server begins a session.
type engineOpen struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval float64  `json:"pingInterval"`
	PingTimeout  float64  `json:"pingTimeout"`
}

// enginePath is where Engine.IO is.
func (e *examination) enginePath() *url.URL {
	if e.kind == Channel {
		return e.at("/socket.io/", "")
	}
	return e.path
}

// errUnknownSession is that the server does not know a session that it has just begun.
var errUnknownSession = errors.New("the server does not know the session that it has just begun")

// checkEnginePolling has a session over long polling, each request of which is on a connection of its own: a balancer may send each to another server.
func checkEnginePolling(ctx context.Context, e *examination) Result {
	data := new(Engine)
	err := e.pollEngine(ctx, data, nil)
	if errors.Is(err, errUnknownSession) {
		jar, _ := cookiejar.New(nil) // it never fails
		data.Cookies = true
		if again := e.pollEngine(ctx, data, jar); again != nil {
			return broken(data, "A balancer spreads the requests of a session over several servers: have it be sticky (ip_hash of nginx, stick-table or cookie of HAProxy), "+
				"have clients use WebSocket alone, or join the servers (baro serve --cluster needs no stickiness: docs/clustering.md).", "%v; with the cookies that came: %v", err, again)
		}
		return ok(data, "a session needs the balancer's cookies: pages of other origins must send them (withCredentials)")
	}
	r, isRefused := errors.AsType[*client.RefusedError](err)
	switch {
	case isRefused && r.Code == 5:
		return refused(data, "The server is Socket.IO 2, or the client too new for it: set allowEIO3 of the server, or use a client of its version.", "%s", shortEngine(r))
	case isRefused && notFound(r.Status):
		if e.kind == Channel {
			return skipped("%s: Socket.IO is not served", statusLine(r.Status))
		}
		return refused(data, statusAdvice(r.Status), "%s", shortEngine(r))
	case isRefused:
		return refused(data, statusAdvice(r.Status), "%s", shortEngine(r))
	case errors.Is(err, errHeld):
		return broken(data, holdAdvice(whoIs(e.head)), "a poll that waits is not answered when there is something to say, within %s", Duration(e.o.Slow))
	case err != nil:
		return broken(data, "", "%v", cause(ctx, err))
	}
	if data.Deliver == 0 {
		return ok(data, "a session in %s; pings every %s", data.Open, data.PingInterval)
	}
	return ok(data, "a session in %s, an answer through a poll that waits in %s; pings every %s", data.Open, data.Deliver, data.PingInterval)
}

// pollEngine opens a session, has a poll wait, asks for the main namespace, which the server answers by the poll, and ends the session.
func (e *examination) pollEngine(ctx context.Context, data *Engine, jar http.CookieJar) error {
	u := with(e.enginePath(), "EIO=4&transport=polling")
	a, err := e.engineRequest(ctx, http.MethodGet, u, "", jar)
	if err != nil {
		return err
	}
	var open engineOpen
	if !bytes.HasPrefix(a.body, []byte("0{")) || json.Unmarshal(firstPacket(a.body)[1:], &open) != nil || open.SID == "" {
		return refusedEngine(a)
	}
	e.engine = &open
	data.Open, data.Upgrades = Duration(a.took), open.Upgrades[:min(len(open.Upgrades), 8)]
	data.PingInterval, data.PingTimeout = milliseconds(open.PingInterval), milliseconds(open.PingTimeout)
	u = with(u, "sid="+url.QueryEscape(open.SID))
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = e.engineRequest(ending, http.MethodPost, u, "1", jar)
	}()
	type polled struct {
		*answer
		at  time.Time
		err error
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	poll := make(chan polled, 1)
	go func() {
		a, err := e.engineRequest(waiting, http.MethodGet, u, "", jar)
		poll <- polled{a, time.Now(), err}
	}()
	// The poll should be waiting when the packet comes; that it is not yet would do no harm.
	select {
	case p := <-poll:
		if p.err == nil {
			p.err = refusedEngine(p.answer)
		}
		return p.err
	case <-time.After(min(e.o.Slow/4, 100*time.Millisecond)):
	}
	for range spread {
		if err := e.postEngine(ctx, u, "6", jar); err != nil { // a packet without a meaning
			return err
		}
	}
	if strings.Contains(u.Path, "/engine.io") {
		return nil // who knows what is spoken there
	}
	start := time.Now()
	if err := e.postEngine(ctx, u, "40", jar); err != nil {
		return err
	}
	select {
	case p := <-poll:
		if p.err == nil && p.status != http.StatusOK {
			p.err = refusedEngine(p.answer)
		}
		data.Deliver = Duration(p.at.Sub(start))
		return p.err
	case <-time.After(e.o.Slow):
		return errHeld
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// spread is how many requests more find out that a balancer spreads them.
const spread = 4

func (e *examination) postEngine(ctx context.Context, u *url.URL, packet string, jar http.CookieJar) error {
	a, err := e.engineRequest(ctx, http.MethodPost, u, packet, jar)
	if err == nil && a.status != http.StatusOK {
		err = refusedEngine(a)
	}
	return err
}

// milliseconds is a time as the server writes it, if it can be one.
func milliseconds(ms float64) Duration {
	if ms < 0 || ms > 1e12 {
		return 0
	}
	return Duration(ms * float64(time.Millisecond))
}

// firstPacket is the first of a payload.
func firstPacket(body []byte) []byte {
	packet, _, _ := bytes.Cut(body, []byte{0x1e})
	return packet
}

// engineRequest asks on a connection of its own.
func (e *examination) engineRequest(ctx context.Context, method string, u *url.URL, body string, jar http.CookieJar) (*answer, error) {
	r := e.request(ctx, method, u, "*/*")
	r.Close = true
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	if jar != nil {
		for _, cookie := range jar.Cookies(u) {
			r.AddCookie(cookie)
		}
	}
	a, err := e.fetch(ctx, 1, r)
	if err == nil && jar != nil {
		jar.SetCookies(u, (&http.Response{Header: a.header}).Cookies())
	}
	return a, err
}

// refusedEngine is the error of an answer that is not what it should be.
func refusedEngine(a *answer) error {
	r := &client.RefusedError{Status: a.status, Code: -1, Message: said(a.body)}
	if engine := engineRefusal(a.status, a.body); engine != nil {
		if engine.Code == "1" {
			return errUnknownSession
		}
		if len(engine.Code) == 1 {
			r.Code = int(engine.Code[0] - '0')
		}
		r.Message = engine.Message
	}
	return r
}

// engineOptions are those of a session over some transports.
func (e *examination) engineOptions(transports ...string) *client.Options {
	jar, _ := cookiejar.New(nil) // it never fails; balancers know their clients by cookies, which browsers send
	return &client.Options{
		Jar: jar, Transports: transports, Header: e.t.Header, TLS: e.t.TLS, Proxy: e.t.Proxy, DialContext: e.t.DialContext, Timeout: e.o.Timeout,
	}
}

// openEngine opens a session, and says how long that took.
func (e *examination) openEngine(ctx context.Context, o *client.Options) (*client.Session, time.Duration, error) {
	start := time.Now()
	s, err := client.Dial(ctx, e.enginePath().String(), o)
	return s, time.Since(start), err
}

func checkEngineWebSocket(ctx context.Context, e *examination) Result {
	s, took, err := e.openEngine(ctx, e.engineOptions(client.WebSocket))
	if err != nil {
		advice := upgradeAdvice(whoIs(e.head))
		if r, isRefused := errors.AsType[*client.RefusedError](err); isRefused && statusAdvice(r.Status) != "" {
			advice = statusAdvice(r.Status)
		}
		return refused(nil, advice, "no session over WebSocket, so that clients stay with polling: %s", shortEngine(err))
	}
	closeEngine(ctx, s)
	return ok(&Engine{Open: Duration(took)}, "a session in %s", Duration(took))
}

// checkEngineUpgrade has a session go over from polling to WebSocket.
func checkEngineUpgrade(ctx context.Context, e *examination) Result {
	if e.engine != nil && !slices.Contains(e.engine.Upgrades, client.WebSocket) {
		return skipped("the server does not offer it")
	}
	upgraded, ended := make(chan struct{}), make(chan error, 1)
	o := e.engineOptions(client.Polling, client.WebSocket)
	o.OnUpgrade = func(*client.Session, string) { close(upgraded) }
	o.OnClose = func(_ *client.Session, err error) { ended <- err }
	s, took, err := e.openEngine(ctx, o)
	if err != nil {
		return broken(nil, "", "no session: %s", shortEngine(err))
	}
	defer closeEngine(ctx, s)
	start := time.Now()
	advice := upgradeAdvice(whoIs(e.head)) + " With several servers, the WebSocket must find that of the session (sticky)."
	select {
	case <-upgraded:
		data := &Engine{Open: Duration(took), Upgrade: Duration(time.Since(start))}
		return ok(data, "from polling to WebSocket in %s", data.Upgrade)
	case err := <-ended:
		return broken(nil, advice, "the session ends instead of going over from polling to WebSocket: %s", shortEngine(err))
	case <-ctx.Done():
		return broken(nil, advice, "clients stay with polling")
	}
}

func noWebTransport(e *examination) string {
	if why := notSocketIO(e); why != "" {
		return why
	}
	if why := noHTTP3(e); why != "" {
		return why
	}
	if e.engine != nil && !slices.Contains(e.engine.Upgrades, client.WebTransport) {
		return "the server does not offer WebTransport"
	}
	return ""
}

func checkWebTransport(ctx context.Context, e *examination) Result {
	o := e.engineOptions(client.WebTransport)
	o.OpenStream = webtransport.Stream(e.t.TLS)
	s, took, err := e.openEngine(ctx, o)
	if err != nil {
		return warn(nil, "Clients take WebSocket. Open the port for UDP as well, to the server itself: a proxy does not pass WebTransport on.", "offered, and does not work: %s", shortEngine(err))
	}
	closeEngine(ctx, s)
	return ok(&Engine{Open: Duration(took)}, "a session in %s", Duration(took))
}

func closeEngine(ctx context.Context, s *client.Session) {
	closing, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if s.Close(closing) != nil {
		s.CloseNow()
	}
	<-s.Done()
}

// shortEngine is an error without the name of the package.
func shortEngine(err error) string {
	if err == nil {
		return ""
	}
	if r, isRefused := errors.AsType[*client.RefusedError](err); isRefused {
		if r.Message == "" {
			return statusLine(r.Status)
		}
		return statusLine(r.Status) + ": " + r.Message
	}
	return strings.TrimPrefix(err.Error(), "engineio/client: ")
}
