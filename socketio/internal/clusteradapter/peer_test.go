package clusteradapter_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"baro.dev/socketio"
	"baro.dev/ws"
)

const patience = 10 * time.Second

// peer is a client of a server.
type peer struct {
	t  testing.TB
	c  *ws.Conn
	id string
}

// dial connects a client to the main namespace of a server.
func dial(t testing.TB, server *socketio.Server) *peer {
	t.Helper()
	h := httptest.NewServer(server)
	t.Cleanup(h.Close)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := ws.Dial(ctx, strings.Replace(h.URL, "http", "ws", 1)+"/socket.io/?transport=websocket&EIO=4", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, c: c}
	t.Cleanup(func() { _ = c.CloseNow() })
	p.read() // the handshake of Engine.IO
	p.send("40")
	var connected struct {
		SID string `json:"sid"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(p.read(), "40")), &connected); err != nil {
		t.Fatal(err)
	}
	p.id = connected.SID
	return p
}

func (p *peer) send(text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.c.Write(ctx, ws.Text, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// read returns the next message; pings are answered.
func (p *peer) read() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		m, err := p.c.Read(ctx)
		if err != nil {
			p.t.Fatal(err)
		}
		if string(m.Data) == "2" {
			p.send("3")
			continue
		}
		return string(m.Data)
	}
}

func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.read(); got != w {
			p.t.Fatalf("got %q, want %q", got, w)
		}
	}
}
