package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// Shutdown tells every client, what was sent before coming first, and waits for the handlers.
func TestShutdown(t *testing.T) {
	e := calm()
	all := ends(e)
	s := open(t, e)
	c, h := s.connect(4)
	waiting, idle, upgrading := s.poll(4), s.poll(4), s.poll(4)
	get := s.background(4, waiting)
	probe := s.probe(4, upgrading)
	_ = e.Session(h.SID).Send(text("before"))
	_ = e.Session(idle).Send(text("before"))
	quiet := []*engineio.Session{e.Session(idle), e.Session(upgrading)}
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { done <- e.Shutdown(ctx) }()
	c.expect("4before")
	c.expectEnd()
	receive(t, "the poll that waits", get).expect(t, 200, "1")
	if a := s.get(4, ""); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Error(a)
	}
	if _, err := s.tryDial("EIO=4&transport=websocket"); err == nil {
		t.Error("it opens sessions")
	}
	for _, session := range quiet {
		until(t, "all are told", func() bool { return session.Send() == engineio.ErrClosed })
	}
	if a := s.post(4, idle, "4late"); a.status != 400 {
		t.Error(a)
	}
	select {
	case err := <-done:
		t.Fatal("it did not wait:", err)
	default:
	}
	s.get(4, idle).expect(t, 200, "4before")
	s.get(4, idle).expect(t, 200, "1")
	s.get(4, upgrading).expect(t, 200, "1")
	probe.expectEnd()
	if err := receive(t, "Shutdown", done); err != nil {
		t.Error(err)
	}
	for range 4 {
		expectReason(t, all, engineio.ServerClose)
	}
	if err := e.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// When its context is done, Shutdown cuts what is left.
func TestShutdownTimeout(t *testing.T) {
	e := calm()
	all := ends(e)
	s := open(t, e)
	_ = e.Session(s.poll(4)).Send(text("for the next poll"))
	cause := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(context.Background(), 20*time.Millisecond, cause)
	defer cancel()
	if err := e.Shutdown(ctx); err != cause {
		t.Error(err)
	}
	expectReason(t, all, engineio.ServerClose)
}

// Whenever it comes, while handshakes, polls, POSTs and upgrades are under way, every session ends once, after it was opened.
func TestEndAmidEverything(t *testing.T) {
	for _, way := range []string{"Close", "Shutdown"} {
		for _, inline := range []bool{false, true} {
			t.Run(fmt.Sprint(way, " Inline ", inline), func(t *testing.T) {
				for round := range 12 {
					e := calm()
					e.Options.Inline = inline
					var mu sync.Mutex
					states := map[*engineio.Session]int{}
					e.OnOpen = func(s *engineio.Session, _ *http.Request) {
						mu.Lock()
						defer mu.Unlock()
						if states[s]++; states[s] != 1 {
							t.Error("opened after its end")
						}
					}
					e.OnClose = func(s *engineio.Session, _ *engineio.CloseError) {
						mu.Lock()
						defer mu.Unlock()
						if states[s]++; states[s] != 2 {
							t.Error("OnClose twice, or before OnOpen")
						}
					}
					s := openBeside(t, e)
					stop := make(chan struct{})
					var group sync.WaitGroup
					for range 4 {
						group.Go(func() {
							for {
								select {
								case <-stop:
									return
								default:
								}
								s.busyClient()
							}
						})
					}
					time.Sleep(time.Duration(round) * time.Millisecond) // at some moment or other
					ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
					if way == "Close" {
						e.Close()
					} else {
						_ = e.Shutdown(ctx)
					}
					cancel()
					close(stop)
					group.Wait()
					until(t, "all have ended", func() bool {
						mu.Lock()
						defer mu.Unlock()
						for _, n := range states {
							if n != 2 {
								return false
							}
						}
						return e.Len() == 0
					})
					ctx, cancel = context.WithTimeout(context.Background(), patience)
					if err := e.Shutdown(ctx); err != nil { // nobody is counted any more
						t.Error(err)
					}
					cancel()
				}
			})
		}
	}
}

// busyClient does all that clients do, as far as it gets.
func (s *site) busyClient() {
	a := s.get(4, "")
	if a.status != 200 {
		return
	}
	var h hello
	if h = parseHello(s.t, a.body); h.SID == "" {
		return
	}
	got := make(chan answer, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { got <- s.doContext(ctx, "GET", s.query(4, h.SID), nil) }()
	s.post(4, h.SID, "4x\x1e4y")
	if c, err := s.tryDial("EIO=4&transport=websocket&sid=" + h.SID); err == nil {
		_ = c.Write(ctx, ws.Text, []byte("2probe"))
		if _, err := c.read(); err == nil {
			_ = c.Write(ctx, ws.Text, []byte("5"))
			_ = c.Write(ctx, ws.Text, []byte("4z"))
		}
		c.CloseNow()
	}
	if c, err := s.tryDial("EIO=4&transport=websocket"); err == nil {
		c.CloseNow()
	}
	cancel()
	<-got
}
