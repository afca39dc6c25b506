package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"baro.dev/internal/cli/bridge"
	"baro.dev/internal/cli/listener"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/neterr"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

var errStopped = errors.New("the test is over")

// endpoint reads what must be right.
func endpoint(t testing.TB, s string) bridge.Endpoint {
	t.Helper()
	e, err := bridge.ParseEndpoint(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// guard lets in the origins that are allowed.
func guard(t testing.TB, allowed ...string) *listener.Guard {
	t.Helper()
	g, err := listener.NewGuard(allowed)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// logs is what a bridge has said.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve runs a bridge until the test is over, and returns where it listens. What it has said is logged when the test fails.
func serve(t testing.TB, c bridge.Config) string {
	t.Helper()
	b := opened(t, c)
	run(t, b)
	return b.Addr().String()
}

func opened(t testing.TB, c bridge.Config) *bridge.Bridge {
	t.Helper()
	said := new(logs)
	c.Log = slog.New(slog.NewTextHandler(said, nil))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the bridge from %s:\n%s", c.From, said)
		}
	})
	if c.To.Kind == bridge.WebSocket && c.Target == nil {
		var err error
		if c.Target, err = new(target.Options{Proxy: "none"}).Target(c.To.Addr); err != nil {
			t.Fatal(err)
		}
	}
	if c.Guard == nil {
		c.Guard = guard(t)
	}
	b, err := bridge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func run(t testing.TB, b *bridge.Bridge) {
	t.Helper()
	ctx, stop := context.WithCancelCause(context.Background())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx) }()
	t.Cleanup(func() {
		stop(errStopped)
		if err := testkit.Within(t, "the end of the bridge", served); !errors.Is(err, errStopped) {
			t.Errorf("the bridge has ended with %v", err)
		}
	})
}

// front is a bridge from WebSocket to a target of TCP. Its URL is returned.
func front(t testing.TB, to string, change func(*bridge.Config)) string {
	t.Helper()
	c := bridge.Config{From: endpoint(t, "ws://127.0.0.1:0"), To: bridge.Endpoint{Kind: bridge.TCP, Addr: to}}
	if change != nil {
		change(&c)
	}
	return "ws://" + serve(t, c)
}

// both is two bridges on the way to a target: TCP, WebSocket, TCP. The address of the first is returned.
func both(t testing.TB, to string, change func(*bridge.Config)) string {
	t.Helper()
	c := bridge.Config{From: endpoint(t, "tcp://127.0.0.1:0"), To: endpoint(t, front(t, to, change)), Linger: testkit.Patience}
	if change != nil {
		change(&c)
	}
	return serve(t, c)
}

// listenTCP runs a server of TCP until the test is over.
func listenTCP(t testing.TB, handle func(c *net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	return l.Addr().String()
}

// echo sends back what comes, and not by splice(2), whose pipes are kept for a while.
func echo(c *net.TCPConn) { _, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) }

func dialTCP(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func dialWS(t testing.TB, url string, opts *ws.DialOptions) *ws.Conn {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// refused tells with what status a WebSocket is refused; 0 if it is not.
func refused(t testing.TB, url string, opts *ws.DialOptions) int {
	t.Helper()
	c, resp, err := ws.Dial(t.Context(), url, opts)
	if err == nil {
		c.CloseNow()
		return 0
	}
	if resp == nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// echoes tells whether what is sent comes back.
func echoes(t testing.TB, c *ws.Conn) {
	t.Helper()
	if err := c.Write(t.Context(), ws.Binary, []byte("ping")); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for got.Len() < 4 {
		m, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Type != ws.Binary {
			t.Fatalf("a %v message has come", m.Type)
		}
		got.Write(m.Data)
	}
	if got.String() != "ping" {
		t.Fatalf("%q has come", got.String())
	}
}

// isReset fails the test if a connection to addr is not reset, which may be before it is open.
func isReset(t testing.TB, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, neterr.ErrReset) {
		t.Errorf("the client sees %v", err)
	}
}
