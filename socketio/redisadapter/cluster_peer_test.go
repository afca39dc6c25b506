package redisadapter_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/engineio"
	"baro.dev/socketio"
	"baro.dev/ws"
)

const clusterPatience = 15 * time.Second

// member is a server of a cluster.
type member struct {
	*socketio.Server
	url string
}

// newMember starts a server with an adapter.
func newMember(t testing.TB, adapter func(*socketio.Namespace) socketio.Adapter, recovery *socketio.ConnectionStateRecovery) *member {
	t.Helper()
	server := socketio.NewServer(&socketio.Options{
		Adapter: adapter, ConnectionStateRecovery: recovery, Engine: engineio.Options{Logger: slog.New(slog.DiscardHandler)},
	})
	h := httptest.NewServer(server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		h.Close()
	})
	return &member{server, h.URL}
}

// count waits until a server counts so many.
func (m *member) count(t testing.TB, servers int) {
	t.Helper()
	becomes(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
		defer cancel()
		n, err := m.Adapter().ServerCount(ctx)
		return err == nil && n == servers
	})
}

func becomes(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(clusterPatience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never became true")
		}
	}
}

// connection is a client of a server.
type connection struct {
	t      testing.TB
	c      *ws.Conn
	id     string
	pid    string
	before []string // what came before the answer to the CONNECT
}

// client connects to the main namespace of a server, saying what stands behind 40.
func (m *member) client(t testing.TB, auth string) *connection {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
	defer cancel()
	c, _, err := ws.Dial(ctx, strings.Replace(m.url, "http", "ws", 1)+"/socket.io/?transport=websocket&EIO=4", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &connection{t: t, c: c}
	t.Cleanup(func() { _ = c.CloseNow() })
	p.read() // the handshake of Engine.IO
	p.send("40" + auth)
	for {
		text := p.read()
		rest, ok := strings.CutPrefix(text, "40")
		if !ok {
			p.before = append(p.before, text)
			continue
		}
		var answer struct{ SID, PID string }
		if err := json.Unmarshal([]byte(rest), &answer); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		p.id, p.pid = answer.SID, answer.PID
		becomes(t, func() bool { s := m.Socket(p.id); return s != nil && s.Connected() })
		return p
	}
}

func (p *connection) send(text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
	defer cancel()
	if err := p.c.Write(ctx, ws.Text, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// read returns the next message; pings are answered.
func (p *connection) read() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
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

func (p *connection) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.read(); got != w {
			p.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

func redisClient(t testing.TB, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, DialTimeout: time.Second})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

type redisPipeliner = redis.Pipeliner
