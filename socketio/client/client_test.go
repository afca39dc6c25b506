package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	eio "baro.dev/engineio/client"
	"baro.dev/internal/testkit"
	"baro.dev/socketio"
	"baro.dev/socketio/client"
	"baro.dev/socketio/parser/msgpack"
)

// start starts a server, and returns its URL.
func start(t *testing.T, o *socketio.Options) (*socketio.Server, string) {
	t.Helper()
	if o == nil {
		o = new(socketio.Options)
	}
	o.Engine.Logger = slog.New(slog.DiscardHandler)
	io := socketio.NewServer(o)
	site := httptest.NewServer(io)
	t.Cleanup(func() {
		_ = io.Close(context.Background())
		site.Close()
	})
	return io, site.URL
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// quick comes back at once.
func quick() *client.Options {
	return &client.Options{ReconnectionDelay: time.Millisecond, ReconnectionDelayMax: 20 * time.Millisecond}
}

func newSocket(t *testing.T, url string, o *client.Options) *client.Socket {
	t.Helper()
	s, err := client.New(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, s) })
	return s
}

func connect(t *testing.T, url string, o *client.Options) *client.Socket {
	t.Helper()
	s := newSocket(t, url, o)
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

// end closes a socket, and waits until all of it has ended.
func end(t *testing.T, s *client.Socket) {
	t.Helper()
	_ = s.Close()
	testkit.Within(t, "the end", s.Manager().Done())
}

type chat struct {
	Text  string `json:"text"`
	Image []byte `json:"image"`
}

// What goes there comes back, over every transport and by every codec.
func TestEvents(t *testing.T) {
	for name, o := range map[string]*client.Options{
		"polling":   {Engine: eio.Options{Transports: []string{eio.Polling}}},
		"websocket": {Engine: eio.Options{Transports: []string{eio.WebSocket}}},
		"upgrade":   nil,
		"msgpack":   {Parser: msgpack.Codec},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			set := new(socketio.Options)
			if name == "msgpack" {
				set.Parser = msgpack.Codec
			}
			io, url := start(t, set)
			io.Of("/chat").OnConnection(func(s *socketio.Socket) {
				socketio.On(s, "say", func(_ context.Context, c chat) (chat, error) {
					if c.Text == "" {
						return c, errors.New("say something")
					}
					return c, s.Emit("said", c, []byte{1, 2, 3})
				})
			})
			s := newSocket(t, url+"/chat", o)
			said := make(chan chat, 1)
			client.Listen2(s, "said", func(_ context.Context, c chat, b []byte) error {
				if !bytes.Equal(b, []byte{1, 2, 3}) {
					t.Errorf("%v", b)
				}
				said <- c
				return nil
			})
			if err := s.Connect(soon(t)); err != nil {
				t.Fatal(err)
			}
			if s.ID() == "" || s.Namespace() != "/chat" || !s.Connected() || !s.Active() {
				t.Error(s.ID(), s.Namespace(), s.Connected(), s.Active())
			}
			want := chat{"hello €", []byte{0, 255}}
			var got chat
			if err := client.Call(soon(t), s, "say", &got, want); err != nil || got.Text != want.Text || !bytes.Equal(got.Image, want.Image) {
				t.Errorf("%v, %v", got, err)
			}
			if got := testkit.Within(t, "an event", said); got.Text != want.Text || !bytes.Equal(got.Image, want.Image) {
				t.Errorf("%v", got)
			}
			var refused struct{ Error struct{ Message string } }
			if err := client.Call(soon(t), s, "say", &refused, chat{}); err != nil || refused.Error.Message != "say something" {
				t.Errorf("%v, %v", refused, err)
			}
		})
	}
}

