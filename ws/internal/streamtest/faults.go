package streamtest

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// When the connection is gone, both sides notice, whether they read, write or do nothing.
func testCut(t *testing.T, start Start) {
	ends := make(chan error, 2)
	opened := make(chan *ws.Conn, 2)
	handler := http.NewServeMux()
	handler.Handle("/reads", Accepting(nil, func(c *ws.Conn) {
		opened <- c
		ends <- readToEnd(context.Background(), c)
	}))
	handler.Handle("/idle", Accepting(nil, func(c *ws.Conn) {
		opened <- c
		<-c.Done()
		ends <- c.Err()
	}))
	handler.Handle("/writes", Accepting(nil, func(c *ws.Conn) {
		opened <- c
		flood(func(data []byte) error { return c.Write(context.Background(), ws.Binary, data) })
		<-c.Done()
		ends <- c.Err()
	}))
	handler.Handle("/server", &ws.Server{
		OnOpen:  func(*ws.Socket, *http.Request) { opened <- nil },
		OnClose: func(_ *ws.Socket, err error) { ends <- err },
	})
	for _, path := range []string{"/reads", "/idle", "/writes", "/server"} {
		t.Run(path[1:], func(t *testing.T) {
			p := start(t, handler)
			p.URL += path
			reading, idle := p.Dial(t, nil), p.Dial(t, nil)
			clientEnd := make(chan error, 1)
			go func() { clientEnd <- readToEnd(context.Background(), reading) }()
			for range 2 {
				testkit.Within(t, "the server to open", opened)
			}
			p.Cut()
			for range 2 {
				closed(t, testkit.Within(t, "the server", ends), ws.StatusAbnormalClosure, "", false)
			}
			closed(t, testkit.Within(t, "the client", clientEnd), ws.StatusAbnormalClosure, "", false)
			if path != "/writes" { // otherwise a message waits to be read, and nobody looks behind it
				testkit.Within(t, "the idle client", idle.Done())
				closed(t, idle.Err(), ws.StatusAbnormalClosure, "", false)
			}
		})
	}
}

// A server notices that the client has left, even if a message waits that nobody reads.
func testUnread(t *testing.T, start Start) {
	o := ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: 200 * time.Millisecond}}
	ends, opened := make(chan error, 1), make(chan struct{}, 1)
	busy := func(c *ws.Socket) { // it watches its connection while it works
		opened <- struct{}{}
		<-c.Done()
	}
	servers := map[string]http.Handler{
		"Accept": Accepting(&o, func(c *ws.Conn) {
			opened <- struct{}{}
			<-c.Done()
			ends <- c.Err()
		}),
		"Server": &ws.Server{
			Options:   o,
			OnMessage: func(c *ws.Socket, _ ws.Message) { busy(c) },
			OnClose:   func(_ *ws.Socket, err error) { ends <- err },
		},
	}
	for name, handler := range servers {
		t.Run(name, func(t *testing.T) {
			c := start(t, handler).Dial(t, func(o *ws.DialOptions) { o.Queue.Full = ws.Drop })
			if err := stuff(t, func(data []byte) error { return c.Send(ws.Binary, data) }); !errors.Is(err, ws.ErrQueueFull) {
				t.Error(err)
			}
			testkit.Within(t, "the server to open", opened)
			c.CloseNow()
			closed(t, testkit.Within(t, "the server", ends), ws.StatusAbnormalClosure, "", false)
		})
	}
}

// stuff sends until the queue is full, and checks that no call waits.
func stuff(t *testing.T, send func(data []byte) error) error {
	data := make([]byte, 64<<10)
	for range 10_000 {
		before := time.Now()
		err := send(data)
		if took := time.Since(before); took > 5*time.Second {
			t.Errorf("a Send took %v", took)
		}
		if err != nil {
			return err
		}
	}
	return errors.New("the queue does not fill")
}

