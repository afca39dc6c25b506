package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	sio "baro.dev/socketio/client"
	"baro.dev/socketio/parser/msgpack"
)

// A goClient is our client in a test, at a server in the role clients.
type goClient struct {
	*testing.T
	url  string
	base sio.Options
	last string // the transport that it ends up with
	full bool   // the server takes an empty frame of WebTransport for an error
}

// dial makes a socket of a namespace, whose options change has changed.
func (g *goClient) dial(t *testing.T, namespace string, change func(*sio.Options)) *sio.Socket {
	t.Helper()
	o := g.base
	o.ReconnectionDelay, o.ReconnectionDelayMax = time.Millisecond, 50*time.Millisecond
	if change != nil {
		change(&o)
	}
	s, err := sio.New(g.url+namespace, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		select {
		case <-s.Manager().Done():
		case <-time.After(patience):
			t.Error("the client has not ended")
		}
	})
	return s
}

// ready is dial, and connected.
func (g *goClient) ready(t *testing.T, namespace string, change func(*sio.Options)) *sio.Socket {
	t.Helper()
	s := g.dial(t, namespace, change)
	if err := s.Connect(inTime(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

func inTime(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// tell has an event acknowledged, and binds the acknowledgement to dst.
func tell(t *testing.T, s *sio.Socket, dst any, event string, args ...any) {
	t.Helper()
	if err := sio.Call(inTime(t), s, event, dst, args...); err != nil {
		t.Fatalf("%s: %v", event, err)
	}
}

func within[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s has not come", what)
	}
	return v
}

type me struct {
	ID, Namespace, Transport string
	Auth                     json.RawMessage
	Query                    map[string]string
	Recovered                bool
}

// plainly is a value as JSON, with bytes for what is binary.
func plainly(t *testing.T, args *sio.Args) []any {
	t.Helper()
	all := []any{}
	for i := range args.Len() {
		var v any
		if err := args.Value(i).Decode(&v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// TestSocketIOClientOfOurs has our client, over each transport and with each parser, use the official server, and ours.
func TestSocketIOClientOfOurs(t *testing.T) {
	checks := []struct {
		name  string
		check func(*goClient, *testing.T)
	}{
		{"connects", (*goClient).connects},
		{"says who it is", (*goClient).says},
		{"headers and cookies", (*goClient).headers},
		{"values", (*goClient).values},
		{"acknowledgements", (*goClient).acknowledgements},
		{"namespaces", (*goClient).namespaces},
		{"refused", (*goClient).refused},
		{"disconnected", (*goClient).disconnected},
		{"comes back", (*goClient).comesBack},
		{"volatile", (*goClient).volatile},
		{"large", (*goClient).large},
	}
	for _, server := range socketIOs() {
		for _, packed := range []bool{false, true} {
			for _, transports := range transports {
				name := server.name + "/JSON/"
				if packed {
					name = server.name + "/MessagePack/"
				}
				t.Run(name+strings.Join(transports, " to "), func(t *testing.T) {
					t.Parallel()
					g := &goClient{T: t, url: server.start(t, "clients"), last: transports[len(transports)-1]}
					g.base.Engine.Transports = transports
					if packed {
						g.base.Engine.Path, g.base.Parser = "/msgpack/", msgpack.Codec
					}
					for _, c := range checks {
						t.Run(c.name, func(t *testing.T) { c.check(g, t) })
					}
				})
			}
		}
	}
}

func (g *goClient) connects(t *testing.T) {
	upgraded := make(chan string, 1)
	pinged := make(chan struct{}, 100)
	s := g.dial(t, "", nil)
	s.Manager().OnPing(func() { pinged <- struct{}{} })
	if s.ID() != "" || s.Active() {
		t.Error("it is something before it connects")
	}
	if err := s.Connect(inTime(t)); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s.Manager().Engine().Transport() != g.last && t.Context().Err() == nil {
			time.Sleep(time.Millisecond) // there is no event for it
		}
		upgraded <- s.Manager().Engine().Transport()
	}()
	within(t, "the upgrade", upgraded)
	var m me
	tell(t, s, &m, "whoami")
	if m.ID != s.ID() || m.ID == "" || m.Namespace != "/" || m.Transport != g.last {
		t.Errorf("the server has %+v, the client is %s", m, s.ID())
	}
	within(t, "a ping", pinged)
	s.Disconnect()
	if s.ID() != "" || s.Connected() || s.Active() {
		t.Error("it is something after it was disconnected")
	}
}

func (g *goClient) says(t *testing.T) {
	var m me
	s := g.ready(t, "", func(o *sio.Options) {
		o.Auth = map[string]any{"token": "메세지", "list": []any{1, nil}}
		o.Engine.Query = url.Values{"a": {"1 &=€"}}
	})
	tell(t, s, &m, "whoami")
	var auth struct{ Token string }
	if json.Unmarshal(m.Auth, &auth) != nil || auth.Token != "메세지" || m.Query["a"] != "1 &=€" {
		t.Errorf("the server was told %s and %v", m.Auth, m.Query)
	}
	times := 0
	s = g.ready(t, "", func(o *sio.Options) {
		o.AuthFunc = func(context.Context) (any, error) {
			times++
			return map[string]int{"times": times}, nil
		}
	})
	for want := 1; want <= 2; want++ {
		var asked struct{ Times int }
		tell(t, s, &m, "whoami")
		if json.Unmarshal(m.Auth, &asked) != nil || asked.Times != want {
			t.Errorf("the server was told %s, not %d", m.Auth, want)
		}
		s.Disconnect()
		if err := s.Connect(inTime(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func (g *goClient) headers(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := g.ready(t, "", func(o *sio.Options) {
		o.Engine.Header = http.Header{"X-Device": {"door 7"}}
		o.Engine.Jar = jar
	})
	var device, cookie string
	tell(t, s, &device, "header", "X-Device")
	tell(t, s, &cookie, "header", "Cookie")
	if device != "door 7" || cookie != "" {
		t.Errorf("the server got %q, and the cookie %q", device, cookie)
	}
	if g.base.Engine.Transports[0] == "websocket" {
		return // where servers give none
	}
	s.Disconnect() // the next session shows the cookie of the first
	if err := s.Connect(inTime(t)); err != nil {
		t.Fatal(err)
	}
	if tell(t, s, &cookie, "header", "Cookie"); !strings.Contains(cookie, "io=") {
		t.Errorf("the server got the cookie %q", cookie)
	}
}

var goValues = [][]any{
	{},
	{"hello"},
	{"메세지 바로 👋", "\u2028\u2029\u0000\u001e\ufeff", `"\`, ""},
	{nil, true, false, 0.0, -1.5, 1e15}, // the official MessagePack has no larger integers
	{map[string]any{}, []any{}, map[string]any{"a": map[string]any{"b": []any{1.0, []any{2.0}}}, "": "empty key"}},
	{`{"_placeholder":true,"num":0}`, "4hello", "2[1]"},
	{[]byte{0, 1, 0x1e, 0x7f, 0x80, 0xff}, "text", []byte("메세지")},
	{map[string]any{"deep": []any{map[string]any{"image": []byte("png"), "name": "a.png"}}, "none": nil}, 7.0},
	{[]byte{}},
}

// sent are the values that the server takes.
func (g *goClient) sent() [][]any {
	if g.full {
		return goValues[:len(goValues)-1]
	}
	return goValues
}

// same compares numbers by their value.
func same(a, b any) bool {
	text := func(v any) string {
		t, err := json.Marshal(v)
		if err != nil {
			return err.Error()
		}
		return string(t)
	}
	return reflect.DeepEqual(a, b) || text(a) == text(b)
}

func (g *goClient) values(t *testing.T) {
	s := g.ready(t, "", nil)
	back := make(chan []any, 1)
	s.On("echo", func(e *sio.Event) { back <- plainly(t, e.Data()) })
	anything := make(chan string, 100)
	remove := s.OnAny(func(e *sio.Event) { anything <- e.Name() })
	for _, args := range g.sent() {
		if err := s.Emit("echo", args...); err != nil {
			t.Fatal(err)
		}
		if got := within(t, "the echo", back); !same(got, args) {
			t.Errorf("%v came back as %v", args, got)
		}
	}
	remove()
	if len(anything) != len(g.sent()) {
		t.Errorf("OnAny heard %d events", len(anything))
	}
}

func (g *goClient) acknowledgements(t *testing.T) {
	s := g.ready(t, "", nil)
	s.On("question", func(e *sio.Event) { _ = e.Ack(e.Data().Args()...) })
	for _, args := range g.sent() {
		answer, err := s.EmitWithAck(inTime(t), "ack", args...)
		if err != nil {
			t.Fatal(err)
		}
		if got := plainly(t, &answer); !same(got, args) {
			t.Errorf("the server acknowledged %v with %v", args, got)
		}
		answer, err = s.EmitWithAck(inTime(t), "ask", append([]any{10_000}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		want := append([]any{"answer"}, args...)
		// Waiting with a timeout the official server hands on the first of what it was acknowledged with.
		if got := plainly(t, &answer); !same(got, want) && !same(got, want[:min(2, len(want))]) {
			t.Errorf("the client acknowledged %v with %v", args, got)
		}
	}
	if _, err := s.Timeout(50*time.Millisecond).EmitWithAck(t.Context(), "silent"); !errors.Is(err, sio.ErrTimeout) {
		t.Errorf("silence: %v", err)
	}
}

func (g *goClient) namespaces(t *testing.T) {
	s := g.ready(t, "", nil)
	ids := map[string]bool{}
	for _, name := range []string{"/", "/custom", "/dynamic-42"} {
		n := s.Manager().Socket(name)
		if err := n.Connect(inTime(t)); err != nil {
			t.Fatal(err)
		}
		var m me
		if tell(t, n, &m, "whoami"); m.Namespace != name || m.ID != n.ID() {
			t.Errorf("%s is %+v", name, m)
		}
		ids[m.ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("ids: %v", ids)
	}
	s.Manager().Socket("/custom").Disconnect()
	var text string
	if tell(t, s, &text, "ack", "still here"); text != "still here" {
		t.Errorf("%q", text)
	}
}

func (g *goClient) refused(t *testing.T) {
	err := g.dial(t, "/random", nil).Connect(inTime(t))
	if e, ok := errors.AsType[*sio.ConnectError](err); !ok || e.Message != "Invalid namespace" {
		t.Errorf("an unknown namespace: %v", err)
	}
	s := g.dial(t, "/private", func(o *sio.Options) { o.Auth = map[string]string{"token": "guess"} })
	err = s.Connect(inTime(t))
	var data struct{ Code string }
	if e, ok := errors.AsType[*sio.ConnectError](err); !ok || e.Message != "not authorized" || e.Data.Decode(&data) != nil || data.Code != "E_AUTH" {
		t.Errorf("a middleware: %v, %+v", err, data)
	}
	if s.Active() {
		t.Error("it tries again what was refused")
	}
	s.SetAuth(map[string]string{"token": "secret"})
	if err := s.Connect(inTime(t)); err != nil {
		t.Error(err)
	}
}

func (g *goClient) disconnected(t *testing.T) {
	for _, wholly := range []bool{false, true} {
		s := g.ready(t, "", nil)
		why := make(chan sio.Reason, 10)
		s.OnDisconnect(func(r sio.Reason, _ error) { why <- r })
		lost := make(chan error, 1)
		if err := s.Timeout(patience).EmitFunc("silent", func(_ sio.Args, err error) { lost <- err }); err != nil {
			t.Fatal(err)
		}
		if err := s.Emit("kick", wholly); err != nil {
			t.Fatal(err)
		}
		if r := within(t, "the end", why); r != sio.ServerDisconnect || s.Active() {
			t.Errorf("%v, active: %v", r, s.Active())
		}
		if err := within(t, "the acknowledgement", lost); !errors.Is(err, sio.ErrDisconnected) {
			t.Errorf("waiting for an acknowledgement: %v", err)
		}
		if err := s.Connect(inTime(t)); err != nil {
			t.Errorf("coming back: %v", err)
		}
	}
}

func (g *goClient) comesBack(t *testing.T) {
	s := g.dial(t, "", nil)
	gone, back := make(chan sio.Reason, 1), make(chan string, 1)
	s.OnConnect(func() { back <- s.ID() })
	if err := s.Connect(inTime(t)); err != nil {
		t.Fatal(err)
	}
	within(t, "the first time", back)
	s.OnDisconnect(func(r sio.Reason, _ error) {
		for i := range 3 {
			_ = s.Emit("count", i) // waits
		}
		gone <- r
	})
	first := s.ID()
	if err := s.Emit("hangup"); err != nil {
		t.Fatal(err)
	}
	if r := within(t, "the end", gone); r != sio.TransportClose {
		t.Errorf("it ended by %v", r)
	}
	if second := within(t, "the second time", back); second == first || second == "" {
		t.Errorf("it has come back as %q, having been %q", second, first)
	}
	var counted struct{ Next, Wrong int }
	if tell(t, s, &counted, "counted"); counted.Next != 3 || counted.Wrong != 0 {
		t.Errorf("what was emitted while it was away: %+v", counted)
	}
}

func (g *goClient) volatile(t *testing.T) {
	s := g.dial(t, "", nil)
	back := make(chan string, 100)
	sio.Listen(s, "echo", func(_ context.Context, text string) error {
		back <- text
		return nil
	})
	if err := s.Volatile().Emit("echo", "lost"); err != nil {
		t.Fatal(err)
	}
	if err := s.Connect(inTime(t)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); { // it may get lost while a POST is under way
		if err := s.Volatile().Emit("echo", "now"); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-back:
			if got != "now" {
				t.Errorf("%q", got)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("nothing volatile arrives")
}

func (g *goClient) large(t *testing.T) {
	s := g.ready(t, "", nil)
	blob := bytes.Repeat([]byte{0, 1, 0x1e, 0xff}, 1<<18)
	var back []byte
	if tell(t, s, &back, "ack", blob); !bytes.Equal(back, blob) {
		t.Error("a megabyte of bytes came back changed")
	}
	text := strings.Repeat("바로", 1<<20/6)
	var same string
	if tell(t, s, &same, "ack", text); same != text {
		t.Error("a megabyte of text came back changed")
	}
}
