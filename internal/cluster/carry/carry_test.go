package carry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/net/http2"

	"baro.dev/engineio"
	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/carry"
	"baro.dev/internal/cluster/membus"
	"baro.dev/internal/cluster/natsbus"
	_ "baro.dev/internal/extendedconnect"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers/embedded"
	"baro.dev/ws"
	"baro.dev/ws/wsh2"
)

// cell is a node with a server of Engine.IO, which echoes.
type cell struct {
	bus     cluster.Bus
	node    *cluster.Node
	carrier *carry.Carrier
	engine  *engineio.Server
	site    *httptest.Server
	client  *http.Client

	mu   sync.Mutex
	seen []string // of each request that the engine has answered by polling
}

type setup struct {
	tls, front bool
	heartbeat  time.Duration
}

func cells(t testing.TB, w *membus.Network, n int, set setup) []*cell {
	t.Helper()
	testkit.NoLeaks(t)
	var buses []cluster.Bus
	for range n {
		buses = append(buses, w.Bus())
	}
	return cellsOn(t, buses, set)
}

func cellsOn(t testing.TB, buses []cluster.Bus, set setup) []*cell {
	t.Helper()
	n := len(buses)
	all := make([]*cell, n)
	for i := range all {
		c := &cell{bus: buses[i]}
		var err error
		if c.node, err = cluster.Join(c.bus, cluster.Options{Name: fmt.Sprint(i), Heartbeat: set.heartbeat}); err != nil {
			t.Fatal(err)
		}
		c.carrier = carry.New(c.node, carry.Options{})
		c.engine = &engineio.Server{Options: engineio.Options{
			GenerateID: c.carrier.GenerateID, Elsewhere: c.carrier.Elsewhere, AllowEIO3: true, Logger: slog.New(slog.DiscardHandler),
			Headers: func(_ http.Header, r *http.Request, _ bool) {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.seen = append(c.seen, fmt.Sprint(r.RemoteAddr, " ", r.Host, " ", r.TLS != nil, " ", r.Header))
			},
		}, OnMessage: func(s *engineio.Session, m engineio.Message) { _ = s.Send(m) }}
		served := make(chan error, 1)
		go func() { served <- c.carrier.Serve(c.engine) }()
		c.site = httptest.NewUnstartedServer(c.engine)
		c.site.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		switch {
		case set.tls:
			c.site.EnableHTTP2 = true
			c.site.StartTLS()
		case set.front:
			c.site.URL = "http://" + c.site.Listener.Addr().String()
			go func() { _ = c.engine.Serve(c.site.Listener) }()
			c.client = &http.Client{Transport: new(http.Transport)}
		default:
			c.site.Start()
		}
		if c.client == nil {
			c.client = c.site.Client()
		}
		c.client.Transport.(*http.Transport).DisableCompression = true
		t.Cleanup(func() {
			c.engine.Close()
			_ = c.carrier.Close()
			<-served
			_ = c.node.Leave(context.WithoutCancel(t.Context()))
			c.site.CloseClientConnections()
			c.site.Close()
			c.client.CloseIdleConnections()
		})
		all[i] = c
	}
	eventually(t, "all know each other", func() bool {
		for _, c := range all {
			if len(c.node.Peers()) != n-1 {
				return false
			}
		}
		return true
	})
	return all
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for start := time.Now(); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > testkit.Patience {
			t.Fatalf("not within %v: %s", testkit.Patience, what)
		}
	}
}

func (c *cell) url(sid string) string {
	url := c.site.URL + "/engine.io/?EIO=4&transport=polling"
	if sid != "" {
		url += "&sid=" + sid
	}
	return url
}

type answer struct {
	status int
	body   string
	header http.Header
	err    error
}

func (c *cell) do(ctx context.Context, method, sid, body string, headers ...string) answer {
	r, err := http.NewRequestWithContext(ctx, method, c.url(sid), strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(all), resp.Header, err}
}

func (c *cell) open(t testing.TB) (sid string) {
	t.Helper()
	a := c.do(t.Context(), "GET", "", "")
	var hello struct{ SID string }
	if a.err != nil || a.status != 200 || json.Unmarshal([]byte(a.body[1:]), &hello) != nil {
		t.Fatalf("%+v", a)
	}
	return hello.SID
}

func (c *cell) saw() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[len(c.seen)-1]
}

