package interop

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	eio "baro.dev/engineio/client"
	sio "baro.dev/socketio/client"
)

// TestSocketIOClientCases asks of our client what the official client's tests ask of that one, where no other test here does.
func TestSocketIOClientCases(t *testing.T) {
	cases := []struct {
		name  string
		check func(*goClient, *testing.T)
	}{
		{"dates", (*goClient).dates},
		{"managers", (*goClient).managers},
		{"by hand", (*goClient).byHand},
		{"one of two", (*goClient).oneOfTwo},
		{"another one", (*goClient).anotherOne},
		{"the engine ends", (*goClient).engineEnds},
		{"queries", (*goClient).queries},
		{"refused for good", (*goClient).refusedForGood},
		{"in order", (*goClient).inOrder},
		{"volatile while busy", (*goClient).volatileWhileBusy},
		{"timeouts", (*goClient).timeouts},
		{"acknowledgements lost", (*goClient).acknowledgementsLost},
		{"recovery", (*goClient).recovery},
		{"deflate", (*goClient).deflate},
		{"unknown session", (*goClient).unknownSession},
	}
	for _, server := range socketIOs() {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			g := &goClient{T: t, url: server.start(t, "clients")}
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) { c.check(g, t) })
			}
		})
	}
}

// engine is the session of a socket that has one, or will.
func engine(t *testing.T, s *sio.Socket) *eio.Session {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if e := s.Manager().Engine(); e != nil {
			return e
		}
		if time.Now().After(until) {
			t.Fatal("there is no connection")
		}
	}
}

// A time goes as text.
func (g *goClient) dates(t *testing.T) {
	s := g.ready(t, "", nil)
	now := time.Now().UTC()
	answer, err := s.EmitWithAck(inTime(t), "ack", now, map[string]any{"date": now})
	var text string
	var object struct{ Date time.Time }
	if err == nil {
		err = answer.Bind(&text, &object)
	}
	if err != nil || text != now.Format(time.RFC3339Nano) || !object.Date.Equal(now) {
		t.Errorf("%q, %v: %v", text, object, err)
	}
}

// Each manager has a connection of its own, and none until one of its sockets wants it.
func (g *goClient) managers(t *testing.T) {
	one, two := g.dial(t, "/custom", nil), g.dial(t, "/custom", nil)
	if one.Manager() == two.Manager() || one.Manager().Engine() != nil {
		t.Error("a manager for both, or a connection for nobody")
	}
	for _, s := range []*sio.Socket{one, two} {
		s.Manager().OnReconnectAttempt(func(int) { t.Error("it has tried again") })
		if err := s.Connect(inTime(t)); err != nil {
			t.Fatal(err)
		}
		if s.ID() == s.Manager().Engine().ID() {
			t.Error("it is known by the secret of the session")
		}
	}
	if one.ID() == two.ID() {
		t.Error("one id for both")
	}
}

// Who disconnects may connect again, as often as it likes, and comes back by itself then as before.
func (g *goClient) byHand(t *testing.T) {
	s := g.dial(t, "", nil)
	gone := make(chan sio.Reason, 10)
	s.OnDisconnect(func(r sio.Reason, _ error) {
		gone <- r
		if r == sio.ClientDisconnect && len(gone) == 1 {
			if err := s.Open(); err != nil {
				t.Error(err)
			}
		}
	})
	back := make(chan struct{}, 10)
	s.OnConnect(func() {
		if back <- struct{}{}; len(back) == 1 {
			s.Disconnect()
		}
	})
	again := make(chan struct{}, 10)
	s.Manager().OnReconnect(func() { again <- struct{}{} })
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(patience); len(back) < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it has not come back")
		}
	}
	_ = engine(t, s).Close(inTime(t))
	within(t, "the connection", again)
	s.Disconnect()
	if err := s.Connect(inTime(t)); err != nil { // at once
		t.Fatal(err)
	}
	if r := within(t, "the first end", gone); r != sio.ClientDisconnect {
		t.Error(r)
	}
	var text string
	if tell(t, s, &text, "ack", "here"); text != "here" {
		t.Error(text)
	}
}