// The server asks, and typed handlers answer.
func TestServerAsks(t *testing.T) {
	testkit.NoLeaks(t)
	io, url := start(t, nil)
	sockets := make(chan *socketio.Socket, 1)
	io.OnConnection(func(s *socketio.Socket) { sockets <- s })
	s := newSocket(t, url, nil)
	client.On(s, "double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	client.On0(s, "fail", func(context.Context) (int, error) { return 0, errors.New("never") })
	client.On2(s, "add", func(_ context.Context, a, b int) (int, error) { return a + b, nil })
	client.Listen0(s, "quiet", func(context.Context) error { return nil })
	s.On("late", func(e *client.Event) {
		go func() {
			var word string
			if err := e.Bind(&word); err != nil {
				t.Error(err)
			}
			if err := e.Ack(word, "late"); err != nil {
				t.Error(err)
			}
			if err := e.Ack(); !errors.Is(err, client.ErrNoAck) {
				t.Error(err)
			}
		}()
	})
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	peer := testkit.Within(t, "a socket", sockets)
	for _, tt := range []struct {
		event string
		args  []any
		want  string
	}{
		{"double", []any{21}, "42"},
		{"double", []any{"x"}, `{"error":{"message":`},
		{"double", nil, `{"error":{"message":`},
		{"add", []any{1, 2}, "3"},
		{"fail", nil, `{"error":{"message":"never"}}`},
		{"quiet", nil, ""},
		{"late", []any{"very"}, `"very"`},
	} {
		answer, err := peer.EmitWithAck(soon(t), tt.event, tt.args...)
		first := ""
		if answer.Len() > 0 {
			first = answer.Value(0).String()
		}
		if err != nil || !strings.HasPrefix(first, tt.want) || tt.want == "" && first != "" {
			t.Errorf("%s %v: %s, %v", tt.event, tt.args, first, err)
		}
	}
}

// A handler may wait for an acknowledgement, and close the socket.
func TestHandlersMayWait(t *testing.T) {
	testkit.NoLeaks(t)
	io, url := start(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		socketio.On0(s, "question", func(context.Context) (string, error) { return "answer", nil })
		_ = s.Emit("go")
	})
	s := newSocket(t, url, nil)
	got := make(chan string, 1)
	s.On("go", func(*client.Event) {
		var answer string
		if err := client.Call(soon(t), s, "question", &answer); err != nil {
			t.Error(err)
		}
		_ = s.Close()
		got <- answer
	})
	if err := s.Connect(soon(t)); err != nil && !errors.Is(err, client.ErrDisconnected) {
		t.Fatal(err)
	}
	if a := testkit.Within(t, "an answer", got); a != "answer" {
		t.Error(a)
	}
	testkit.Within(t, "the end", s.Manager().Done())
}

// Who connects anew when he hears that the server has disconnected him waits for that connection, and not for the end of the one before,
// which is told to many.
func TestConnectsWhenDisconnected(t *testing.T) {
	testkit.NoLeaks(t)
	io, url := start(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		s.On("silent", func(*socketio.Event) {})
		socketio.On0(s, "kick", func(context.Context) (struct{}, error) {
			s.Disconnect(false)
			return struct{}{}, nil
		})
	})
	s := newSocket(t, url, nil)
	back := make(chan error, 1)
	s.OnDisconnect(func(client.Reason, error) { back <- s.Connect(soon(t)) })
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		if err := s.EmitFunc("silent", func(client.Args, error) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Emit("kick"); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Within(t, "the new connection", back); err != nil {
		t.Error(err)
	}
}

