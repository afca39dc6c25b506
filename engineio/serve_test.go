package engineio_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// serveFront serves e by Serve, whatever door the other tests use.
func serveFront(t *testing.T, e *engineio.Server) *site {
	t.Helper()
	was := *front
	*front = true
	defer func() { *front = was }()
	return open(t, e)
}

// A WebSocket that Serve opens by itself is like any other, and what is not for it gets the answer that it would get elsewhere.
func TestServe(t *testing.T) {
	for _, inline := range []bool{false, true} {
		e := calm()
		e.Options.Path, e.Options.Inline = "/engine.io/", inline
		e.Options.Headers = func(h http.Header, _ *http.Request, _ bool) { h.Set("X-Mine", "yes") }
		e.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") == "" {
				_, _ = io.WriteString(w, "elsewhere: "+r.URL.Path)
				return
			}
			if c, err := ws.Accept(w, r, nil); err == nil {
				_ = c.Write(r.Context(), ws.Text, []byte("another"))
				_ = c.Close(r.Context(), ws.StatusNormalClosure, "")
			}
		})
		opened := make(chan string, 2)
		e.OnOpen = func(s *engineio.Session, r *http.Request) { opened <- r.URL.RawQuery + " " + s.RemoteAddr().Network() }
		s := serveFront(t, e)

		c, resp, err := ws.Dial(t.Context(), "ws"+s.http.URL[4:]+"/engine.io/?EIO=4&transport=websocket&a=b", nil)
		if err != nil || resp.Header.Get("X-Mine") != "yes" {
			t.Fatal(resp, err)
		}
		w := &wire{t, c}
		if m, err := w.read(); err != nil {
			t.Fatal(err)
		} else if h := parseHello(t, string(m.Data)); e.Session(h.SID) == nil {
			t.Error("nobody knows the session", h)
		}
		if got := receive(t, "OnOpen", opened); got != "EIO=4&transport=websocket&a=b tcp" {
			t.Error(got)
		}
		w.echoes(ws.Text, "4hello")

		sid := s.poll(4)
		<-opened
		p := s.probe(4, sid)
		p.send("5")
		p.echoes(ws.Text, "4upgraded")

		s.do("GET", "/other", "").expect(t, 200, "elsewhere: /other")
		s.do("GET", "/engine.io/?EIO=5&transport=polling", "").expect(t, 400, `{"code":5,"message":"Unsupported protocol version"}`)
		if _, err := s.tryDial("EIO=5&transport=websocket"); err == nil {
			t.Error("a version that there is not")
		} else if he, ok := errors.AsType[*ws.HandshakeError](err); !ok || he.Status != 400 {
			t.Error(err)
		}
		other, _, err := ws.Dial(t.Context(), "ws"+s.http.URL[4:]+"/other", nil)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := (&wire{t, other}).read(); err != nil || string(m.Data) != "another" {
			t.Error(m, err)
		}
		other.CloseNow()
	}
}

// Serve ends with the server, and a session that comes when the server is about to end does not begin.
func TestServeEnds(t *testing.T) {
	e := calm()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(l) }()
	c, _, err := ws.Dial(t.Context(), "ws://"+l.Addr().String()+"/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	go func() {
		for _, err := c.Read(context.Background()); err == nil; _, err = c.Read(context.Background()) {
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := receive(t, "the end of Serve", served); !errors.Is(err, ws.ErrServerClosed) {
		t.Error(err)
	}
	if err := e.Serve(l); !errors.Is(err, ws.ErrServerClosed) {
		t.Error(err)
	}
}

// AllowRequest is asked once about each request, whoever answers it.
func TestServeAsksOnce(t *testing.T) {
	for _, inline := range []bool{false, true} {
		e := calm()
		e.Options.Inline = inline
		var asked, refused atomic.Int32
		e.Options.AllowRequest = func(r *http.Request) error {
			asked.Add(1)
			return errors.New("not today")
		}
		e.OnConnectionError = func(_ *http.Request, err *engineio.ConnectionError) {
			if err.Message == "not today" {
				refused.Add(1)
			}
		}
		s := serveFront(t, e)
		for range 3 {
			_, err := s.tryDial("EIO=4&transport=websocket")
			if he, ok := errors.AsType[*ws.HandshakeError](err); !ok || he.Status != http.StatusForbidden {
				t.Error(err)
			}
		}
		if asked.Load() != 3 || refused.Load() != 3 {
			t.Errorf("inline %v: asked %d times about 3 requests, told of %d refusals", inline, asked.Load(), refused.Load())
		}
	}
}
