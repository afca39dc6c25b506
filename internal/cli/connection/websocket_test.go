package connection_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/ws"
)

// patience is how long anything may take here.
const patience = 20 * time.Second

// to is a target without a proxy.
func to(t *testing.T, url string, options target.Options) *target.Target {
	t.Helper()
	options.Proxy = "none"
	target, err := options.Target(url)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// dial connects, and closes at the end of the test.
func dial(t *testing.T, url string, o connection.Options) connection.Connection {
	t.Helper()
	c, err := try(t, url, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func try(t *testing.T, url string, o connection.Options) (connection.Connection, error) {
	t.Helper()
	if o.Target == nil {
		o.Target = to(t, url, target.Options{})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := connection.Dial(ctx, &o)
	if err == nil {
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			c.Close(ctx, 0, "")
		})
	}
	return c, err
}

func receive(t *testing.T, c connection.Connection) connection.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := c.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m.Data = bytes.Clone(m.Data)
	return m
}

func send(t *testing.T, c connection.Connection, kind connection.Kind, data string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Send(ctx, connection.Message{Kind: kind, Data: []byte(data)}); err != nil {
		t.Fatal(err)
	}
}

func end(t *testing.T, c connection.Connection) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, err := c.Receive(ctx)
		switch {
		case ctx.Err() != nil:
			t.Fatal("it does not end")
		case err != nil:
			return err
		}
	}
}

// echo answers each message by itself; "close CODE" closes.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := ws.Accept(w, r, &ws.AcceptOptions{Compression: ws.Compression{Enabled: true}, Subprotocols: []string{"b", "a"}})
	if err != nil {
		return
	}
	defer c.CloseNow()
	for m, err := range c.Messages(r.Context()) {
		if err != nil {
			return
		}
		var code int
		if n, _ := fmt.Sscanf(string(m.Data), "close %d", &code); n == 1 {
			c.Close(r.Context(), ws.StatusCode(code), "asked")
			return
		}
		if string(m.Data) == "cut" {
			c.UnderlyingConn().Close()
			return
		}
		c.Write(r.Context(), m.Type, m.Data)
	}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestWebSocket(t *testing.T) {
	url := "ws" + serve(t, echo)[4:]
	c := dial(t, url, connection.Options{Subprotocols: []string{"a"}})
	for _, data := range []string{"hello", "", "a\nb"} {
		send(t, c, connection.Text, data)
		if m := receive(t, c); m.Kind != connection.Text || string(m.Data) != data || time.Since(m.At) > patience {
			t.Errorf("got %+v, want %q", m, data)
		}
	}
	send(t, c, connection.Binary, "\xff")
	if m := receive(t, c); m.Kind != connection.Binary || string(m.Data) != "\xff" {
		t.Errorf("got %+v", m)
	}
	if err := c.Send(t.Context(), connection.Message{Data: []byte("\xff")}); !errors.Is(err, connection.ErrMessage) {
		t.Errorf("what is not UTF-8 as text: %v", err)
	}
	if _, err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	i := c.Info()
	if i.Protocol != connection.WebSocket || i.HTTP != "HTTP/1.1" || i.Subprotocol != "a" || i.Compressed || i.Stats.MessagesIn != 4 || i.Stats.BytesOut != 9 {
		t.Errorf("info %+v", i)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Receive(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("nothing to receive: %v", err)
	}
	if err := c.Close(t.Context(), 4000, "bye"); err != nil {
		t.Error(err)
	}
	if err := end(t, c); err != connection.ErrClosed {
		t.Errorf("after Close: %v", err)
	}
}

// How a connection ends decides about the exit code.
func TestEnds(t *testing.T) {
	url := serve(t, echo)
	for say, want := range map[string]error{"close 1000": io.EOF, "close 1011": nil, "close 4001": nil, "cut": nil} {
		c := dial(t, url, connection.Options{Protocol: connection.WebSocket})
		send(t, c, connection.Text, say)
		err := end(t, c)
		if want != nil && err != want || want == nil && exit.Code(err) != exit.Broken {
			t.Errorf("%s: %v (%d)", say, err, exit.Code(err))
		}
	}
}

func TestRefusals(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	refuse := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		default:
			http.Error(w, "who are you?", http.StatusForbidden)
		}
	})
	for _, c := range []struct {
		url, says string
		code      int
	}{
		{"ws://" + gone.Addr().String(), "refused", exit.Unreachable},
		{refuse, "403 Forbidden: \"who are you?\"", exit.Refused},
		{refuse + "/loop", "302", exit.Refused},
		{refuse + "/file", "redirect", exit.Refused},
	} {
		_, err := try(t, c.url, connection.Options{Protocol: connection.WebSocket})
		if exit.Code(err) != c.code || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%d), want %q (%d)", c.url, err, exit.Code(err), c.says, c.code)
		}
	}
}

