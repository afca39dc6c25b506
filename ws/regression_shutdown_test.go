package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// serveTimed has s serve in a bubble until the end of the test. open starts a handshake.
func serveTimed(t *testing.T, s *ws.Server) (open func() *peer) {
	front := &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0)} // which Shutdown knows nothing of
	l := &chanListener{conns: make(chan net.Conn), done: make(chan struct{})}
	go front.Serve(l)
	t.Cleanup(func() {
		s.Close()
		front.Close()
	})
	return func() *peer {
		near, far := net.Pipe()
		p := rawPeer(far, false)
		p.SetDeadline(time.Time{})
		t.Cleanup(func() { p.Close() })
		l.conns <- near
		if err := p.sendBytes([]byte(request() + "\r\n")); err != nil {
			t.Error(err)
		}
		return p
	}
}

// answered waits for the end of the opening handshake.
func (p *peer) answered() error {
	r, err := http.ReadResponse(p.r, nil)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the server answered %s", r.Status)
	}
	go p.collect()
	return nil
}

// A handler that ends its goroutine ends its connection, and leaves nothing behind.
func TestHandlerEndsItsGoroutine(t *testing.T) {
	for _, where := range []string{"OnOpen", "OnMessage", "OnClose"} {
		for _, inline := range []bool{false, true} {
			t.Run(where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					closed := make(chan error, 2)
					goexit := func(here string) {
						if here == where {
							runtime.Goexit()
						}
					}
					s := &ws.Server{
						Inline:    inline,
						OnOpen:    func(*ws.Socket, *http.Request) { goexit("OnOpen") },
						OnMessage: func(*ws.Socket, ws.Message) { goexit("OnMessage") },
						OnClose:   func(_ *ws.Socket, err error) { closed <- err; goexit("OnClose") },
					}
					p := serveTimed(t, s)()
					if err := p.answered(); err != nil {
						t.Fatal(err)
					}
					want := ws.StatusInternalError
					if where == "OnClose" {
						want = ws.StatusNormalClosure
						p.send(closeFrame(1000, ""))
					} else {
						go p.send(textFrame("x"), textFrame("y"))
					}
					if err := p.expect(sight{opClose, closePayload(uint16(want), "")}); err != nil && !strings.Contains(err.Error(), "internal error") {
						t.Error(err)
					}
					p.Close()
					time.Sleep(time.Minute)
					if len(closed) != 1 {
						t.Fatalf("OnClose was called %d times", len(closed))
					}
					if err := <-closed; ws.CloseStatus(err) != want {
						t.Error(err)
					}
					if n := s.Len(); n != 0 {
						t.Errorf("%d connections are left", n)
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					if err := s.Shutdown(ctx); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// What Shutdown returns when its time is over is the cause of its context, itself.
func TestShutdownCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &ws.Server{}
		p := serveTimed(t, s)()
		if err := p.answered(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCancelled)
		defer cancel()
		if err := s.Shutdown(ctx); err != errCancelled {
			t.Errorf("%T: %v", err, err)
		}
		synctest.Wait()
		if n := s.Len(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

// Shutdown waits for handshakes that are in flight, and for what becomes of them.
func TestShutdownWaitsForHandshakes(t *testing.T) {
	for name, tt := range map[string]struct {
		decide func() error
		opens  bool
	}{
		"accepted": {func() error { return nil }, true},
		"refused":  {func() error { return errors.New("no") }, false},
		"panic":    {func() error { panic(http.ErrAbortHandler) }, false},
		"goexit":   {func() error { runtime.Goexit(); return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				decided := make(chan struct{})
				s := &ws.Server{Options: ws.AcceptOptions{CheckOrigin: func(*http.Request) error {
					<-decided
					return tt.decide()
				}}}
				p := serveTimed(t, s)()
				synctest.Wait()
				ended := make(chan error, 1)
				go func() { ended <- s.Shutdown(context.Background()) }()
				synctest.Wait()
				if len(ended) > 0 {
					t.Error("Shutdown did not wait")
				}
				close(decided)
				if tt.opens {
					if err := p.answered(); err != nil {
						t.Fatal(err)
					}
					if err := p.expect(sight{opClose, closePayload(1001, "")}); err != nil {
						t.Error(err)
					}
					if len(ended) > 0 {
						t.Error("Shutdown did not wait for the answer")
					}
					p.send(closeFrame(1001, ""))
				}
				p.Close()
				select {
				case err := <-ended:
					if err != nil {
						t.Error(err)
					}
				case <-time.After(time.Minute):
					t.Error("Shutdown waits for nobody")
				}
			})
		})
	}
}
