package socketio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"baro.dev/socketio"
	"baro.dev/ws"
)

const patience = 10 * time.Second

// start serves a Socket.IO server until the end of the test.
func start(t testing.TB, o *socketio.Options) (*socketio.Server, string) {
	t.Helper()
	if o == nil {
		o = &socketio.Options{}
	}
	if o.Engine.Logger == nil {
		o.Engine.Logger = slog.New(slog.DiscardHandler)
	}
	io := socketio.NewServer(o)
	server := httptest.NewServer(io)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := io.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		server.Close()
	})
	return io, server.URL
}

// peer is a client over WebSocket that speaks Engine.IO, and leaves Socket.IO to the test.
type peer struct {
	t  testing.TB
	c  *ws.Conn
	id string // of the session
	v3 bool
}

func dial(t testing.TB, url string) *peer          { return dialQuery(t, url, "EIO=4", nil) }
func dialV3(t testing.TB, url string) *peer        { return dialQuery(t, url, "EIO=3", nil) }
func join(t testing.TB, url, packet string) *peer  { p := dial(t, url); p.connect(packet); return p }
func (p *peer) connect(packet string) (sid string) { p.send(packet); return p.sid() }
func (p *peer) expect(want ...string)              { p.t.Helper(); expect(p.t, p.recv, want...) }
func (p *peer) close()                             { _ = p.c.CloseNow() }
func expect(t testing.TB, recv func() string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := recv(); got != w {
			t.Fatalf("got %q, want %q", got, w)
		}
	}
}

func dialQuery(t testing.TB, url, query string, header http.Header) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := ws.Dial(ctx, strings.Replace(url, "http", "ws", 1)+"/socket.io/?transport=websocket&"+query, &ws.DialOptions{Header: header})
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, c: c, v3: strings.Contains(query, "EIO=3")}
	t.Cleanup(p.close)
	m, err := c.Read(ctx)
	if err != nil || m.Data[0] != '0' {
		t.Fatalf("%s %v", m.Data, err)
	}
	var hello struct{ SID string }
	if err := json.Unmarshal(m.Data[1:], &hello); err != nil {
		t.Fatal(err)
	}
	p.id = hello.SID
	return p
}

// send sends messages; what begins with "b:" is binary.
func (p *peer) send(messages ...string) {
	p.t.Helper()
	for _, m := range messages {
		kind, data := ws.Text, []byte("4"+m)
		if rest, ok := strings.CutPrefix(m, "b:"); ok {
			kind, data = ws.Binary, []byte(rest)
			if p.v3 {
				data = append([]byte{4}, data...)
			}
		}
		if err := p.c.Write(context.Background(), kind, data); err != nil {
			p.t.Fatalf("%q: %v", m, err)
		}
	}
}

// read returns the next message, or the error that ends the connection.
func (p *peer) read() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		m, err := p.c.Read(ctx)
		switch {
		case err != nil:
			return "", err
		case m.Type == ws.Binary:
			if p.v3 {
				return "b:" + string(m.Data[1:]), nil
			}
			return "b:" + string(m.Data), nil
		case string(m.Data) == "2":
			if err := p.c.Write(ctx, ws.Text, []byte("3")); err != nil {
				return "", err
			}
		case m.Data[0] == '4':
			return string(m.Data[1:]), nil
		}
	}
}

func (p *peer) recv() string {
	p.t.Helper()
	m, err := p.read()
	if err != nil {
		p.t.Fatalf("connection ended: %v", err)
	}
	return m
}

// ended waits for the end of the connection; nothing else comes.
func (p *peer) ended() {
	p.t.Helper()
	if m, err := p.read(); err == nil {
		p.t.Fatalf("got %q, want the end of the connection", m)
	} else if strings.Contains(err.Error(), "deadline") {
		p.t.Fatal("the connection has not ended")
	}
}

// sync returns when what was sent before has been handled: "/" must have been connected.
func (p *peer) sync() {
	p.t.Helper()
	p.send(`2987654["sync?"]`)
	for {
		if got := p.recv(); strings.HasPrefix(got, "3987654") {
			return
		}
	}
}

// synced makes sync work.
func synced(io *socketio.Server) {
	io.On("sync?", func(e *socketio.Event) { _ = e.Ack() })
}

var connectAnswer = regexp.MustCompile(`^0(?:/[^,]*,)?\{"sid":"([\w-]{20})"(?:,"pid":"([\w-]+)")?\}$`)

func (p *peer) sid() string { sid, _ := p.sidAndPID(); return sid }

func (p *peer) sidAndPID() (sid, pid string) {
	p.t.Helper()
	got := p.recv()
	m := connectAnswer.FindStringSubmatch(got)
	if m == nil {
		p.t.Fatalf("got %q, want the answer to CONNECT", got)
	}
	return m[1], m[2]
}

// poller is a client over HTTP long polling.
type poller struct {
	t       testing.TB
	url     string
	waiting []string
}

func poll(t testing.TB, url string) *poller {
	t.Helper()
	p := &poller{t: t, url: url + "/socket.io/?EIO=4&transport=polling"}
	body := p.request(http.MethodGet, "")
	var hello struct{ SID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &hello); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	p.url += "&sid=" + hello.SID
	t.Cleanup(func() { p.request(http.MethodPost, "1") })
	return p
}

func (p *poller) request(method, body string) string {
	p.t.Helper()
	r, err := http.NewRequest(method, p.url, bytes.NewReader([]byte(body)))
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s %s %v", method, answer.Status, b, err)
	}
	return string(b)
}

func (p *poller) send(messages ...string) {
	p.t.Helper()
	for i := range messages {
		messages[i] = "4" + messages[i]
	}
	if got := p.request(http.MethodPost, strings.Join(messages, "\x1e")); got != "ok" {
		p.t.Fatalf("POST: %s", got)
	}
}

func (p *poller) recv() string {
	p.t.Helper()
	for len(p.waiting) == 0 {
		for packet := range strings.SplitSeq(p.request(http.MethodGet, ""), "\x1e") {
			if m, ok := strings.CutPrefix(packet, "4"); ok {
				p.waiting = append(p.waiting, m)
			}
		}
	}
	m := p.waiting[0]
	p.waiting = p.waiting[1:]
	return m
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not so: " + what)
		}
	}
}

// got waits for a value of a channel.
func got[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}