// While two sockets are away one of them gives it up: the other one comes back alone.
func (g *goClient) oneOfTwo(t *testing.T) {
	one := g.ready(t, "", nil)
	two := one.Manager().Socket("/custom")
	if err := two.Connect(inTime(t)); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{}, 1)
	one.Manager().OnReconnectAttempt(func(int) { one.Disconnect() })
	two.OnDisconnect(func(sio.Reason, error) { gone <- struct{}{} })
	engine(t, one).CloseNow()
	within(t, "the loss", gone)
	var text string
	if tell(t, two, &text, "ack", "alone"); text != "alone" || one.Connected() || one.Active() {
		t.Errorf("%q; connected: %v, active: %v", text, one.Connected(), one.Active())
	}
}

// A socket leaves while, or after which, another one of the manager comes; with the last one the connection ends.
func (g *goClient) anotherOne(t *testing.T) {
	one := g.dial(t, "", nil)
	m := one.Manager()
	two := m.Socket("/custom")
	came := make(chan struct{}, 10)
	two.OnConnect(func() { came <- struct{}{} })
	one.OnConnect(func() {
		_ = two.Open()
		one.Disconnect()
	})
	if err := one.Open(); err != nil {
		t.Fatal(err)
	}
	within(t, "another namespace", came)
	two.OnDisconnect(func(r sio.Reason, _ error) {
		if r != sio.ClientDisconnect {
			t.Error(r)
		}
	})
	if one.Connected() || m.Engine() == nil {
		t.Error("the wrong one has gone")
	}
	two.Disconnect()
	if m.Engine() != nil {
		t.Error("a connection for nobody")
	}
	three := m.Socket("/dynamic-3") // by a new connection
	if err := three.Connect(inTime(t)); err != nil {
		t.Fatal(err)
	}
}

// The connection ends beneath a socket: it has no id until it has another one, and nobody is told of an error.
func (g *goClient) engineEnds(t *testing.T) {
	s := g.ready(t, "", nil)
	s.OnConnectError(func(err error) { t.Errorf("an error: %v", err) })
	back := make(chan string, 10)
	s.Manager().OnReconnectAttempt(func(int) {
		if id := s.ID(); id != "" {
			t.Errorf("it is %q while it is away", id)
		}
	})
	s.OnConnect(func() { back <- s.ID() })
	for range 3 {
		id := s.ID()
		for len(back) > 0 {
			<-back
		}
		_ = engine(t, s).Close(inTime(t))
		for next := within(t, "the connection", back); next == id; {
			next = within(t, "the connection", back)
		}
	}
}

func (g *goClient) queries(t *testing.T) {
	for _, namespace := range []string{"", "/custom"} {
		var m me
		s := g.ready(t, namespace+"?b=c&d=e", func(o *sio.Options) {
			o.Engine.Query = url.Values{"&a": {"&=?a"}}
			o.Auth = map[string]string{"f": "g"}
		})
		tell(t, s, &m, "whoami")
		if m.Query["b"] != "c" || m.Query["d"] != "e" || m.Query["&a"] != "&=?a" || m.Query["f"] != "" || string(m.Auth) != `{"f":"g"}` {
			t.Errorf("%q: the server was told %v and %s", namespace, m.Query, m.Auth)
		}
	}
}

// A socket that was refused is not tried again, when the connection is.
func (g *goClient) refusedForGood(t *testing.T) {
	s := g.ready(t, "", nil)
	private := s.Manager().Socket("/private")
	var times atomic.Int32
	private.OnConnectError(func(error) { times.Add(1) })
	if err := private.Connect(inTime(t)); err == nil {
		t.Fatal("it was let in")
	}
	again := make(chan struct{}, 10)
	s.OnConnect(func() { again <- struct{}{} })
	for range 2 {
		_ = engine(t, s).Close(inTime(t))
		within(t, "the connection", again)
	}
	tell(t, s, nil, "ack") // a refusal would have come before
	if n := times.Load(); n != 1 || private.Active() {
		t.Errorf("refused %d times, active: %v", n, private.Active())
	}
}

