package listen_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"baro.dev/internal/cli/listen"
	"baro.dev/internal/cli/listener"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

var errStopped = errors.New("the test is over")

// serve runs a server until the test is over or stop is called, and returns the host and port.
func serve(t *testing.T, c listen.Config) (addr string, stop func()) {
	t.Helper()
	g, err := listener.NewGuard(nil)
	if err != nil {
		t.Fatal(err)
	}
	g.Loopback, g.Local = true, true
	c.Guard = g
	s, err := listen.New(c)
	if err != nil {
		t.Fatal(err)
	}
	a, err := listener.ParseAddress("0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := a.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := s.Serve(ctx, l); !errors.Is(err, errStopped) {
			t.Errorf("the server has ended with %v", err)
		}
	}()
	stop = func() {
		cancel(errStopped)
		testkit.Within(t, "the end of the server", served)
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

func dial(t *testing.T, addr string, opts *ws.DialOptions) *ws.Conn {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), "ws://"+addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// refused tells with what status a WebSocket is refused; 0 if it is not.
func refused(t *testing.T, addr string, header ...string) int {
	t.Helper()
	opts := &ws.DialOptions{Header: http.Header{}}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		opts.Header.Set(name, value)
	}
	c, resp, err := ws.Dial(t.Context(), "ws://"+addr, opts)
	if err == nil {
		c.CloseNow()
		return 0
	}
	if resp == nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func send(t *testing.T, c *ws.Conn, text string) {
	t.Helper()
	if err := c.Write(t.Context(), ws.Text, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, c *ws.Conn) string {
	t.Helper()
	m, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.String()
}

func want(t *testing.T, c *ws.Conn, text string) {
	t.Helper()
	if got := read(t, c); got != text {
		t.Fatalf("%q has come, want %q", got, text)
	}
}

// closed waits for the end, and returns its code.
func closed(t *testing.T, c *ws.Conn) ws.StatusCode {
	t.Helper()
	for {
		if _, err := c.Read(t.Context()); err != nil {
			return ws.CloseStatus(err)
		}
	}
}
