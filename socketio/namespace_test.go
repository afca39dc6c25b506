package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

func TestDynamicNamespaces(t *testing.T) {
	for _, cleanup := range []bool{false, true} {
		t.Run(fmt.Sprint("cleanup ", cleanup), func(t *testing.T) {
			io, url := start(t, &socketio.Options{CleanupEmptyChildNamespaces: cleanup})
			created := make(chan string, 4)
			io.OnNewNamespace(func(n *socketio.Namespace) { created <- n.Name() })
			parent := io.OfPattern(regexp.MustCompile(`^/dynamic-\d+$`))
			parent.Use(func(s *socketio.Socket) error {
				if s.Auth().String() == `{"no":1}` {
					return errors.New("no")
				}
				return nil
			})
			parent.OnConnection(func(s *socketio.Socket) { _ = s.Emit("hello", s.Namespace().Name()) })
			parent.On("echo", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
			gone := make(chan socketio.Reason, 2)
			parent.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { gone <- r })

			p := join(t, url, "0/dynamic-1")
			p.expect(`2/dynamic-1,["hello","/dynamic-1"]`)
			if n := got(t, created); n != "/dynamic-1" {
				t.Error(n)
			}
			p.send(`2/dynamic-1,7["echo",1]`)
			p.expect(`3/dynamic-1,7[1]`)
			p.send(`0/dynamic-2,{"no":1}`, "0/dynamic-x")
			for range 2 { // each by a goroutine of its own
				if m := p.recv(); m != `4/dynamic-2,{"message":"no"}` && m != `4/dynamic-x,{"message":"Invalid namespace"}` {
					t.Error(m)
				}
			}
			p.connect("0/dynamic-3")
			p.expect(`2/dynamic-3,["hello","/dynamic-3"]`)
			_ = parent.Emit("all")
			if a, b := p.recv(), p.recv(); a+b != `2/dynamic-1,["all"]2/dynamic-3,["all"]` && b+a != `2/dynamic-1,["all"]2/dynamic-3,["all"]` {
				t.Error(a, b)
			}
			if _, err := parent.To("r").FetchSockets(context.Background()); err == nil {
				t.Error("sockets of a parent were fetched")
			}
			p.send("1/dynamic-1")
			if r := got(t, gone); r != socketio.ClientNamespaceDisconnect {
				t.Error(r)
			}
			want := 3 // with the refused one
			if cleanup {
				want = 1
			}
			eventually(t, "children", func() bool { return len(parent.Children()) == want })
			p.connect("0/dynamic-1") // again
		})
	}
}

func TestOfTakesChild(t *testing.T) {
	io, url := start(t, nil)
	io.OfPattern(regexp.MustCompile("^/x")).OnConnection(func(s *socketio.Socket) { _ = s.Emit("parent") })
	io.Of("xy").OnConnection(func(s *socketio.Socket) { _ = s.Emit("child") })
	p := join(t, url, "0/xy")
	p.expect(`2/xy,["parent"]`, `2/xy,["child"]`)
}

func TestOfFunc(t *testing.T) {
	io, url := start(t, nil)
	io.OfFunc(func(name string, auth parser.Value) bool {
		var a struct{ Key string }
		return auth.Decode(&a) == nil && a.Key == strings.TrimPrefix(name, "/")
	})
	p := dial(t, url)
	p.send(`0/secret,{"key":"wrong"}`)
	p.expect(`4/secret,{"message":"Invalid namespace"}`)
	p.connect(`0/secret,{"key":"secret"}`)
}

