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

	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/redisadapter"
	"baro.dev/ws"
)

// node is a server with one client, which is in the room of all and in one of the server's name.
type node struct {
	*socketio.Server
	*peer
	url string
}

func connect(t testing.TB, s *brokers.Server) redis.UniversalClient {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// start starts a server until the end of the test. It handles the event echo, and for servers name.
func start(t testing.TB, name string, client redis.UniversalClient, o *redisadapter.Options) *node {
	t.Helper()
	if o == nil {
		o = &redisadapter.Options{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	options := &socketio.Options{Adapter: redisadapter.New(client, o)}
	options.Engine.Logger = o.Logger
	io := socketio.NewServer(options)
	http := httptest.NewServer(io)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
		defer cancel()
		if err := io.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		http.Close()
	})
	io.On("sync?", func(e *socketio.Event) { _ = e.Ack() })
	io.OnConnection(func(s *socketio.Socket) {
		s.SetData(map[string]string{"of": name})
		s.Join("all", name)
	})
	io.OnServerSide("name?", func(_ socketio.Args, answer func(any)) { answer(name) })
	n := &node{Server: io, url: http.URL}
	n.peer = dial(t, n.url)
	return n
}

// cluster starts servers, and waits until they know each other.
func cluster(t testing.TB, clients func() redis.UniversalClient, o func(i int) *redisadapter.Options) []*node {
	t.Helper()
	var all []*node
	for i, name := range []string{"a", "b", "c"} {
		all = append(all, start(t, name, clients(), o(i)))
	}
	together(t, all)
	return all
}

// together waits until all of some servers hear each other.
func together(t testing.TB, all []*node) {
	t.Helper()
	for _, n := range all {
		eventually(t, "all servers have subscribed", func() bool {
			count, err := n.Adapter().ServerCount(context.Background())
			return err == nil && count == len(all) && n.adapter().Err() == nil
		})
	}
}

func (n *node) adapter() *redisadapter.Adapter {
	return n.Server.Adapter().(*redisadapter.Adapter)
}

// peer is a client over WebSocket.
type peer struct {
	t  testing.TB
	c  *ws.Conn
	id string
}

func dial(t testing.TB, url string) *peer {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/socket.io/?transport=websocket&EIO=4", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	p := &peer{t: t, c: c}
	p.send("0")
	var hello struct{ SID string }
	if err := json.Unmarshal([]byte(p.recv()[1:]), &hello); err != nil {
		t.Fatal(err)
	}
	p.id = hello.SID
	p.settle() // it is in its rooms
	return p
}

func (p *peer) send(packet string) {
	p.t.Helper()
	if err := p.c.Write(context.Background(), ws.Text, []byte("4"+packet)); err != nil {
		p.t.Fatal(err)
	}
}

// read returns the next packet, or what is binary behind "b:".
func (p *peer) read() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	for {
		m, err := p.c.Read(ctx)
		switch {
		case err != nil:
			return "", err
		case m.Type == ws.Binary:
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

func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.recv(); got != w {
			p.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// settle returns when what was sent before has been handled.
func (p *peer) settle() {
	p.t.Helper()
	p.send(`2987654["sync?"]`)
	for !strings.HasPrefix(p.recv(), "3987654") {
	}
}

// answer acknowledges the event that comes next.
func (p *peer) answer(event, values string) {
	p.t.Helper()
	got := p.recv()
	id, ok := strings.CutSuffix(strings.TrimPrefix(got, "2"), event)
	if !ok {
		p.t.Fatalf("got %q, want %q to be acknowledged", got, event)
	}
	p.send("3" + id + values)
}

func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(testkit.Patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not so: " + what)
		}
	}
}
