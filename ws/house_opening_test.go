package ws_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// What a peer sends while OnOpen has not returned waits for it, and so does OnClose.
func TestOpenTakesLong(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		if w.inline && !w.http {
			return // OnOpen is called by the loop
		}
		noLeaks(t)
		begun, release := make(chan struct{}, 3), make(chan struct{})
		var opened atomic.Bool
		closed := make(chan error, 3)
		h := openHouse(t, &ws.Server{
			Inline: w.inline,
			Loops:  oneLoop(),
			OnOpen: func(c *ws.Socket, r *http.Request) {
				if r.Header.Get("X-Peer") == "other" {
					return
				}
				begun <- struct{}{}
				<-release
				opened.Store(true)
				c.Send(ws.Text, []byte("open"))
			},
			OnMessage: func(c *ws.Socket, m ws.Message) {
				if m.String() != "other" && !opened.Load() {
					t.Errorf("%s before OnOpen has returned", m)
				}
				echoBack(c, m)
			},
			OnClose: func(_ *ws.Socket, err error) {
				if !opened.Load() {
					t.Error("OnClose before OnOpen has returned")
				}
				closed <- err
			},
		}, "tcp", w.http)
		long := pattern('o', 300_000)
		chatty := h.visit(t, "chatty", textFrame("early"))
		chatty.send(textFrame("later"), pingFrame("p"), textFrame(long), closeFrame(1000, ""))
		gone := h.visit(t, "gone", textFrame("early"))
		gone.Close()
		reset := h.visit(t, "reset")
		reset.Conn.(*net.TCPConn).SetLinger(0)
		reset.Close()
		for range 3 {
			<-begun
		}
		other := h.visit(t, "other")
		if err := other.echo("other"); err != nil {
			t.Error(err)
		}
		close(release)
		for _, want := range sights(sawText("open"), sawText("early"), sawText("later"), sawPong("p"), sawText(long), sight{opClose, closePayload(1000, "")}) {
			if err := chatty.expect(want); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			select {
			case err := <-closed:
				if ce, ok := errors.AsType[*ws.CloseError](err); !ok || ce.Code != 1000 && ce.Code != 1006 {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Fatal("OnClose was not called")
			}
		}
	})
}

// A connection that ends while OnOpen runs has its OnClose when OnOpen has returned, even if nothing else has kept its event
// loop running meanwhile.
func TestEndsWhileOpening(t *testing.T) {
	for how, end := range map[string]func(s *ws.Server, c *ws.Socket){
		"CloseNow":            func(_ *ws.Server, c *ws.Socket) { c.CloseNow() },
		"Close, never heard":  func(_ *ws.Server, c *ws.Socket) { c.Close(4000, "") },
		"the server's Close":  func(s *ws.Server, _ *ws.Socket) { s.Close() },
		"more than it may be": func(_ *ws.Server, c *ws.Socket) { c.CloseNow(); c.Send(ws.Text, nil) },
	} {
		t.Run(how, func(t *testing.T) {
			eachHandling(t, func(t *testing.T, inline bool) {
				noLeaks(t)
				closed := make(chan error, 2)
				s := &ws.Server{
					Options: ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: 50 * time.Millisecond}},
					Inline:  inline,
					OnClose: func(_ *ws.Socket, err error) { closed <- err },
				}
				s.OnOpen = func(c *ws.Socket, _ *http.Request) {
					end(s, c)
					time.Sleep(150 * time.Millisecond) // what is tested: a loop without connections ends before that
				}
				h := openHouse(t, s, "tcp", true)
				h.visit(t, "")
				select {
				case <-closed:
				case <-time.After(5 * time.Second):
					t.Fatal("OnClose was not called")
				}
				if err := h.server.Shutdown(t.Context()); err != nil || h.server.Len() != 0 || len(closed) > 0 {
					t.Errorf("%v; %d connections are left, OnClose was called %d times more", err, h.server.Len(), len(closed))
				}
			})
		})
	}
}

// OnOpen may send more than the peer takes at once, and close the connection: everything comes, then the close frame.
func TestOpenSendsMuch(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		noLeaks(t)
		const messages = 30
		long := pattern('l', 100_000)
		sent, closed := make(chan struct{}), make(chan error, 1)
		l := listen(t, "tcp")
		narrow(t, l.(*net.TCPListener))
		h := openDoor(t, &ws.Server{
			Options: ws.AcceptOptions{Queue: ws.Queue{MaxBytes: messages * 100_100}},
			Inline:  w.inline,
			OnOpen: func(c *ws.Socket, r *http.Request) {
				defer close(sent)
				for i := range messages {
					if err := c.Send(ws.Text, fmt.Append(nil, i, long)); err != nil {
						t.Error(err)
					}
				}
				if c.Buffered() == 0 {
					t.Error("the peer has taken everything: it proves nothing")
				}
				if err := c.Close(4003, "that is all"); err != nil {
					t.Error(err)
				}
				if err := c.Send(ws.Text, nil); err == nil {
					t.Error("sent after Close")
				}
			},
			OnMessage: func(_ *ws.Socket, m ws.Message) { t.Errorf("%s after Close", m) },
			OnClose:   func(_ *ws.Socket, err error) { closed <- err },
		}, l, w.http)
		h.narrow = true
		p := h.enter(t, "", textFrame("not heard"))
		<-sent
		go p.collect()
		p.send(textFrame("nor this"))
		for i := range messages {
			if err := p.expect(sawText(fmt.Sprint(i, long))); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.expect(sight{opClose, closePayload(4003, "that is all")}); err != nil {
			t.Error(err)
		}
		p.send(closeFrame(4003, ""))
		if err := <-closed; ws.CloseStatus(err) != 4003 || !errors.Is(err, ws.ErrClosed) {
			t.Error(err)
		}
	})
}