// Namespaces share a connection.
func TestMultiplexed(t *testing.T) {
	testkit.NoLeaks(t)
	io, url := start(t, nil)
	for _, name := range []string{"/", "/a", "/b"} {
		io.Of(name).OnConnection(func(s *socketio.Socket) {
			socketio.On0(s, "where", func(context.Context) (string, error) { return s.Namespace().Name(), nil })
		})
	}
	m, err := client.NewManager(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/", "/a", "b"} {
		s := m.Socket(name)
		if err := s.Connect(soon(t)); err != nil {
			t.Fatal(err)
		}
		var where string
		if err := client.Call(soon(t), s, "where", &where); err != nil || where != s.Namespace() {
			t.Error(where, err)
		}
	}
	all := io.Engine().Stats().Sessions
	if n := all[eio.Polling] + all[eio.WebSocket]; n != 1 {
		t.Errorf("%v", all)
	}
	m.Socket("a").Disconnect()
	if m.Socket("/a").Connected() || !m.Socket("/b").Connected() {
		t.Error("another one has left")
	}
	if err := m.Socket("/a").Connect(soon(t)); err != nil {
		t.Error(err)
	}
	if err := m.Close(soon(t)); err != nil {
		t.Error(err)
	}
	testkit.Within(t, "the end", m.Done())
	if err := m.Socket("/").Emit("x"); !errors.Is(err, client.ErrClosed) {
		t.Error(err)
	}
	if err := m.Socket("/").Connect(soon(t)); !errors.Is(err, client.ErrClosed) {
		t.Error(err)
	}
}

