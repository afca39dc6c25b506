package streamtest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// closes are codes and reasons that a close frame can carry.
var closes = []struct {
	code   ws.StatusCode
	reason string
}{
	{ws.StatusNormalClosure, ""},
	{ws.StatusGoingAway, "to bed"},
	{ws.StatusNoStatus, ""},
	{ws.StatusInternalError, "메세지"},
	{3000, strings.Repeat("r", 123)},
	{4999, "last"},
}

// closed checks that err is a close with the code and reason, by the peer or not.
func closed(t testing.TB, err error, code ws.StatusCode, reason string, remote bool) {
	t.Helper()
	ce, ok := errors.AsType[*ws.CloseError](err)
	if !ok || ce.Code != code || ce.Reason != reason || ce.Remote != remote {
		t.Errorf("%#v (%v), not code %v, reason %q, remote %v", ce, err, code, reason, remote)
	}
}

// readToEnd returns why c ends.
func readToEnd(ctx context.Context, c *ws.Conn) error {
	for {
		if _, err := c.Read(ctx); err != nil {
			return err
		}
	}
}

func testClientCloses(t *testing.T, start Start) {
	ends := make(chan error, 1)
	servers := map[string]http.Handler{
		"Accept": Accepting(nil, func(c *ws.Conn) { ends <- readToEnd(context.Background(), c) }),
		"Server": &ws.Server{OnClose: func(_ *ws.Socket, err error) { ends <- err }},
	}
	for name, handler := range servers {
		t.Run(name, func(t *testing.T) {
			p := start(t, handler)
			for _, tt := range closes {
				c := p.Dial(t, nil)
				if err := c.Close(t.Context(), tt.code, tt.reason); err != nil {
					t.Error(err)
				}
				closed(t, testkit.Within(t, "the server", ends), tt.code, tt.reason, true)
				closed(t, c.Err(), tt.code, tt.reason, false)
			}
		})
	}
}

func testServerCloses(t *testing.T, start Start) {
	ends := make(chan error, 1)
	for _, tt := range closes {
		servers := map[string]http.Handler{
			"Accept": Accepting(nil, func(c *ws.Conn) {
				if err := c.Close(context.Background(), tt.code, tt.reason); err != nil {
					t.Error(err)
				}
				ends <- c.Err()
			}),
			"Server": &ws.Server{
				OnOpen:  func(c *ws.Socket, _ *http.Request) { _ = c.Close(tt.code, tt.reason) },
				OnClose: func(_ *ws.Socket, err error) { ends <- err },
			},
		}
		for name, handler := range servers {
			t.Run(name+"/"+tt.code.String(), func(t *testing.T) {
				c := start(t, handler).Dial(t, nil)
				closed(t, readToEnd(t.Context(), c), tt.code, tt.reason, true)
				closed(t, testkit.Within(t, "the server", ends), tt.code, tt.reason, false)
				testkit.Within(t, "the end", c.Done())
			})
		}
	}
}

func testBothClose(t *testing.T, start Start) {
	ends := make(chan error, 1)
	p := start(t, Accepting(nil, func(c *ws.Conn) {
		ends <- c.Close(context.Background(), ws.StatusNormalClosure, "server")
	}))
	for range 10 {
		c := p.Dial(t, nil)
		if err := c.Close(t.Context(), ws.StatusNormalClosure, "client"); err != nil {
			t.Error(err)
		}
		if err := testkit.Within(t, "the server", ends); err != nil {
			t.Error(err)
		}
	}
}

// flood sends until the connection ends: small messages, one of 1 KiB among them, which is too big for a peer that is to
// fail.
func flood(send func(data []byte) error) {
	small := make([]byte, 90)
	for i := 0; ; i++ {
		data := small
		if i == 50 {
			data = make([]byte, 1024)
		}
		if send(data) != nil {
			return
		}
	}
}

// small fails its connection when a message of more than 100 bytes comes.
var small = ws.Limits{MaxMessageSize: 100}

// RFC 6455 7.1.7: an endpoint that fails the connection "SHOULD send a Close frame". The client is to get it, though it is
// sending all the time and its stream is cut.
func testServerFails(t *testing.T, start Start) {
	ends := make(chan error, 1)
	servers := map[string]http.Handler{
		"Accept": Accepting(&ws.AcceptOptions{Limits: small}, func(c *ws.Conn) { ends <- readToEnd(context.Background(), c) }),
		"Server": &ws.Server{
			Options: ws.AcceptOptions{Limits: small},
			OnClose: func(_ *ws.Socket, err error) { ends <- err },
		},
	}
	for name, handler := range servers {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			p := start(t, handler)
			for range 5 {
				c := p.Dial(t, nil)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					flood(func(data []byte) error { return c.Write(ctx, ws.Binary, data) })
				}()
				if err := readToEnd(ctx, c); ws.CloseStatus(err) != ws.StatusMessageTooBig {
					t.Errorf("the client: %v", err)
				}
				if err := testkit.Within(t, "the server", ends); !errors.Is(err, ws.ErrMessageTooBig) {
					t.Errorf("the server: %v", err)
				}
				testkit.Within(t, "the sender", sent)
				testkit.Within(t, "the end", c.Done())
			}
		})
	}
}

func testClientFails(t *testing.T, start Start) {
	ends := make(chan error, 1)
	block := ws.AcceptOptions{Queue: ws.Queue{Full: ws.Block}}
	servers := map[string]http.Handler{
		"Accept": Accepting(nil, func(c *ws.Conn) {
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				flood(func(data []byte) error { return c.Write(context.Background(), ws.Binary, data) })
			}()
			ends <- readToEnd(context.Background(), c)
			<-sent
		}),
		"Server": &ws.Server{
			Options: block,
			OnOpen: func(c *ws.Socket, _ *http.Request) {
				go flood(func(data []byte) error { return c.Send(ws.Binary, data) })
			},
			OnClose: func(_ *ws.Socket, err error) { ends <- err },
		},
	}
	for name, handler := range servers {
		t.Run(name, func(t *testing.T) {
			p := start(t, handler)
			for range 5 {
				c := p.Dial(t, func(o *ws.DialOptions) { o.Limits = small })
				if err := readToEnd(t.Context(), c); !errors.Is(err, ws.ErrMessageTooBig) {
					t.Errorf("the client: %v", err)
				}
				ce, ok := errors.AsType[*ws.CloseError](testkit.Within(t, "the server", ends))
				if !ok || ce.Code != ws.StatusMessageTooBig || !ce.Remote {
					t.Errorf("the server: %v", ce)
				}
				testkit.Within(t, "the end", c.Done())
			}
		})
	}
}

func testShutdown(t *testing.T, start Start) {
	open := make(chan struct{}, 3)
	server := &ws.Server{OnOpen: func(*ws.Socket, *http.Request) { open <- struct{}{} }}
	p := start(t, server)
	var clients []*ws.Conn
	for range cap(open) {
		clients = append(clients, p.Dial(t, nil))
		testkit.Within(t, "OnOpen", open)
	}
	done := make(chan error, 1)
	go func() { done <- server.Shutdown(t.Context()) }()
	for _, c := range clients {
		closed(t, readToEnd(t.Context(), c), ws.StatusGoingAway, "", true)
	}
	if err := testkit.Within(t, "Shutdown", done); err != nil {
		t.Error(err)
	}
	// Who comes now is told so.
	if _, resp, err := ws.Dial(t.Context(), p.URL, &p.Options); err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Error(resp, err)
	}
}
