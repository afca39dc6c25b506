package ws_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// Thousands of idle connections cost no goroutine where event loops read them, and are all told goodbye by Shutdown, which
// returns when they have answered.
func TestShutdownOfThousands(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		noLeaks(t)
		conns := 2000
		if raceEnabled || w.http {
			conns = 500
		}
		var opened, closed atomic.Int64
		h := openHouse(t, &ws.Server{
			Options: ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: patience}},
			Inline:  w.inline,
			OnOpen:  func(*ws.Socket, *http.Request) { opened.Add(1) },
			OnClose: func(_ *ws.Socket, err error) {
				if ws.CloseStatus(err) != ws.StatusGoingAway {
					t.Error(err)
				}
				closed.Add(1)
			},
		}, "tcp", w.http)
		before := runtime.NumGoroutine()
		var all []net.Conn
		for range conns {
			nc, err := net.Dial("tcp", h.addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			all = append(all, nc)
			if err := opens()(nc); err != nil {
				t.Fatal(err)
			}
		}
		for start := time.Now(); opened.Load() < int64(conns); time.Sleep(time.Millisecond) {
			if time.Since(start) > patience {
				t.Fatalf("%d of %d connections have been opened", opened.Load(), conns)
			}
		}
		if n := h.server.Len(); n != conns {
			t.Fatalf("%d connections", n)
		}
		if ws.OnLoops() {
			// Those of OnOpen and of net/http may still be on their way out.
			for start := time.Now(); runtime.NumGoroutine() > before+20; time.Sleep(time.Millisecond) {
				if time.Since(start) > patience {
					t.Fatalf("%d goroutines for %d connections", runtime.NumGoroutine()-before, conns)
				}
			}
		}
		ended := make(chan error, 1)
		go func() { ended <- h.server.Shutdown(context.Background()) }()
		goodbye, answer := wireBytes(false, closeFrame(1001, "")), wireBytes(true, closeFrame(1001, ""))
		for _, nc := range all {
			select {
			case err := <-ended:
				t.Fatalf("Shutdown did not wait: %v", err)
			default:
			}
			got := make([]byte, len(goodbye))
			if _, err := io.ReadFull(nc, got); err != nil || string(got) != string(goodbye) {
				t.Fatalf("%x, %v", got, err)
			}
			if _, err := nc.Write(answer); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := closed.Load(); n != int64(conns) {
			t.Errorf("OnClose was called for %d of %d when Shutdown returned", n, conns)
		}
		for _, nc := range all {
			if n, err := nc.Read(make([]byte, 1)); !isEnd(err) {
				t.Fatal(n, err)
			}
		}
	})
}

// Shutdown does not wait for handlers that are stuck longer than it is told to; they have their OnClose when they return.
func TestShutdownWithStuckHandlers(t *testing.T) {
	for _, where := range []string{"OnOpen", "OnMessage", "OnClose"} {
		t.Run(where, func(t *testing.T) {
			noLeaks(t)
			const conns = 30
			begun, release := make(chan struct{}, conns), make(chan struct{})
			var closed atomic.Int64
			stick := func(here string) {
				if here == where {
					begun <- struct{}{}
					<-release
				}
			}
			s := &ws.Server{
				OnOpen:    func(*ws.Socket, *http.Request) { stick("OnOpen") },
				OnMessage: func(*ws.Socket, ws.Message) { stick("OnMessage") },
				OnClose:   func(*ws.Socket, error) { stick("OnClose"); closed.Add(1) },
			}
			h := openHouse(t, s, "tcp", false)
			var peers []*peer
			for range conns {
				f := textFrame("x")
				if where == "OnClose" {
					f = closeFrame(1000, "")
				}
				peers = append(peers, h.visit(t, "", f))
			}
			for range conns {
				<-begun
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errCancelled)
			defer cancel()
			start := time.Now()
			if err := s.Shutdown(ctx); !errors.Is(err, errCancelled) {
				t.Error(err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			// The peers need not wait for handlers.
			for _, p := range peers {
				for range p.sights {
				}
				if !isEnd(p.end) && !errors.Is(p.end, io.ErrUnexpectedEOF) {
					t.Error(p.end)
				}
			}
			if n := closed.Load(); n != 0 {
				t.Errorf("OnClose has returned %d times already", n)
			}
			close(release)
			if err := s.Shutdown(t.Context()); err != nil || closed.Load() != conns || s.Len() != 0 {
				t.Errorf("%v; OnClose was called %d times, %d connections are left", err, closed.Load(), s.Len())
			}
		})
	}
}

// Shutdown comes while connections come: each is refused, or opened, told goodbye and closed.
func TestShutdownAmidConnects(t *testing.T) {
	eachHandling(t, func(t *testing.T, inline bool) {
		noLeaks(t)
		var opened, closed atomic.Int64
		h := openHouse(t, &ws.Server{
			Inline:  inline,
			OnOpen:  func(*ws.Socket, *http.Request) { opened.Add(1) },
			OnClose: func(*ws.Socket, error) { closed.Add(1) },
		}, "tcp", false)
		var coming sync.WaitGroup
		var greeted atomic.Int64
		for range 8 {
			coming.Go(func() {
				for {
					nc, err := net.Dial("tcp", h.addr.String())
					if err != nil {
						return
					}
					p := rawPeer(nc, false)
					p.sendBytes([]byte(with()))
					if err := p.welcomed(); err != nil {
						nc.Close()
						return
					}
					greeted.Add(1)
					s, err := p.next()
					if err != nil || s != (sight{opClose, closePayload(1001, "")}) {
						t.Errorf("%v, %v", s, err)
					}
					p.send(closeFrame(1001, ""))
					nc.Close()
				}
			})
			coming.Go(func() { // and some of which nobody hears anything
				for range 5 {
					if nc, err := net.Dial("tcp", h.addr.String()); err == nil {
						nc.Write([]byte(with()[:30]))
						nc.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
						nc.Read(make([]byte, 1))
						nc.Close()
					}
				}
			})
		}
		for opened.Load() < 8 {
			time.Sleep(time.Millisecond)
		}
		if err := h.server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if o, c := opened.Load(), closed.Load(); o != c || h.server.Len() != 0 {
			t.Errorf("%d were opened, %d closed, %d are left", o, c, h.server.Len())
		}
		coming.Wait()
	})
}
