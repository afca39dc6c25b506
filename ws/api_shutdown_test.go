package ws_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// Shutdown lets busy connections finish what they are at: what was queued leaves, then 1001, and when Shutdown
// returns every handler has returned.
func TestShutdownBusy(t *testing.T) {
	eachHTTP(t, func(t *testing.T, how string) {
		const conns = 5
		var open atomic.Int32
		handling := make(chan struct{}, conns)
		server := &ws.Server{
			OnOpen: func(c *ws.Socket, r *http.Request) { open.Add(1) },
			OnMessage: func(c *ws.Socket, m ws.Message) {
				handling <- struct{}{}
				time.Sleep(10 * time.Millisecond) // busy
				for range 20 {
					if err := c.Send(m.Type, []byte(text(10_000, 0))); err != nil && ws.CloseStatus(err) != ws.StatusGoingAway {
						t.Error(err)
					}
				}
			},
			OnClose: func(c *ws.Socket, err error) {
				time.Sleep(5 * time.Millisecond)
				if ws.CloseStatus(err) != ws.StatusGoingAway {
					t.Error(err)
				}
				open.Add(-1)
			},
		}
		dial := dialTo(t, server, how)
		var wg sync.WaitGroup
		for range conns {
			c := dial()
			mustWrite(t, c, "work")
			wg.Go(func() {
				for m, err := range c.Messages(t.Context()) {
					if err != nil || m.String() != text(10_000, 0) {
						t.Error(len(m.Data), err)
					}
				}
				if ws.CloseStatus(c.Err()) != ws.StatusGoingAway {
					t.Error(c.Err())
				}
			})
		}
		for range conns {
			<-handling
		}
		if n := server.Len(); n != conns {
			t.Errorf("%d connections", n)
		}
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := open.Load(); n != 0 {
			t.Errorf("%d handlers have not returned", n)
		}
		if n := server.Len(); n != 0 {
			t.Errorf("%d connections", n)
		}
		wg.Wait()
		// No new ones, and again is nothing.
		if _, resp, err := ws.Dial(t.Context(), serve(t, server), nil); err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Error(resp, err)
		}
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Peers that do not answer are not waited for beyond the context, nor are handlers that do not return.
func TestShutdownCut(t *testing.T) {
	sent, closed := make(chan struct{}), make(chan struct{})
	server := &ws.Server{
		OnMessage: func(c *ws.Socket, m ws.Message) {
			for c.Buffered() == 0 {
				c.Send(ws.Text, []byte(text(900_000, 0)))
			}
			close(sent)
		},
		OnClose: func(*ws.Socket, error) { close(closed) },
	}
	c := dialTo(t, server, "ws")()
	c.UnderlyingConn().(*net.TCPConn).SetReadBuffer(4 << 10)
	mustWrite(t, c, "fill the pipe") // and do not read what comes
	<-sent
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errCancelled)
	defer cancel()
	start := time.Now()
	if err := server.Shutdown(ctx); !errors.Is(err, errCancelled) {
		t.Error(err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	<-closed
}

// Serve is a front door of its own.
func TestServe(t *testing.T) {
	server := &ws.Server{OnMessage: func(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) }}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	c, _, err := ws.Dial(t.Context(), "ws://"+l.Addr().String()+"/any/path?x=y", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	mustWrite(t, c, "hello")
	mustRead(t, c, "hello")
	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUpgradeRequired && resp.StatusCode != http.StatusBadRequest {
		t.Error(resp.Status)
	}
	go func() {
		c.Read(t.Context())
	}()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != ws.ErrServerClosed {
		t.Error(err)
	}
	<-c.Done()
	if ws.CloseStatus(c.Err()) != ws.StatusGoingAway {
		t.Error(c.Err())
	}
	l, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(l); err != ws.ErrServerClosed {
		t.Error(err)
	}
}

// Close of a Server ends everything at once.
func TestServerClose(t *testing.T) {
	eachHTTP(t, func(t *testing.T, how string) {
		var open sync.WaitGroup
		open.Add(3)
		closed := make(chan error, 3)
		server := &ws.Server{
			OnOpen:  func(*ws.Socket, *http.Request) { open.Done() },
			OnClose: func(_ *ws.Socket, err error) { closed <- err },
		}
		dial := dialTo(t, server, how)
		conns := []*ws.Conn{dial(), dial(), dial()}
		open.Wait()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		for _, c := range conns {
			if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
				t.Error(err)
			}
			if err := <-closed; !errors.Is(err, ws.ErrClosed) {
				t.Error(err)
			}
		}
	})
}

// A connection that is being opened while the Server is closed ends at once, like the others.
func TestServerCloseWhileOpening(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	server := &ws.Server{Options: ws.AcceptOptions{CheckOrigin: func(*http.Request) error {
		close(asked)
		<-release
		return nil
	}}}
	dial := dialTo(t, server, "ws")
	go func() {
		<-asked
		_ = server.Close()
		close(release)
	}()
	if _, err := dial().Read(t.Context()); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
		t.Error(err)
	}
}
