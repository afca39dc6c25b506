package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"baro.dev/internal/testkit"
	"baro.dev/socketio/client"
	"baro.dev/ws"
)

func write(ctx context.Context, c *ws.Conn, frames ...string) {
	for _, f := range frames {
		_ = c.Write(ctx, ws.Text, []byte(f)) // or it has ended
	}
}

// All that was missed comes, however much that is, in order and before what is new.
func TestManyMissed(t *testing.T) {
	testkit.NoLeaks(t)
	const many = 3000
	var n atomic.Int64
	url, _ := hostile(t, func(ctx context.Context, c *ws.Conn) {
		if n.Add(1) == 1 {
			write(ctx, c, `40{"sid":"s","pid":"p"}`, `42["n",0,"o0"]`)
			return
		}
		for i := 1; i < many; i++ {
			write(ctx, c, fmt.Sprintf(`42["n",%d,"o%d"]`, i, i))
		}
		write(ctx, c, `40{"sid":"s","pid":"p"}`, fmt.Sprintf(`42["n",%d,"o%d"]`, many, many))
		_, _ = c.Read(ctx)
	})
	s := newSocket(t, url, overWebSocket())
	got := make(chan int, many+1)
	s.On("n", func(e *client.Event) {
		var i int
		if err := e.Bind(&i); err != nil {
			t.Error(err)
		}
		got <- i
	})
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	for i := range many + 1 {
		if g := testkit.Within(t, "an event", got); g != i {
			t.Fatalf("event %d in place of %d", g, i)
		}
	}
	if !s.Recovered() {
		t.Error("not recovered")
	}
}

// A server that sends events without end, and never the answer to CONNECT, is left.
func TestEarlyWithoutEnd(t *testing.T) {
	testkit.NoLeaks(t)
	over := make(chan struct{}, 100)
	url, _ := hostile(t, func(ctx context.Context, c *ws.Conn) {
		for text := []byte(`42["a","` + strings.Repeat("x", 50_000) + `"]`); c.Write(ctx, ws.Text, text) == nil; {
		}
		if ctx.Err() == nil {
			over <- struct{}{}
		}
	})
	o := overWebSocket()
	o.MaxBuffered = 1 << 20
	s := newSocket(t, url, o)
	why := make(chan error, 100)
	s.OnConnectError(func(err error) { why <- err })
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	testkit.Within(t, "the end of the connection", over)
	if err := testkit.Within(t, "the error", why); !errors.Is(err, client.ErrProtocol) {
		t.Error(err)
	}
}

// What comes for a socket that has left is not of its next connection.
func TestLateEvents(t *testing.T) {
	testkit.NoLeaks(t)
	url, sent := wire(t, func(packet string) string {
		switch packet {
		case `2/b,["late"]`: // what was on its way when /a left
			return `2/a,["late"]`
		case `2/b,0["x"]`:
			return `3/b,0[]`
		case `2/a,0["x"]`:
			return `3/a,0[]`
		}
		return ""
	})
	a, b := two(t, url, overWebSocket())
	var late atomic.Bool
	a.On("late", func(*client.Event) { late.Store(true) })
	if err := errors.Join(a.Connect(soon(t)), b.Connect(soon(t))); err != nil {
		t.Fatal(err)
	}
	a.Disconnect()
	if err := b.Emit("late"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.EmitWithAck(soon(t), "x"); err != nil { // the answer comes behind the event
		t.Fatal(err)
	}
	if err := a.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	turn := make(chan error, 1)
	if err := a.EmitFunc("x", func(_ client.Args, err error) { turn <- err }); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Within(t, "the turn", turn); err != nil || late.Load() {
		t.Errorf("an event of before: %v; %v", late.Load(), err)
	}
	packets(t, sent, "0/a,", "0/b,", "1/a,", `2/b,["late"]`, `2/b,0["x"]`, "0/a,", `2/a,0["x"]`)
}

// two makes two sockets that share a connection.
func two(t *testing.T, url string, o *client.Options) (a, b *client.Socket) {
	t.Helper()
	m, err := client.NewManager(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = m.Close(context.Background())
		testkit.Within(t, "the end", m.Done())
	})
	return m.Socket("/a"), m.Socket("/b")
}

// An event is acknowledged by the connection that it came by: by another one that would be the answer to something else.
func TestAckOfAnotherConnection(t *testing.T) {
	testkit.NoLeaks(t)
	var n atomic.Int64
	url, _ := hostile(t, func(ctx context.Context, c *ws.Conn) {
		write(ctx, c, entered)
		if n.Add(1) == 1 {
			write(ctx, c, `420["question"]`)
			return
		}
		_, _ = c.Read(ctx)
	})
	s := newSocket(t, url, overWebSocket())
	asked, connected := make(chan *client.Event, 1), make(chan struct{}, 2)
	s.On("question", func(e *client.Event) { asked <- e })
	s.OnConnect(func() { connected <- struct{}{} })
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	e := testkit.Within(t, "the event", asked)
	for range 2 {
		testkit.Within(t, "the connection", connected)
	}
	if err := e.Ack("late"); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("acknowledged to who has not asked: %v", err)
	}
}

