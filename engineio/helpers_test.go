package engineio_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"baro.dev/engineio"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// front has all tests come in by Server.Serve, not by a server of net/http.
var front = flag.Bool("front", false, "serve by Server.Serve")

// site is a server and what clients need to reach it.
type site struct {
	t      testing.TB
	server *engineio.Server
	http   *httptest.Server
	client *http.Client
}

// open serves e until the test ends, and then looks that nothing is left of it.
func open(t testing.TB, e *engineio.Server) *site {
	t.Helper()
	testkit.NoLeaks(t)
	return openBeside(t, e)
}

// openBeside is open for tests that others run beside.
func openBeside(t testing.TB, e *engineio.Server) *site {
	t.Helper()
	if e.Options.Logger == nil {
		e.Options.Logger = slog.New(slog.DiscardHandler)
	}
	s := &site{t: t, server: e, http: httptest.NewUnstartedServer(e)}
	s.http.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	if *front {
		s.http.URL = "http://" + s.http.Listener.Addr().String()
		go func() { _ = e.Serve(s.http.Listener) }()
	} else {
		s.http.Start()
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}
	s.client = &http.Client{Transport: transport, Timeout: 2 * patience}
	t.Cleanup(func() {
		e.Close()
		transport.CloseIdleConnections()
		s.http.CloseClientConnections()
		s.http.Close()
		until(t, "all sessions are gone", func() bool { return e.Len() == 0 })
	})
	return s
}

// echo returns a server that sends back what comes, with the heartbeat of the protocols' published suites.
func echo() *engineio.Server {
	return &engineio.Server{
		Options: engineio.Options{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond, MaxHTTPBufferSize: 1_000_000, AllowEIO3: true},
		OnMessage: func(s *engineio.Session, m engineio.Message) {
			_ = s.Send(m)
		},
	}
}

// calm is echo with a heartbeat that nobody notices, not even when the machine stands still for a while.
func calm() *engineio.Server {
	e := echo()
	e.Options.PingInterval, e.Options.PingTimeout = 0, 0
	return e
}

// answer is what a request was answered.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (a answer) String() string { return fmt.Sprintf("%d %q %v", a.status, a.body, a.err) }

// do sends a request for a path and query.
func (s *site) do(method, target, body string, headers ...string) answer {
	return s.doContext(context.Background(), method, target, strings.NewReader(body), headers...)
}

func (s *site) doContext(ctx context.Context, method, target string, body io.Reader, headers ...string) answer {
	r, err := http.NewRequestWithContext(ctx, method, s.http.URL+target, body)
	if err != nil {
		return answer{err: err}
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(all), err}
}

// query is that of a session over polling.
func (s *site) query(eio int, sid string) string {
	q := fmt.Sprintf("/engine.io/?EIO=%d&transport=polling", eio)
	if sid != "" {
		q += "&sid=" + url.QueryEscape(sid)
	}
	return q
}

func (s *site) get(eio int, sid string, headers ...string) answer {
	return s.do("GET", s.query(eio, sid), "", headers...)
}

func (s *site) post(eio int, sid, body string, headers ...string) answer {
	return s.do("POST", s.query(eio, sid), body, headers...)
}

// hello is what a handshake tells.
type hello struct {
	SID          string
	Upgrades     []string
	PingInterval int
	PingTimeout  int
	MaxPayload   int
}

func parseHello(t testing.TB, packet string) hello {
	t.Helper()
	var h hello
	if !strings.HasPrefix(packet, "0") || json.Unmarshal([]byte(packet[1:]), &h) != nil || h.SID == "" {
		t.Fatalf("handshake is %q", packet)
	}
	return h
}

// poll opens a session over polling and returns its id.
func (s *site) poll(eio int) string {
	s.t.Helper()
	a := s.get(eio, "")
	body := a.body
	if _, packet, found := strings.Cut(body, ":"); eio == 3 && found {
		body = packet
	}
	if a.status != 200 {
		s.t.Fatal(a)
	}
	return parseHello(s.t, body).SID
}

// expect compares an answer.
func (a answer) expect(t testing.TB, status int, body string) {
	t.Helper()
	if a.err != nil || a.status != status || a.body != body {
		t.Fatalf("%v, want %d %q", a, status, body)
	}
}

// wire is a client's WebSocket.
type wire struct {
	t testing.TB
	*ws.Conn
}

// dial opens a WebSocket with a query.
func (s *site) dial(query string) *wire {
	s.t.Helper()
	c, err := s.tryDial(query)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *site) tryDial(query string) (*wire, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(s.http.URL, "http")+"/engine.io/?"+query,
		&ws.DialOptions{Keepalive: ws.Keepalive{Interval: -1}, Limits: ws.Limits{MaxMessageSize: 32 << 20}})
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { c.CloseNow() })
	return &wire{s.t, c}, nil
}

// connect opens a session over WebSocket.
func (s *site) connect(eio int) (*wire, hello) {
	s.t.Helper()
	c := s.dial(fmt.Sprintf("EIO=%d&transport=websocket", eio))
	return c, parseHello(s.t, c.text())
}

// read returns the next message, or what ended the connection.
func (w *wire) read() (ws.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return w.Conn.Read(ctx)
}

// text returns the next message, which has to be text.
func (w *wire) text() string {
	w.t.Helper()
	m, err := w.read()
	if err != nil || m.Type != ws.Text {
		w.t.Fatalf("%v %q, %v; want text", m.Type, m.Data, err)
	}
	return string(m.Data)
}

func (w *wire) expect(text string) {
	w.t.Helper()
	if got := w.text(); got != text {
		w.t.Fatalf("%q came, want %q", got, text)
	}
}

// expectEnd reads until the connection has ended, and returns how.
func (w *wire) expectEnd() error {
	w.t.Helper()
	for {
		if _, err := w.read(); err != nil {
			if strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
				w.t.Fatal("the connection has not ended")
			}
			return err
		}
	}
}

func (w *wire) send(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if err := w.Write(context.Background(), ws.Text, []byte(text)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// raw sends bytes over a connection of its own.
func (s *site) raw(request string) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		s.t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// until waits for what happens by itself.
func until(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for start := time.Now(); !happened(); time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatal("waited in vain: " + what)
		}
	}
}

// within has something done that takes less than a limit where the machine does not stand still meanwhile. It is done again
// until it did not.
func within(t testing.TB, what string, limit time.Duration, took func() time.Duration) {
	t.Helper()
	for start := time.Now(); ; {
		d := took()
		if d <= limit {
			return
		}
		if time.Since(start) > patience {
			t.Errorf("%s took %v, want %v at most", what, d, limit)
			return
		}
	}
}

// receive takes what must come.
func receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain: " + what)
		panic("unreachable")
	}
}

// ends gives the server's OnClose a channel.
func ends(e *engineio.Server) <-chan *engineio.CloseError {
	all := make(chan *engineio.CloseError, 1000)
	e.OnClose = func(_ *engineio.Session, err *engineio.CloseError) { all <- err }
	return all
}

// expectReason waits for the end of a session.
func expectReason(t testing.TB, all <-chan *engineio.CloseError, reason engineio.Reason) *engineio.CloseError {
	t.Helper()
	err := receive(t, "OnClose", all)
	if err.Reason != reason {
		t.Fatalf("%v, want %s", err, reason)
	}
	return err
}
