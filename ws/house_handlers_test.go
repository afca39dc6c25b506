package ws_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// A handler that panics or ends its goroutine costs its own connection: 1011, a log with the stack, OnClose once, and
// nothing of it is delivered any more. The rest of its event loop goes on.
func TestHandlersThatFail(t *testing.T) {
	fail := map[string]func(){
		"panic":  func() { panic("on purpose") },
		"goexit": runtime.Goexit,
	}
	for how, f := range fail {
		for _, where := range []string{"OnOpen", "OnMessage", "OnClose"} {
			t.Run(how+" in "+where, func(t *testing.T) {
				eachWay(t, func(t *testing.T, w way) {
					noLeaks(t)
					var log syncBuffer
					closed := make(chan error, 10)
					var delivered atomic.Int32
					at := func(c *ws.Socket, here string) {
						if here == where && c.Data == "bad" {
							f()
						}
					}
					h := openHouse(t, &ws.Server{
						Options: ws.AcceptOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))},
						Inline:  w.inline,
						Loops:   oneLoop(),
						OnOpen: func(c *ws.Socket, r *http.Request) {
							c.Data = r.Header.Get("X-Peer")
							at(c, "OnOpen")
						},
						OnMessage: func(c *ws.Socket, m ws.Message) {
							if c.Data == "bad" {
								delivered.Add(1)
								at(c, "OnMessage")
							}
							echoBack(c, m)
						},
						OnClose: func(c *ws.Socket, err error) { closed <- err; at(c, "OnClose") },
					}, "tcp", w.http)
					witness := h.visit(t, "good")
					bad := h.visit(t, "bad", textFrame("1"), textFrame("2"))
					want, messages := ws.StatusInternalError, int32(1)
					switch where {
					case "OnOpen":
						messages = 0
					case "OnClose":
						want, messages = ws.StatusNormalClosure, 2
						for _, s := range sights(sawText("1"), sawText("2")) {
							if err := bad.expect(s); err != nil {
								t.Fatal(err)
							}
						}
						bad.send(closeFrame(1000, ""))
					}
					if err := bad.expectClose(sight{opClose, closePayload(uint16(want), "")}, false); err != nil {
						t.Error(err)
					}
					bad.Close()
					if err := <-closed; ws.CloseStatus(err) != want {
						t.Errorf("OnClose was told %v", err)
					}
					if n := delivered.Load(); n != messages {
						t.Errorf("%d messages were delivered, want %d", n, messages)
					}
					for i := range 10 {
						if err := witness.echo(fmt.Sprint("unharmed ", i)); err != nil {
							t.Fatal(err)
						}
					}
					witness.Close()
					<-closed
					if err := h.server.Shutdown(t.Context()); err != nil || len(closed) > 0 {
						t.Errorf("%v, and OnClose was called %d times more", err, len(closed))
					}
					// Shutdown has waited for OnClose to return.
					if how == "panic" && (!strings.Contains(log.String(), "on purpose") || !strings.Contains(log.String(), "house_handlers_test.go")) {
						t.Errorf("the log has no stack: %.300s", log.String())
					}
				})
			})
		}
	}
}

// Handlers that take long hold up no other connection, however many they are, and be there one event loop.
func TestHandlersThatTakeLong(t *testing.T) {
	noLeaks(t)
	const stuck = 50
	begun, release := make(chan struct{}, 2*stuck), make(chan struct{})
	wait := func(here string, where any) {
		if here == where {
			begun <- struct{}{}
			<-release
		}
	}
	h := openHouse(t, &ws.Server{
		Loops: oneLoop(),
		OnOpen: func(c *ws.Socket, r *http.Request) {
			c.Data = r.Header.Get("X-Peer")
			wait("OnOpen", c.Data)
		},
		OnMessage: func(c *ws.Socket, m ws.Message) {
			wait("OnMessage", c.Data)
			echoBack(c, m)
		},
		OnClose: func(c *ws.Socket, _ error) { wait("OnClose", c.Data) },
	}, "tcp", false)
	before := h.visit(t, "none")
	var waiting []*peer
	for _, where := range []string{"OnOpen", "OnMessage"} {
		for range stuck {
			waiting = append(waiting, h.visit(t, where, textFrame("1"), pingFrame("2"), textFrame("3")))
		}
	}
	for range stuck {
		h.visit(t, "OnClose", closeFrame(1000, ""))
	}
	for range 3 * stuck {
		<-begun
	}
	after := h.visit(t, "none")
	start := time.Now()
	for i := range 50 {
		for _, p := range []*peer{before, after} {
			if err := p.echo(fmt.Sprint("prompt ", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if took := time.Since(start); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	close(release)
	// Each of the others has its own in order, the answer to its ping where it was asked for.
	for _, p := range waiting {
		for _, s := range sights(sawText("1"), sawPong("2"), sawText("3")) {
			if err := p.expect(s); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A peer that is alive is not taken for dead, nor for idle, while the handler of its message takes long.
func TestAliveWhileHandled(t *testing.T) {
	noLeaks(t)
	for name, o := range map[string]ws.AcceptOptions{
		"keepalive": {Keepalive: ws.Keepalive{Interval: 40 * time.Millisecond, Timeout: 3 * time.Second}},
		"idle":      {Limits: ws.Limits{IdleTimeout: 3 * time.Second}, Keepalive: ws.Keepalive{Interval: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			eachHandling(t, func(t *testing.T, inline bool) {
				t.Parallel() // since each takes its time
				h := openHouse(t, &ws.Server{
					Options: o,
					Inline:  inline,
					Loops:   oneLoop(),
					OnMessage: func(c *ws.Socket, m ws.Message) {
						time.Sleep(5 * time.Second) // what is tested
						echoBack(c, m)
					},
				}, "tcp", false)
				p := h.visit(t, "")
				p.send(textFrame("take your time"))
				for s := range p.sights {
					switch s {
					case sawText("take your time"):
						p.Close()
						return
					default:
						if s.op != opPing {
							t.Fatal(s)
						}
						p.send(pongFrame(s.data))
					}
				}
				t.Fatal(p.end)
			})
		})
	}
}

// OnClose is told of a failure at once, though the peer may take its time to end the stream.
func TestClosedAtOnceAfterAFailure(t *testing.T) {
	for how, fail := range map[string]func(p *peer){
		"a violation": func(p *peer) { p.send(newFrame(fin|3, "")) },
		"a panic":     func(p *peer) { p.send(textFrame("panic")) },
	} {
		t.Run(how, func(t *testing.T) {
			eachWay(t, func(t *testing.T, w way) {
				noLeaks(t)
				closed := make(chan error, 2)
				h := openHouse(t, &ws.Server{
					Options:   ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: patience}},
					Inline:    w.inline,
					OnMessage: func(*ws.Socket, ws.Message) { panic("on purpose") },
					OnClose:   func(_ *ws.Socket, err error) { closed <- err },
				}, "tcp", w.http)
				p := h.visit(t, "")
				fail(p)
				for range p.sights {
				}
				select {
				case <-closed:
				case <-time.After(5 * time.Second):
					t.Fatal("OnClose was not called")
				}
				if n := h.server.Len(); n != 1 {
					t.Errorf("%d connections are left, and the peer is there", n)
				}
				p.Close()
				if err := h.server.Shutdown(t.Context()); err != nil || len(closed) > 0 {
					t.Errorf("%v, and OnClose was called %d times more", err, len(closed))
				}
			})
		})
	}
}