func TestAuth(t *testing.T) {
	testkit.NoLeaks(t)
	io, url := start(t, nil)
	io.Use(func(s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Handshake().Auth.Decode(&auth); err != nil || auth.Token != "open sesame" {
			return &socketio.Error{Message: "who are you?", Data: map[string]int{"code": 7}}
		}
		return nil
	})
	s := newSocket(t, url, nil)
	err := s.Connect(soon(t))
	refused := new(client.ConnectError)
	var data struct{ Code int }
	if !errors.As(err, &refused) || refused.Message != "who are you?" || refused.Data.Decode(&data) != nil || data.Code != 7 || s.Active() {
		t.Errorf("%v, %v", err, s.Active())
	}
	s.SetAuth(map[string]string{"token": "open sesame"})
	if err := s.Connect(soon(t)); err != nil {
		t.Error(err)
	}
	asked := 0
	asking := newSocket(t, url, &client.Options{AuthFunc: func(context.Context) (any, error) {
		asked++
		return map[string]string{"token": "open sesame"}, nil
	}})
	for range 2 {
		if err := asking.Connect(soon(t)); err != nil {
			t.Error(err)
		}
		asking.Disconnect()
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// What is emitted while there is no connection waits for it, but for what is volatile.
func TestBuffered(t *testing.T) {
	testkit.NoLeaks(t)
	io, url := start(t, nil)
	got := make(chan int, 100)
	io.OnConnection(func(s *socketio.Socket) {
		socketio.On(s, "n", func(_ context.Context, n int) (int, error) { got <- n; return n, nil })
	})
	o := quick()
	o.MaxBuffered = 2000
	s := newSocket(t, url, o)
	answers := make(chan int, 100)
	for i := range 10 {
		err := s.EmitFunc("n", func(a client.Args, err error) {
			var n int
			if err == nil {
				err = a.Bind(&n)
			}
			if err != nil {
				t.Error(err)
			}
			answers <- n
		}, i)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Volatile().Emit("n", 1000+i); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Volatile().EmitWithAck(soon(t), "n", 1); !errors.Is(err, client.ErrDisconnected) {
		t.Error(err)
	}
	if _, err := s.Timeout(time.Millisecond).EmitWithAck(soon(t), "n", 2000); !errors.Is(err, client.ErrTimeout) {
		t.Error(err)
	}
	if err := s.Emit("n", string(make([]byte, 2000))); !errors.Is(err, client.ErrBufferFull) {
		t.Error(err)
	}
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if n := testkit.Within(t, "an event", got); n != i {
			t.Errorf("%d in place of %d", n, i)
		}
		if n := testkit.Within(t, "an answer", answers); n != i {
			t.Errorf("%d in place of %d", n, i)
		}
	}
	if len(got) > 0 {
		t.Errorf("%d as well", <-got)
	}
}

// A connection that is lost is made again, and the application learns of both.
func TestReconnects(t *testing.T) {
	for _, transports := range [][]string{nil, {eio.Polling}, {eio.WebSocket}} {
		testkit.NoLeaks(t)
		io, url := start(t, nil)
		peers := make(chan *socketio.Socket, 10)
		io.OnConnection(func(s *socketio.Socket) { peers <- s })
		o := quick()
		o.Engine.Transports = transports
		s := newSocket(t, url, o)
		connected, gone := make(chan string, 10), make(chan client.Reason, 10)
		s.OnConnect(func() { connected <- s.ID() })
		s.OnDisconnect(func(why client.Reason, _ error) { gone <- why })
		if err := s.Connect(soon(t)); err != nil {
			t.Fatal(err)
		}
		id := testkit.Within(t, "a connection", connected)
		for range 5 {
			testkit.Within(t, "a socket", peers).Conn().Close()
			if why := testkit.Within(t, "the loss", gone); why != client.TransportClose && why != client.TransportError {
				t.Error(why)
			}
			next := testkit.Within(t, "another connection", connected)
			if next == id {
				t.Errorf("%s again", id)
			}
			id = next
		}
		// The server may send a client away for good.
		testkit.Within(t, "a socket", peers).Disconnect(false)
		if why := testkit.Within(t, "the end", gone); why != client.ServerDisconnect || s.Active() {
			t.Error(why)
		}
		end(t, s)
	}
}

func TestGivesUp(t *testing.T) {
	testkit.NoLeaks(t)
	o := quick()
	o.ReconnectionAttempts = 3
	s := newSocket(t, "http://127.0.0.1:1", o)
	var attempts []int
	var failures atomic.Int32
	over := make(chan struct{})
	s.Manager().OnReconnectAttempt(func(n int) { attempts = append(attempts, n) })
	s.Manager().OnReconnectFailed(func() { close(over) })
	s.OnConnectError(func(error) { failures.Add(1) })
	if err := s.Connect(soon(t)); !errors.Is(err, client.ErrGivenUp) || s.Active() {
		t.Error(err)
	}
	testkit.Within(t, "the failure", over)
	if !slices.Equal(attempts, []int{1, 2, 3}) {
		t.Error(attempts)
	}
	o.NoReconnection = true
	s = newSocket(t, "http://127.0.0.1:1", o)
	if err := s.Connect(soon(t)); !errors.Is(err, client.ErrGivenUp) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	s = newSocket(t, "http://127.0.0.1:1", quick())
	if err := s.Connect(ctx); !errors.Is(err, context.DeadlineExceeded) || s.Active() {
		t.Error(err)
	}
}

// With connection state recovery nothing is missed that was emitted while the client was away.
func TestRecovery(t *testing.T) {
	testkit.NoLeaks(t)
	io, url := start(t, &socketio.Options{ConnectionStateRecovery: &socketio.ConnectionStateRecovery{}})
	s := newSocket(t, url, quick())
	got, connected := make(chan int, 10_000), make(chan bool, 10)
	client.Listen(s, "n", func(_ context.Context, n int) error { got <- n; return nil })
	s.OnConnect(func() { connected <- s.Recovered() })
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	if testkit.Within(t, "a connection", connected) {
		t.Error("recovered from nothing")
	}
	id, n := s.ID(), 0
	_ = io.Emit("n", n)
	for range 5 {
		if m := testkit.Within(t, "an event", got); m != n {
			t.Fatalf("%d in place of %d", m, n)
		}
		n++
		s.Manager().Engine().CloseNow()
		for range 10 {
			_ = io.Emit("n", n)
			n++
		}
		if !testkit.Within(t, "a connection", connected) || s.ID() != id {
			t.Error("not recovered")
		}
		for want := n - 10; want < n; want++ {
			if m := testkit.Within(t, "an event", got); m != want {
				t.Fatalf("%d in place of %d", m, want)
			}
		}
		_ = io.Emit("n", n)
	}
}

// Events that are sent until they are acknowledged arrive in order, whatever happens to the connection.
func TestRetries(t *testing.T) {
	testkit.NoLeaks(t)
	io, url := start(t, nil)
	var mu sync.Mutex
	var got []int
	io.OnConnection(func(s *socketio.Socket) {
		socketio.On(s, "n", func(_ context.Context, n int) (int, error) {
			mu.Lock()
			got = append(got, n)
			mu.Unlock()
			if n%7 == 3 && len(got)%2 == 0 {
				s.Conn().Close() // before the answer
			}
			return n, nil
		})
	})
	o := quick()
	o.Retries, o.AckTimeout = 50, 5*time.Second
	s := connect(t, url, o)
	const n = 50
	answers := make(chan error, n)
	for i := range n {
		if err := s.EmitFunc("n", func(_ client.Args, err error) { answers <- err }, i); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		if err := testkit.Within(t, "an answer", answers); err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	next := 0
	for _, m := range got {
		switch m {
		case next:
			next++
		case next - 1: // again
		default:
			t.Fatalf("%d after %d", m, next-1)
		}
	}
	if next != n {
		t.Errorf("%d of %d", next, n)
	}
}

// An acknowledgement cannot come by another connection than the event's.
func TestAckLost(t *testing.T) {
	testkit.NoLeaks(t)
	io, url := start(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		s.On("never", func(*socketio.Event) { s.Conn().Close() })
	})
	s := connect(t, url, quick())
	if _, err := s.EmitWithAck(soon(t), "never"); !errors.Is(err, client.ErrDisconnected) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no time"))
	if _, err := s.EmitWithAck(ctx, "x"); err == nil || err.Error() != "no time" {
		t.Error(err)
	}
}

// Connections are cut at random while both sides talk. Everything that was acknowledged was there, and the client is back at the end.
func TestCuts(t *testing.T) {
	testkit.NoLeaks(t)
	io, url := start(t, nil)
	var mu sync.Mutex
	got := map[int]int{}
	io.OnConnection(func(s *socketio.Socket) {
		socketio.On(s, "n", func(_ context.Context, n int) (int, error) {
			mu.Lock()
			got[n]++
			mu.Unlock()
			return n, nil
		})
	})
	s := connect(t, url, quick())
	stop := make(chan struct{})
	var cutter sync.WaitGroup
	cutter.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(i%13) * time.Millisecond):
				if e := s.Manager().Engine(); e != nil {
					e.CloseNow()
				}
			}
		}
	})
	acknowledged := 0
	for i := range 500 {
		var back int
		err := client.Call(soon(t), s, "n", &back, i)
		switch {
		case err == nil && back == i:
			mu.Lock()
			if got[i] != 1 {
				t.Errorf("%d came %d times", i, got[i])
			}
			mu.Unlock()
			acknowledged++
		case !errors.Is(err, client.ErrDisconnected):
			t.Fatal(err)
		}
	}
	close(stop)
	cutter.Wait()
	if err := s.Connect(soon(t)); err != nil {
		t.Error(err)
	}
	t.Logf("%d of 500 acknowledged", acknowledged)
}

func TestOptionsRefused(t *testing.T) {
	for name, o := range map[string]client.Options{
		"attempts": {ReconnectionAttempts: -1},
		"delay":    {ReconnectionDelay: -1},
		"max":      {ReconnectionDelayMax: -1},
		"timeout":  {AckTimeout: -1},
		"retries":  {Retries: 1},
		"factor":   {RandomizationFactor: 2},
		"buffer":   {MaxBuffered: -1},
	} {
		if _, err := client.New("http://127.0.0.1:1", &o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, url := range []string{"", "host", "://"} {
		if _, err := client.New(url, nil); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

func Example() {
	io := socketio.NewServer(nil)
	defer io.Close(context.Background())
	io.OnConnection(func(s *socketio.Socket) {
		socketio.On(s, "greet", func(_ context.Context, name string) (string, error) { return "hello " + name, nil })
	})
	site := httptest.NewServer(io)
	defer site.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := client.New(site.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	if err := s.Connect(ctx); err != nil {
		fmt.Println(err)
		return
	}
	var answer string
	if err := client.Call(ctx, s, "greet", &answer, "Kim"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer)
	// Output: hello Kim
}