func TestGenerateID(t *testing.T) {
	all := cells(t, new(membus.Network), 1, setup{})
	seen := map[string]bool{}
	for range 1000 {
		id := all[0].carrier.GenerateID(nil)
		if len(id) != 20 || !strings.HasPrefix(id, all[0].node.ID()) || seen[id] {
			t.Fatal(id)
		}
		seen[id] = true
	}
}

func TestPolling(t *testing.T) {
	for name, set := range map[string]setup{"net/http": {}, "front door": {front: true}, "HTTP/2": {tls: true}} {
		t.Run(name, func(t *testing.T) {
			all := cells(t, new(membus.Network), 3, set)
			poll(t, all, all[0].open(t))
			if s := all[1].carrier.Stats(); s.Polls != 20 || s.Open != 0 || s.Failed != 0 || s.Unknown != 0 {
				t.Errorf("%+v", s)
			}
			if s := all[0].carrier.Stats(); s.Polls != 0 || s.Served != 40 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// poll uses a session by all nodes in turn.
func poll(t *testing.T, all []*cell, sid string) {
	t.Helper()
	for i := range 30 {
		message := fmt.Sprint("4message ", i)
		if a := all[i%3].do(t.Context(), "POST", sid, message); a.status != 200 || a.body != "ok" {
			t.Fatalf("%+v", a)
		}
		if a := all[(i+1)%3].do(t.Context(), "GET", sid, ""); a.status != 200 || a.body != message {
			t.Fatalf("%+v", a)
		}
	}
}

// Three nodes over NATS, each at a server of its own.
func TestOverNATS(t *testing.T) {
	var buses []cluster.Bus
	for _, server := range embedded.NATS(t, 3) {
		buses = append(buses, natsBus(t, server.URL))
	}
	all := cellsOn(t, buses, setup{})
	sid := all[0].open(t)
	poll(t, all, sid)
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	c := all[1].upgrade(t, ctx, sid, setup{})
	defer c.CloseNow()
	long := []byte("4" + strings.Repeat("x", 900_000))
	for range 3 {
		if err := c.Write(ctx, ws.Text, long); err != nil {
			t.Fatal(err)
		}
		if m, err := c.Read(ctx); err != nil || !bytes.Equal(m.Data, long) {
			t.Fatal(len(m.Data), err)
		}
	}
}

func natsBus(t testing.TB, url string) cluster.Bus {
	t.Helper()
	conn, err := nats.Connect(url, natsbus.ConnectOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	b, err := natsbus.New(conn, natsbus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// The owner sees the request as if it had come to it, and a client cannot say where it comes from.
func TestWhoAsks(t *testing.T) {
	for name, set := range map[string]setup{"plain": {}, "TLS": {tls: true}} {
		t.Run(name, func(t *testing.T) {
			all := cells(t, new(membus.Network), 2, set)
			sid := all[0].open(t)
			a := all[1].do(t.Context(), "POST", sid, "4x", "Baro-Carried-Remote", "6.6.6.6:6", "Baro-Carried-Secure", "1", "X-Forwarded-For", "10.9.8.7",
				"Cookie", "a=b", "X-Own", "mine")
			if a.status != 200 {
				t.Fatalf("%+v", a)
			}
			saw := all[0].saw()
			want := fmt.Sprint(strings.TrimPrefix(strings.TrimPrefix(all[1].site.URL, "http://"), "https://"), " ", set.tls)
			for _, part := range []string{"127.0.0.1:", want, "X-Own:[mine]", "Cookie:[a=b]", "X-Forwarded-For:[10.9.8.7]"} {
				if !strings.Contains(saw, part) {
					t.Errorf("%q is not in %q", part, saw)
				}
			}
			for _, part := range []string{"6.6.6.6", "Baro-Carried"} {
				if strings.Contains(saw, part) {
					t.Errorf("%q is in %q", part, saw)
				}
			}
			local := all[0].do(t.Context(), "POST", sid, "4x", "Baro-Carried-Remote", "6.6.6.6:6")
			if local.status != 200 || !strings.HasPrefix(all[0].saw(), "127.0.0.1:") {
				t.Errorf("%+v %s", local, all[0].saw())
			}
		})
	}
}

func TestWebSocket(t *testing.T) {
	for name, set := range map[string]setup{"net/http": {}, "front door": {front: true}, "HTTP/2": {tls: true}} {
		t.Run(name, func(t *testing.T) {
			all := cells(t, new(membus.Network), 2, set)
			sid := all[0].open(t)
			ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
			defer cancel()
			c := all[1].dial(t, ctx, sid, set)
			defer c.CloseNow()
			for _, step := range [][2]string{{"2probe", "3probe"}, {"5", ""}, {"4hello", "4hello"}, {"4" + strings.Repeat("x", 300_000), ""}} {
				if err := c.Write(ctx, ws.Text, []byte(step[0])); err != nil {
					t.Fatal(err)
				}
				want := step[1]
				if step[0][0] == '4' {
					want = step[0]
				}
				if want == "" {
					continue
				}
				if m, err := c.Read(ctx); err != nil || string(m.Data) != want {
					t.Fatalf("%.20q: %.20q, %v", step[0], m.Data, err)
				}
			}
			if s := all[1].carrier.Stats(); s.Sockets != 1 || s.OpenSockets != 1 {
				t.Errorf("%+v", s)
			}
			if got := all[0].engine.Session(sid).RemoteAddr().String(); !strings.HasPrefix(got, "127.0.0.1:") {
				t.Errorf("from %s", got)
			}
			_ = c.CloseNow()
			eventually(t, "the session ends, and what carried it", func() bool {
				return all[0].engine.Len() == 0 && all[1].carrier.Stats().OpenSockets == 0
			})
		})
	}
}

// upgrade opens a WebSocket for a session that polls.
func (c *cell) upgrade(t testing.TB, ctx context.Context, sid string, set setup) *ws.Conn {
	t.Helper()
	conn := c.dial(t, ctx, sid, set)
	if err := conn.Write(ctx, ws.Text, []byte("2probe")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(ctx); err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(ctx, ws.Text, []byte("5")); err != nil {
		t.Fatal(err)
	}
	return conn
}

func (c *cell) dial(t testing.TB, ctx context.Context, sid string, set setup) *ws.Conn {
	t.Helper()
	o := &ws.DialOptions{}
	if set.tls {
		transport := &http2.Transport{TLSClientConfig: c.client.Transport.(*http.Transport).TLSClientConfig.Clone()}
		t.Cleanup(transport.CloseIdleConnections)
		o.Streams = &wsh2.Streams{Transport: transport}
	}
	conn, resp, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(c.site.URL, "http")+"/engine.io/?EIO=4&transport=websocket&sid="+sid, o)
	if err != nil {
		t.Fatal(resp, err)
	}
	if set.tls && resp.ProtoMajor != 2 {
		t.Fatalf("over %s", resp.Proto)
	}
	return conn
}

// The owner closes: the client is told.
func TestOwnerCloses(t *testing.T) {
	for name, set := range map[string]setup{"net/http": {}, "HTTP/2": {tls: true}} {
		t.Run(name, func(t *testing.T) {
			all := cells(t, new(membus.Network), 2, set)
			sid := all[0].open(t)
			ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
			defer cancel()
			c := all[1].upgrade(t, ctx, sid, set)
			defer c.CloseNow()
			_ = c.Write(ctx, ws.Text, []byte("4x"))
			if _, err := c.Read(ctx); err != nil {
				t.Fatal(err)
			}
			all[0].engine.Session(sid).Close()
			for {
				if _, err := c.Read(ctx); err != nil {
					if ctx.Err() != nil {
						t.Error(err)
					}
					break
				}
			}
			eventually(t, "nothing is left", func() bool { return all[1].carrier.Stats().OpenSockets == 0 })
		})
	}
}

func TestUnknown(t *testing.T) {
	all := cells(t, new(membus.Network), 2, setup{})
	other := all[0].carrier.GenerateID(nil)
	for _, sid := range []string{other, all[1].carrier.GenerateID(nil), "nobody" + other[6:], other[:19], "x"} {
		if a := all[1].do(t.Context(), "POST", sid, "4x"); a.status != 400 || a.body != `{"code":1,"message":"Session ID unknown"}` {
			t.Errorf("%s: %+v", sid, a)
		}
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
		_, resp, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(all[1].site.URL, "http")+"/engine.io/?EIO=4&transport=websocket&sid="+sid, nil)
		if err == nil || resp == nil || resp.StatusCode != 400 {
			t.Errorf("%v, %v", resp, err)
		}
		cancel()
	}
}

// What the engine refuses is refused through another node as well.
func TestTooLong(t *testing.T) {
	all := cells(t, new(membus.Network), 2, setup{})
	sid := all[0].open(t)
	if a := all[1].do(t.Context(), "POST", sid, "4"+strings.Repeat("x", 3_000_000)); a.status != 413 && a.err == nil {
		t.Errorf("%d %.100s", a.status, a.body)
	}
	eventually(t, "the session is closed", func() bool { return all[0].engine.Len() == 0 })
	eventually(t, "nothing is carried", func() bool { return all[1].carrier.Stats().Open == 0 })
}

// A client that is gone is gone for the owner as well, which has ended its session then.
func TestClientGone(t *testing.T) {
	all := cells(t, new(membus.Network), 2, setup{})
	sid := all[0].open(t)
	ctx, cancel := context.WithCancel(t.Context())
	polled := make(chan answer, 1)
	go func() { polled <- all[1].do(ctx, "GET", sid, "") }()
	eventually(t, "the poll waits at its owner", func() bool { return all[0].carrier.Stats().Served == 1 })
	cancel()
	<-polled
	eventually(t, "the session ends", func() bool { return all[0].engine.Len() == 0 })
}

func TestOwnerDies(t *testing.T) {
	all := cells(t, new(membus.Network), 2, setup{heartbeat: 100 * time.Millisecond})
	sid := all[0].open(t)
	polled := make(chan answer, 1)
	go func() { polled <- all[1].do(t.Context(), "GET", sid, "") }()
	eventually(t, "the poll waits at its owner", func() bool { return all[0].carrier.Stats().Served == 1 })
	all[0].bus.(*membus.Bus).Cut(true, true)
	if a := <-polled; a.status != 503 && a.err == nil {
		t.Errorf("%+v", a)
	}
	eventually(t, "it is unknown when its owner is known to be dead", func() bool {
		return strings.Contains(all[1].do(t.Context(), "POST", sid, "4x").body, `"code":1`)
	})
	all[0].bus.(*membus.Bus).Cut(false, false)
}

// Polls wait for as long as the engine has them wait, many at once.
func TestManyPolls(t *testing.T) {
	const n = 100
	all := cells(t, new(membus.Network), 2, setup{})
	var sids []string
	for range n {
		sids = append(sids, all[0].open(t))
	}
	var polling sync.WaitGroup
	for _, sid := range sids {
		polling.Go(func() {
			if a := all[1].do(t.Context(), "GET", sid, ""); a.body != "4"+sid {
				t.Errorf("%+v", a)
			}
		})
	}
	eventually(t, "all wait", func() bool { return all[0].carrier.Stats().Served == n })
	for _, sid := range sids {
		if err := all[0].engine.Session(sid).Send(engineio.Message{Data: []byte(sid)}); err != nil {
			t.Error(err)
		}
	}
	polling.Wait()
}

// A node that answers nonsense cannot harm the one that carries to it.
func TestHostileOwner(t *testing.T) {
	w := new(membus.Network)
	all := cells(t, w, 1, setup{})
	bus := w.Bus()
	evil, err := cluster.Join(bus, cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = evil.Leave(context.WithoutCancel(t.Context())) }()
	eventually(t, "it is there", func() bool { return len(all[0].node.Peers()) == 1 })
	endless := "HTTP/1.1 101 Switching Protocols\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 1000)
	var says atomic.Value
	l := evil.Listener()
	var serving sync.WaitGroup
	defer serving.Wait()
	defer l.Close()
	serving.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(testkit.Patience))
				_, _ = nc.Read(make([]byte, 4096))
				_, _ = io.WriteString(nc, says.Load().(string))
			})
		}
	})
	sid := evil.ID() + strings.Repeat("x", 14)
	for _, nonsense := range []string{"", "nonsense\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n", endless, "HTTP/1.1 999999999999 x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1"} {
		says.Store(nonsense)
		if a := all[0].do(t.Context(), "GET", sid, ""); a.err == nil && a.status == 200 {
			t.Errorf("%.20q: %+v", nonsense, a)
		}
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
		c, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(all[0].site.URL, "http")+"/engine.io/?EIO=4&transport=websocket&sid="+sid, nil)
		if err == nil {
			t.Errorf("%.20q: opened", nonsense)
			_ = c.CloseNow()
		}
		if ctx.Err() != nil {
			t.Errorf("%.20q: %v", nonsense, err)
		}
		cancel()
	}
}

// Both nodes have one of the ids that the other would carry: it is carried once only.
func TestNoCircle(t *testing.T) {
	all := cells(t, new(membus.Network), 3, setup{})
	conn, err := all[0].node.Dial(t.Context(), all[1].node.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(testkit.Patience))
	_, _ = fmt.Fprintf(conn, "GET /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", all[2].open(t))
	all2, err := io.ReadAll(conn)
	if err != nil && !os.IsTimeout(err) || !strings.Contains(string(all2), "Session ID unknown") {
		t.Errorf("%q, %v", all2, err)
	}
}