// Who makes the connection again himself does so when he hears that it was lost.
func TestConnectWhenLost(t *testing.T) {
	testkit.NoLeaks(t)
	const times = 50
	url, _ := hostile(t, func(ctx context.Context, c *ws.Conn) {
		write(ctx, c, entered)
		_, _ = c.Read(ctx)
	})
	o := overWebSocket()
	o.NoReconnection = true
	s := newSocket(t, url, o)
	told := make(chan error, times)
	s.OnDisconnect(func(why client.Reason, _ error) {
		if why != client.ClientDisconnect {
			told <- s.Connect(soon(t))
		}
	})
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	for range times {
		if err := s.Emit("bye"); err != nil {
			t.Fatal(err)
		}
		if err := testkit.Within(t, "the connection", told); err != nil {
			t.Fatal(err)
		}
	}
}

// Who hears that no more attempts are made may want some more.
func TestOpenWhenGivenUp(t *testing.T) {
	testkit.NoLeaks(t)
	o := *quick()
	o.NoReconnection = true
	m := nowhere(t, o)
	s := m.Socket("/")
	times := make(chan int, 3)
	n := 0
	m.OnReconnectFailed(func() {
		if n++; n < 3 {
			if err := s.Open(); err != nil {
				t.Error(err)
			}
		}
		if n <= 3 {
			times <- n
		}
	})
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		testkit.Within(t, "the attempt", times)
	}
	for range 50 {
		if err := s.Connect(soon(t)); !errors.Is(err, client.ErrGivenUp) {
			t.Fatal(err)
		}
	}
}

// A handler waits for an acknowledgement, and as much waits for handlers as may: it is told when the connection ends.
func TestHandlerWaitsAndNothingIsRead(t *testing.T) {
	testkit.NoLeaks(t)
	url, _ := acceptsWith(t, strings.Replace(opened, `25000,"pingTimeout":20000`, `500,"pingTimeout":500`, 1), func(ctx context.Context, c *ws.Conn) {
		write(ctx, c, entered, `42["first"]`)
		for c.Write(ctx, ws.Text, []byte(`42["a","`+strings.Repeat("x", 1000)+`"]`)) == nil {
		}
	})
	o := overWebSocket()
	o.MaxBuffered = 10_000
	s := newSocket(t, url, o)
	told := make(chan error, 1)
	s.On("first", func(*client.Event) {
		_, err := s.EmitWithAck(context.Background(), "x")
		select {
		case told <- err:
		default: // it has come back
		}
	})
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Within(t, "the end", told); !errors.Is(err, client.ErrDisconnected) {
		t.Error(err)
	}
}

// A socket that has left before the server let it in is not there afterwards; one that has come back meanwhile is let in by that.
func TestLeavesBeforeTheAnswer(t *testing.T) {
	testkit.NoLeaks(t)
	for _, back := range []bool{false, true} {
		url, sent := slow(t)
		a, b := two(t, url, overWebSocket())
		if err := b.Connect(soon(t)); err != nil {
			t.Fatal(err)
		}
		if err := a.Open(); err != nil {
			t.Fatal(err)
		}
		packets(t, sent, "0/b,", "0/a,")
		a.Disconnect()
		if back {
			if err := a.Open(); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Emit("now"); err != nil {
			t.Fatal(err)
		}
		packets(t, sent, `2/b,["now"]`)
		if !back {
			packets(t, sent, "1/a,")
			if err := a.Open(); err != nil {
				t.Fatal(err)
			}
			packets(t, sent, "0/a,")
			if err := b.Emit("now"); err != nil {
				t.Fatal(err)
			}
			packets(t, sent, `2/b,["now"]`)
		}
		if err := a.Connect(soon(t)); err != nil {
			t.Fatal(err)
		}
		a.Disconnect()
		packets(t, sent, "1/a,")
	}
}

// slow is a server that lets /b in at once, and /a when it gets an event.
func slow(t *testing.T) (url string, sent <-chan string) {
	t.Helper()
	got := make(chan string, 100)
	url, _ = accepts(t, func(ctx context.Context, c *ws.Conn) {
		for {
			m, err := c.Read(ctx)
			if err != nil {
				return
			}
			packet := strings.TrimPrefix(string(m.Data), "4")
			got <- packet
			switch packet {
			case "0/b,":
				write(ctx, c, `40/b,{"sid":"b"}`)
			case `2/b,["now"]`:
				write(ctx, c, `40/a,{"sid":"a"}`)
			}
		}
	})
	return url, got
}

// What AuthFunc said for a connection that is not wanted any more is not said.
func TestLateAuth(t *testing.T) {
	testkit.NoLeaks(t)
	url, sent := wire(t, nil)
	asked := make(chan chan error, 3)
	o := overWebSocket()
	o.AuthFunc = func(context.Context) (any, error) {
		answer := make(chan error)
		asked <- answer
		return map[string]string{}, <-answer
	}
	a, b := two(t, url, o)
	b.SetAuth(nil)
	if err := b.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 3)
	a.OnConnectError(func(err error) { failed <- err })
	for range 2 {
		if err := a.Open(); err != nil {
			t.Fatal(err)
		}
		a.Disconnect()
	}
	if err := a.Open(); err != nil {
		t.Fatal(err)
	}
	all := []chan error{}
	for range 3 {
		all = append(all, testkit.Within(t, "the question", asked))
	}
	// Which was the last one is not known: all give the same.
	for _, answer := range all {
		answer <- nil
	}
	if err := a.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	a.Disconnect()
	packets(t, sent, "0/b,", "0/a,{}", "1/a,")
	_ = b.Manager().Close(soon(t))
	testkit.Within(t, "the end", b.Manager().Done())
	for range len(sent) {
		if p := <-sent; strings.HasPrefix(p, "0/a,") {
			t.Error("a second CONNECT")
		}
	}
}

