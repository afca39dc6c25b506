package socketio_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/socketio"
)

// bubble runs a test with a server and a clock of its own: time passes when nothing else is left to do.
func bubble(t *testing.T, o *socketio.Options, f func(t *testing.T, io *socketio.Server)) {
	t.Helper()
	o.Engine.Logger = slog.New(slog.DiscardHandler)
	synctest.Test(t, func(t *testing.T) {
		io := socketio.NewServer(o)
		f(t, io)
		if err := io.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// caller is a client over polling without a network, as a bubble needs it.
type caller struct {
	t       testing.TB
	io      *socketio.Server
	sid     string // of the session
	waiting []string
	over    bool
}

func call(t testing.TB, io *socketio.Server) *caller {
	t.Helper()
	c := &caller{t: t, io: io}
	var hello struct{ SID string }
	if _, body := c.request(http.MethodGet, ""); json.Unmarshal([]byte(body[1:]), &hello) != nil {
		t.Fatal(body)
	}
	c.sid = hello.SID
	return c
}

func (c *caller) request(method, body string) (status int, answer string) {
	w := httptest.NewRecorder()
	c.io.ServeHTTP(w, httptest.NewRequest(method, "/socket.io/?EIO=4&transport=polling&sid="+c.sid, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func (c *caller) send(messages ...string) {
	c.t.Helper()
	for _, m := range messages {
		if status, answer := c.request(http.MethodPost, "4"+m); status != http.StatusOK {
			c.t.Fatal(status, answer)
		}
	}
}

// recv returns the next message, "" when the session has ended. Pings are answered meanwhile.
func (c *caller) recv() string {
	for len(c.waiting) == 0 && !c.over {
		status, body := c.request(http.MethodGet, "")
		c.over = status != http.StatusOK
		for packet := range strings.SplitSeq(body, "\x1e") {
			switch {
			case packet == "1":
				c.over = true
			case packet == "2":
				c.request(http.MethodPost, "3")
			case strings.HasPrefix(packet, "4"):
				c.waiting = append(c.waiting, packet[1:])
			}
		}
	}
	if len(c.waiting) == 0 {
		return ""
	}
	m := c.waiting[0]
	c.waiting = c.waiting[1:]
	return m
}

func (c *caller) expect(want ...string) { c.t.Helper(); expect(c.t, c.recv, want...) }

func (c *caller) connect(packet string) (sid, pid string) {
	c.t.Helper()
	c.send(packet)
	answer := c.recv()
	m := connectAnswer.FindStringSubmatch(answer)
	if m == nil {
		c.t.Fatalf("got %q, want the answer to CONNECT", answer)
	}
	return m[1], m[2]
}

// ended waits for the end of the session, and returns how long that took.
func (c *caller) ended() time.Duration {
	c.t.Helper()
	start := time.Now()
	if m := c.recv(); m != "" {
		c.t.Errorf("got %q, want the end", m)
	}
	return time.Since(start)
}