// What waited for the connection is before what the handler of connect emits, and binary events are not overtaken by others.
func (g *goClient) inOrder(t *testing.T) {
	s := g.dial(t, "", nil)
	got := make(chan string, 10)
	s.On("echo", func(e *sio.Event) {
		var b []byte
		var text string
		if e.Bind(&b) == nil {
			text = string(b)
		} else if err := e.Bind(&text); err != nil {
			t.Error(err)
		}
		got <- text
	})
	s.OnConnect(func() { _ = s.Emit("echo", []byte("fifth")) })
	for i, text := range []string{"first", "second", "third", "fourth"} {
		var arg any = text
		if i%2 == 0 {
			arg = []byte(text)
		}
		if err := s.Emit("echo", arg); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Connect(inTime(t)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "second", "third", "fourth", "fifth"} {
		if text := within(t, "an echo", got); text != want {
			t.Errorf("%q in place of %q", text, want)
		}
	}
}

// front is a proxy, by which a test holds back what clients send.
func (g *goClient) front(t *testing.T, pass func(r *http.Request)) string {
	t.Helper()
	u, err := url.Parse(g.url)
	if err != nil {
		t.Fatal(err)
	}
	next := httputil.NewSingleHostReverseProxy(u)
	next.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pass(r)
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// While a request with an event is under way, what is volatile is lost.
func (g *goClient) volatileWhileBusy(t *testing.T) {
	var held atomic.Bool
	release := make(chan struct{})
	there := &goClient{T: g.T, base: g.base}
	there.url = g.front(t, func(r *http.Request) {
		if r.Method == http.MethodPost && held.Load() {
			<-release
		}
	})
	s := there.ready(t, "", func(o *sio.Options) { o.Engine.Transports = []string{"polling"} })
	s.On("echo", func(*sio.Event) { t.Error("it has arrived") })
	for engine(t, s).Buffered() > 0 {
		time.Sleep(time.Millisecond)
	}
	held.Store(true)
	answered := make(chan error, 1)
	if err := s.EmitFunc("ack", func(_ sio.Args, err error) { answered <- err }); err != nil {
		t.Fatal(err)
	}
	if err := s.Volatile().Emit("echo", "lost"); err != nil {
		t.Fatal(err)
	}
	held.Store(false)
	close(release)
	if err := within(t, "the acknowledgement", answered); err != nil {
		t.Error(err)
	}
	tell(t, s, nil, "ack") // the echo would have come before
}

func (g *goClient) timeouts(t *testing.T) {
	s := g.ready(t, "", func(o *sio.Options) { o.AckTimeout = 50 * time.Millisecond })
	told := make(chan error, 10)
	then := func(_ sio.Args, err error) { told <- err }
	if err := s.Timeout(time.Nanosecond).EmitFunc("ack", then, 42); err != nil {
		t.Fatal(err)
	}
	if err := within(t, "no time at all", told); !errors.Is(err, sio.ErrTimeout) {
		t.Error(err)
	}
	if err := s.EmitFunc("silent", then); err != nil {
		t.Fatal(err)
	}
	if err := within(t, "the default", told); !errors.Is(err, sio.ErrTimeout) {
		t.Error(err)
	}
	var answer int
	args, err := s.Timeout(patience).EmitWithAck(inTime(t), "ack", 42)
	if err == nil {
		err = args.Bind(&answer)
	}
	if err != nil || answer != 42 || len(told) > 0 {
		t.Errorf("%d, %v; told %d times more", answer, err, len(told))
	}
}

// Who waits for an acknowledgement when the socket is disconnected is told; what has not left yet leaves later, and is acknowledged.
func (g *goClient) acknowledgementsLost(t *testing.T) {
	for name, emit := range map[string]func(*sio.Socket, func(sio.Args, error)) error{
		"plain": func(s *sio.Socket, then func(sio.Args, error)) error { return s.EmitFunc("silent", then) },
		"timeout": func(s *sio.Socket, then func(sio.Args, error)) error {
			return s.Timeout(patience).EmitFunc("silent", then)
		},
		"waiting": func(s *sio.Socket, then func(sio.Args, error)) error {
			go func() { then(s.EmitWithAck(context.Background(), "silent")) }()
			return nil
		},
	} {
		s := g.ready(t, "", func(o *sio.Options) {
			if name == "plain" {
				o.AckTimeout = patience
			}
		})
		went, lost := make(chan struct{}, 1), make(chan error, 1)
		s.OnAnyOutgoing(func(*sio.Event) { went <- struct{}{} })
		if err := emit(s, func(_ sio.Args, err error) { lost <- err }); err != nil {
			t.Fatal(err)
		}
		within(t, "the event", went)
		s.Disconnect()
		if err := within(t, "the loss", lost); !errors.Is(err, sio.ErrDisconnected) {
			t.Errorf("%s: %v", name, err)
		}
		answered := make(chan error, 1)
		if err := s.EmitFunc("ack", func(_ sio.Args, err error) { answered <- err }, "a"); err != nil {
			t.Fatal(err)
		}
		if err := s.Connect(inTime(t)); err != nil {
			t.Fatal(err)
		}
		if err := within(t, "the acknowledgement", answered); err != nil {
			t.Errorf("%s, unsent: %v", name, err)
		}
	}
}

// A client whose connection has ended goes on from where it was, known by the same id.
func (g *goClient) recovery(t *testing.T) {
	s := g.dial(t, "", func(o *sio.Options) { o.Engine.Path = "/recovery/" })
	got, back := make(chan struct{}, 1), make(chan bool, 2)
	s.On("echo", func(*sio.Event) { got <- struct{}{} })
	s.OnConnect(func() { back <- s.Recovered() })
	if err := s.Connect(inTime(t)); err != nil {
		t.Fatal(err)
	}
	if within(t, "the connection", back) {
		t.Error("recovered from nothing")
	}
	if err := s.Emit("echo", "hi"); err != nil { // the official server wants an offset
		t.Fatal(err)
	}
	within(t, "the echo", got)
	id := s.ID()
	_ = engine(t, s).Close(inTime(t))
	if !within(t, "the connection", back) || s.ID() != id {
		t.Errorf("%q has come back as %q", id, s.ID())
	}
}

// written counts what a connection writes.
type written struct {
	net.Conn
	n *atomic.Int64
}

func (c written) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return c.Conn.Write(b)
}

// Events from the threshold on are compressed over WebSocket, where both sides want that.
func (g *goClient) deflate(t *testing.T) {
	var bytes atomic.Int64
	s := g.ready(t, "", func(o *sio.Options) {
		o.Engine.Transports = []string{"websocket"}
		o.Engine.PerMessageDeflate.Enabled, o.Engine.PerMessageDeflate.Threshold = true, 1000
		o.Engine.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			return written{c, &bytes}, err
		}
	})
	for _, c := range []struct{ size, least, most int64 }{{900, 900, 1000}, {100_000, 100, 10_000}} {
		before, text, back := bytes.Load(), strings.Repeat("a", int(c.size)), ""
		if tell(t, s, &back, "ack", text); back != text {
			t.Error("it came back changed")
		}
		if n := bytes.Load() - before; n < c.least || n > c.most {
			t.Errorf("%d bytes went as %d", c.size, n)
		}
	}
}

// What the server says of a session that it does not know is in the error.
func (g *goClient) unknownSession(t *testing.T) {
	for _, transport := range []string{"polling", "websocket"} {
		_, err := eio.Dial(inTime(t), g.url, &eio.Options{
			Path: "/socket.io/", Transports: []string{transport}, Query: url.Values{"sid": {"abc"}},
		})
		e, ok := errors.AsType[*eio.RefusedError](err)
		if !ok || e.Status != http.StatusBadRequest || !strings.Contains(e.Message, "Session ID unknown") {
			t.Errorf("%s: %v", transport, err)
		}
	}
}