// A server that takes each connection and breaks it at once is not asked for ever, whatever it says before.
func TestBreaksAtOnce(t *testing.T) {
	var came atomic.Int64
	c := dial(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		came.Add(1)
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		c.Write(r.Context(), ws.Text, []byte("hello"))
		c.CloseNow()
	}), connection.Options{Protocol: connection.WebSocket, Reconnect: true, Delay: 10 * time.Second, MaxDelay: time.Millisecond, MaxAttempts: 2})
	if err := end(t, c); errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if n := came.Load(); n != 3 {
		t.Errorf("it was asked %d times", n)
	}
}

// A connection that breaks is made again, and what is sent meanwhile waits for it.
func TestReconnect(t *testing.T) {
	var mu sync.Mutex
	var states []connection.State
	c := dial(t, serve(t, echo), connection.Options{Protocol: connection.WebSocket, Reconnect: true, Delay: time.Millisecond, OnState: func(s connection.State) {
		mu.Lock()
		defer mu.Unlock()
		states = append(states, s)
	}})
	for range 3 {
		send(t, c, connection.Text, "cut")
		done := make(chan error, 1)
		before := c.Info().Stats.MessagesIn
		go func() {
			var err error
			for err == nil && c.Info().Stats.MessagesIn == before {
				err = c.Send(t.Context(), connection.Message{Data: []byte("again")})
				time.Sleep(time.Millisecond) // what leaves on the way down is lost
			}
			done <- err
		}()
		if m := receive(t, c); string(m.Data) != "again" {
			t.Errorf("got %q", m.Data)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if n := c.Info().Stats.Reconnects; n < 1 || len(states) < 4 || states[1].Kind != connection.Disconnected || states[2].Kind != connection.Waiting || states[2].Attempt != 1 {
		t.Errorf("%d reconnects, %+v", n, states)
	}
}

func TestFrames(t *testing.T) {
	for _, deflate := range []bool{false, true} {
		frames := make(chan connection.Frame, 100)
		c := dial(t, serve(t, echo), connection.Options{Protocol: connection.WebSocket, Compression: ws.Compression{Enabled: deflate, Threshold: 1}, OnFrame: func(f connection.Frame) {
			f.Payload = bytes.Clone(f.Payload)
			frames <- f
		}})
		text := string(bytes.Repeat([]byte("hello "), 100))
		send(t, c, connection.Text, text)
		receive(t, c)
		out, in := <-frames, <-frames
		if !out.Out || !out.Masked || !out.Fin || out.Opcode != 1 || in.Out || in.Masked || out.RSV1 != deflate || in.RSV1 != deflate {
			t.Errorf("out %+v, in %+v", out, in)
		}
		if !deflate && (out.Length != 600 || string(out.Payload) != text[:connection.MaxExcerpt] || !bytes.Equal(in.Payload, out.Payload)) {
			t.Errorf("out %+v, in %+v", out, in)
		}
		if s := c.Info().Stats; s.WireIn != in.Length || s.WireOut != out.Length || s.BytesIn != 600 || deflate && s.WireOut > 100 {
			t.Errorf("%+v", s)
		}
	}
}

func TestUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(echo)}}
	s.Start()
	t.Cleanup(s.Close)
	for url, options := range map[string]target.Options{"ws+unix://" + path + ":/chat": {}, "ws://any.invalid/": {Unix: path}, "http://any.invalid/": {Unix: path}} {
		c := dial(t, url, connection.Options{Target: to(t, url, options)})
		send(t, c, connection.Text, "hello")
		if m := receive(t, c); string(m.Data) != "hello" {
			t.Errorf("%s: got %+v", url, m)
		}
	}
}

// A channel says by its codes whether to come back, and where to.
func TestChannelCodes(t *testing.T) {
	var seen []string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.Query().Get("after"))
		code := map[int]ws.StatusCode{1: 4410, 2: 4000, 3: 4501}[len(seen)]
		c, err := ws.Accept(w, r, nil)
		if err == nil {
			c.Close(r.Context(), code, "")
		}
	})
	states, tell := told()
	c := dial(t, url+"/c/a", connection.Options{Protocol: connection.WebSocket, Reconnect: true, After: "gone:1", Delay: time.Millisecond, OnState: tell})
	if err := end(t, c); exit.Code(err) != exit.Refused || ws.CloseStatus(err) != 4501 {
		t.Errorf("%v (%d)", err, exit.Code(err))
	}
	if want := []string{"gone:1", "", ""}; !slices.Equal(seen, want) {
		t.Errorf("it asked for what is after %q, want %q", seen, want)
	}
	if <-states; (<-states).Kind != connection.Missed {
		t.Error("it was not told of what was missed")
	}
}