func TestReasons(t *testing.T) {
	tests := []struct {
		name string
		do   func(io *socketio.Server, s *socketio.Socket, p *peer)
		want socketio.Reason
	}{
		{"client leaves", func(_ *socketio.Server, _ *socketio.Socket, p *peer) { p.send("1") }, socketio.ClientNamespaceDisconnect},
		{"server disconnects", func(_ *socketio.Server, s *socketio.Socket, _ *peer) { s.Disconnect(false) }, socketio.ServerNamespaceDisconnect},
		{"server disconnects and closes", func(_ *socketio.Server, s *socketio.Socket, _ *peer) { s.Disconnect(true) }, socketio.ServerNamespaceDisconnect},
		{"connection lost", func(_ *socketio.Server, _ *socketio.Socket, p *peer) { p.close() }, socketio.TransportClose},
		{"connection closed", func(_ *socketio.Server, _ *socketio.Socket, p *peer) {
			_ = p.c.Close(context.Background(), 1000, "")
		}, socketio.TransportClose},
		{"no packet", func(_ *socketio.Server, _ *socketio.Socket, p *peer) { p.send("2[") }, socketio.ParseError},
		{"protocol", func(_ *socketio.Server, _ *socketio.Socket, p *peer) { p.send("0") }, socketio.ForcedServerClose},
		{"shutdown", func(io *socketio.Server, _ *socketio.Socket, _ *peer) {
			go func() { _ = io.Close(context.Background()) }()
		}, socketio.ServerShuttingDown},
		{"forced", func(_ *socketio.Server, s *socketio.Socket, _ *peer) { s.Conn().Close() }, socketio.ForcedClose},
		{"no pong", nil, socketio.PingTimeout},
	}
	for _, inline := range []bool{false, true} {
		for _, test := range tests {
			t.Run(fmt.Sprint(test.name, " inline ", inline), func(t *testing.T) {
				o := &socketio.Options{}
				o.Engine.Inline = inline
				if test.do == nil {
					t.Parallel()
					o.Engine.PingInterval, o.Engine.PingTimeout = 20*time.Millisecond, 3*time.Second
				}
				io, url := start(t, o)
				sockets := make(chan *socketio.Socket, 1)
				calls := make(chan string, 4)
				note := func(what string, s *socketio.Socket, r socketio.Reason) {
					calls <- fmt.Sprint(what, " ", r, " ", s.Rooms()[1:], s.Connected())
				}
				io.OnDisconnecting(func(s *socketio.Socket, r socketio.Reason) { note("disconnecting all", s, r) })
				io.OnDisconnect(func(s *socketio.Socket, r socketio.Reason) { note("disconnect all", s, r) })
				io.OnConnection(func(s *socketio.Socket) {
					s.Join("room")
					s.OnDisconnect(func(r socketio.Reason) { note("disconnect", s, r) })
					s.OnDisconnecting(func(r socketio.Reason) { note("disconnecting", s, r) })
					sockets <- s
				})
				p := join(t, url, "0")
				s := got(t, sockets)
				if test.do != nil {
					test.do(io, s, p)
				}
				for _, what := range []string{"disconnecting all", "disconnecting", "disconnect all", "disconnect"} {
					if want, g := fmt.Sprint(what, " ", test.want, " [room] false"), got(t, calls); g != want {
						t.Errorf("%q, want %q", g, want)
					}
				}
				if err := s.Emit("e"); !errors.Is(err, socketio.ErrDisconnected) {
					t.Errorf("Emit: %v", err)
				}
				if _, err := s.EmitWithAck(context.Background(), "e"); !errors.Is(err, socketio.ErrDisconnected) {
					t.Errorf("EmitWithAck: %v", err)
				}
				s.Join("room")
				s.Disconnect(false)
				if s.Context().Err() == nil || io.Len() != 0 || len(io.Adapter().(*socketio.MemoryAdapter).Rooms()) != 0 {
					t.Error("something is left")
				}
			})
		}
	}
}

// Close has what was sent leave, waits for handlers, and takes nobody any more.
func TestClose(t *testing.T) {
	io, url := start(t, nil)
	release, entered := make(chan struct{}), make(chan struct{})
	handled := false
	io.On("slow", func(e *socketio.Event) {
		close(entered)
		<-release
		handled = true
	})
	p := join(t, url, "0")
	p.send(`2["slow"]`)
	got(t, entered)
	_ = io.Emit("last")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := io.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	p.expect(`2["last"]`)
	p.ended()
	close(release)
	if err := io.Close(context.Background()); err != nil || !handled {
		t.Error(err, handled)
	}
}

func TestHandshake(t *testing.T) {
	io, url := start(t, nil)
	sockets := make(chan *socketio.Socket, 1)
	io.OnConnection(func(s *socketio.Socket) { sockets <- s })
	before := time.Now().Truncate(time.Millisecond) // as precise as the handshake
	p := dialQuery(t, url, "EIO=4&token=a%20b&x=1&x=2", map[string][]string{"X-Test": {"one", "two"}, "Cookie": {"a=1", "b=2"}, "Origin": {url}})
	p.connect(`0{"key":["value"]}`)
	h := got(t, sockets).Handshake()
	if h.Query["token"] != "a b" || h.Query["x"] != "2" || h.Headers.Get("x-test") != "one" || len(h.Headers["X-Test"]) != 2 ||
		h.Address != "127.0.0.1" || h.Headers.Get("Host") != strings.TrimPrefix(url, "http://") || !h.XDomain || h.Secure || !strings.HasPrefix(h.URL, "/socket.io/?transport=websocket&") ||
		h.Auth.String() != `{"key":["value"]}` || h.Time.Before(before) || h.Time.After(time.Now()) || h.Headers.Get("Sec-WebSocket-Key") != "" {
		t.Errorf("%+v", h)
	}
	j, err := h.MarshalJSON()
	if err != nil || !strings.Contains(string(j), `"x-test":"one, two"`) || !strings.Contains(string(j), `"issued":`) ||
		!strings.Contains(string(j), `"host":"127.0.0.1:`) || !strings.Contains(string(j), `"address":"127.0.0.1"`) || !strings.Contains(string(j), `"cookie":"a=1; b=2"`) {
		t.Errorf("%s %v", j, err)
	}
	var again socketio.Handshake
	if err := again.UnmarshalJSON(j); err != nil || again.Query["token"] != "a b" || again.Auth.String() != h.Auth.String() {
		t.Errorf("%+v %v", again, err)
	}
}