// With Retries arguments are encoded before Emit returns, too, and what waits has a bound.
func TestRetriesEncode(t *testing.T) {
	testkit.NoLeaks(t)
	url, sent := wire(t, func(packet string) string {
		if strings.HasPrefix(packet, "2") {
			return "3" + packet[1:2] + "[]"
		}
		return ""
	})
	o := retrying()
	o.MaxBuffered = 1000
	s := newSocket(t, url, o)
	list := []int{1, 2}
	if err := s.Emit("x", list); err != nil {
		t.Fatal(err)
	}
	list[0] = 7
	if err := s.Emit("x", make(chan int)); err == nil {
		t.Error("a channel is encoded")
	}
	if err := s.Emit("x", strings.Repeat("x", 900)); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("x", strings.Repeat("x", 900)); !errors.Is(err, client.ErrBufferFull) {
		t.Errorf("it has no bound: %v", err)
	}
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	packets(t, sent, "0", `20["x",[1,2]]`, `21["x","`+strings.Repeat("x", 900)+`"]`)
	for _, arg := range []string{"", strings.Repeat("x", 900)} { // with the first acknowledgement there is room again
		if _, err := s.EmitWithAck(soon(t), "x", arg); err != nil {
			t.Error(err)
		}
	}
}

// Who waits in Connect is told that it was closed.
func TestCloseWhileConnecting(t *testing.T) {
	testkit.NoLeaks(t)
	asked := make(chan struct{})
	url, _ := hostile(t, func(ctx context.Context, c *ws.Conn) { close(asked); _, _ = c.Read(ctx) })
	s := newSocket(t, url, overWebSocket())
	told := make(chan error, 1)
	go func() { told <- s.Connect(context.Background()) }()
	testkit.Within(t, "CONNECT", asked)
	_ = s.Close()
	if err := testkit.Within(t, "the error", told); !errors.Is(err, client.ErrClosed) {
		t.Error(err)
	}
}

// Who hears that he was refused may have something better to say.
func TestConnectWhenRefused(t *testing.T) {
	testkit.NoLeaks(t)
	url, _ := accepts(t, func(ctx context.Context, c *ws.Conn) {
		for {
			m, err := c.Read(ctx)
			if err != nil {
				return
			}
			if strings.Contains(string(m.Data), "good") {
				write(ctx, c, entered)
			} else {
				write(ctx, c, `44{"message":"no"}`)
			}
		}
	})
	for range 30 {
		s := newSocket(t, url, overWebSocket())
		told := make(chan error, 1)
		s.OnConnectError(func(error) {
			s.SetAuth(map[string]string{"token": "good"})
			told <- s.Connect(soon(t))
		})
		var refused *client.ConnectError
		if err := s.Connect(soon(t)); !errors.As(err, &refused) {
			t.Fatal(err)
		}
		if err := testkit.Within(t, "the answer", told); err != nil {
			t.Fatal(err)
		}
		end(t, s)
	}
}

// stuck is a connection that takes nothing once it is told so.
type stuck struct {
	net.Conn
	on, until chan struct{}
}

func (c *stuck) Write(p []byte) (int, error) {
	select {
	case <-c.on:
		<-c.until
		return 0, net.ErrClosed
	default:
		return c.Conn.Write(p)
	}
}

// Volatile events do not wait for a network that takes nothing.
func TestVolatileWhileStuck(t *testing.T) {
	testkit.NoLeaks(t)
	url, _ := wire(t, nil)
	c := &stuck{on: make(chan struct{}), until: make(chan struct{})}
	o := overWebSocket()
	o.NoReconnection = true
	o.Engine.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		c.Conn = conn
		return c, err
	}
	s := connect(t, url, o)
	t.Cleanup(func() { close(c.until) })
	close(c.on)
	for range 100 {
		if err := s.Volatile().Emit("x", strings.Repeat("x", 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Volatile().EmitWithAck(soon(t), "x"); !errors.Is(err, client.ErrDisconnected) {
		t.Errorf("it waits: %v", err)
	}
	s.Manager().Engine().CloseNow()
}