// A client that takes nothing keeps nobody: Send does not wait, and every way of closing ends in time.
func testSlowReader(t *testing.T, start Start) {
	const closeTimeout = 200 * time.Millisecond
	ctx := context.Background()
	drop := ws.AcceptOptions{
		Limits: ws.Limits{CloseTimeout: closeTimeout},
		Queue:  ws.Queue{Full: ws.Drop},
	}
	giveUp := drop
	giveUp.Queue.Full = ws.Close
	result := make(chan error, 1)
	servers := map[string]http.Handler{
		"CloseNow": Accepting(&drop, func(c *ws.Conn) {
			err := stuff(t, func(data []byte) error { return c.Send(ws.Binary, data) })
			if !errors.Is(err, ws.ErrQueueFull) {
				t.Error(err)
			}
			c.CloseNow()
			result <- nil
		}),
		"Close": Accepting(&drop, func(c *ws.Conn) {
			err := stuff(t, func(data []byte) error { return c.Send(ws.Binary, data) })
			if !errors.Is(err, ws.ErrQueueFull) {
				t.Error(err)
			}
			if err := c.Close(ctx, ws.StatusNormalClosure, ""); err == nil {
				t.Error("a closing handshake with somebody who takes nothing")
			}
			result <- nil
		}),
		"policy": Accepting(&giveUp, func(c *ws.Conn) {
			err := stuff(t, func(data []byte) error { return c.Send(ws.Binary, data) })
			if !errors.Is(err, ws.ErrQueueFull) {
				t.Error(err)
			}
			<-c.Done()
			result <- nil
		}),
		"Server": &ws.Server{
			Options: drop,
			OnOpen: func(c *ws.Socket, _ *http.Request) {
				err := stuff(t, func(data []byte) error { return c.Send(ws.Binary, data) })
				if !errors.Is(err, ws.ErrQueueFull) {
					t.Error(err)
				}
				_ = c.Close(ws.StatusNormalClosure, "")
			},
			OnClose: func(*ws.Socket, error) { result <- nil },
		},
	}
	for name, handler := range servers {
		t.Run(name, func(t *testing.T) {
			p := start(t, handler)
			c := p.Dial(t, nil)
			if err := testkit.Within(t, "the server", result); err != nil {
				t.Error(err)
			}
			c.CloseNow()
		})
	}
}

// A server that reads nothing keeps nobody either.
func testSlowWriter(t *testing.T, start Start) {
	release := make(chan struct{})
	p := start(t, Accepting(nil, func(c *ws.Conn) {
		<-release // meanwhile, no more than the first messages are read
	}))
	defer close(release)
	change := func(o *ws.DialOptions) {
		o.Limits.CloseTimeout = 200 * time.Millisecond
		o.Queue.Full = ws.Drop
	}
	for name, end := range map[string]func(c *ws.Conn){
		"CloseNow": func(c *ws.Conn) { c.CloseNow() },
		"Close":    func(c *ws.Conn) { _ = c.Close(context.Background(), ws.StatusNormalClosure, "") },
	} {
		t.Run(name, func(t *testing.T) {
			c := p.Dial(t, change)
			if err := stuff(t, func(data []byte) error { return c.Send(ws.Binary, data) }); !errors.Is(err, ws.ErrQueueFull) {
				t.Error(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				end(c)
			}()
			testkit.Within(t, "the call", done)
			testkit.Within(t, "the end", c.Done())
		})
	}
}

// The connection ends with the handler, however the handler leaves it.
func testHandlerReturns(t *testing.T, start Start) {
	returned := make(chan *ws.Conn, 1)
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		returned <- c
	}))
	c := p.Dial(t, nil)
	closed(t, readToEnd(t.Context(), c), ws.StatusAbnormalClosure, "", false)
	s := testkit.Within(t, "the handler", returned)
	testkit.Within(t, "the server's end", s.Done())
	if err := s.Write(t.Context(), ws.Text, nil); err == nil {
		t.Error("a write after the handler returned succeeded")
	}
}
