package adaptertest

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"baro.dev/socketio"
	"baro.dev/ws"
)

// Patience is how long something is waited for that has to happen.
const Patience = 20 * time.Second

// Serve starts a server with an adapter, for as long as the test. It logs nothing.
func Serve(t testing.TB, adapter func(*socketio.Namespace) socketio.Adapter) (*socketio.Server, string) {
	t.Helper()
	o := &socketio.Options{Adapter: adapter}
	o.Engine.Logger = slog.New(slog.DiscardHandler)
	server := socketio.NewServer(o)
	h := httptest.NewServer(server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		h.Close()
	})
	return server, h.URL
}

// Client is a client that speaks Engine.IO over WebSocket, and leaves Socket.IO to the test. It is for one goroutine.
type Client struct {
	ID string // of the socket
	t  testing.TB
	c  *ws.Conn
}

// Dial connects a client to a namespace, which lasts as long as the test. What is received begins with the type of Socket.IO; what
// is binary with "b:".
func Dial(t testing.TB, url, namespace string) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	conn, _, err := ws.Dial(ctx, strings.Replace(url, "http", "ws", 1)+"/socket.io/?transport=websocket&EIO=4",
		&ws.DialOptions{Limits: ws.Limits{MaxMessageSize: -1}})
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{t: t, c: conn}
	t.Cleanup(c.Close)
	if m, err := conn.Read(ctx); err != nil || m.Data[0] != '0' {
		t.Fatalf("%s %v", m.Data, err)
	}
	if namespace == "/" {
		c.Send("0")
	} else {
		c.Send("0" + namespace + ",")
	}
	answer := c.Receive()
	var hello struct{ SID string }
	if err := json.Unmarshal([]byte(answer[strings.IndexByte(answer, '{'):]), &hello); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	c.ID = hello.SID
	return c
}

// Send sends a packet of Socket.IO.
func (c *Client) Send(packet string) {
	c.t.Helper()
	if err := c.c.Write(context.Background(), ws.Text, []byte("4"+packet)); err != nil {
		c.t.Fatalf("%q: %v", packet, err)
	}
}

// SendBinary sends an attachment.
func (c *Client) SendBinary(data string) {
	c.t.Helper()
	if err := c.c.Write(context.Background(), ws.Binary, []byte(data)); err != nil {
		c.t.Fatal(err)
	}
}

// Receive returns the next packet.
func (c *Client) Receive() string {
	c.t.Helper()
	return c.await("a packet")
}

func (c *Client) await(what string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for {
		m, err := c.c.Read(ctx)
		switch {
		case err != nil:
			c.t.Fatalf("%s did not come to %s: %v", what, c.ID, err)
		case m.Type == ws.Binary:
			return "b:" + string(m.Data)
		case string(m.Data) == "2":
			if err := c.c.Write(ctx, ws.Text, []byte("3")); err != nil {
				c.t.Fatal(err)
			}
		case m.Data[0] == '4':
			return string(m.Data[1:])
		}
	}
}

// Expect receives these packets, and no others between.
func (c *Client) Expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.await(w); got != w {
			c.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// Answer receives an event of which an acknowledgement is wanted, and sends it.
func (c *Client) Answer(event, args string) {
	c.t.Helper()
	got := c.Receive()
	id, ok := strings.CutSuffix(strings.TrimPrefix(got, "2"), event)
	if !ok || id == "" {
		c.t.Fatalf("got %q, want %q and an id", got, event)
	}
	c.Send("3" + id + args)
}

// Close cuts the connection.
func (c *Client) Close() { _ = c.c.CloseNow() }

// Until waits until something is so.
func Until(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not so: " + what)
		}
	}
}
