package ws_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// A connection that has ended sends nothing to the one that has its descriptor now.
func TestDescriptorReused(t *testing.T) {
	eachHandling(t, func(t *testing.T, inline bool) {
		noLeaks(t)
		opened, closed := make(chan *ws.Socket, 1), make(chan error, 1)
		h := openHouse(t, &ws.Server{
			Inline:    inline,
			Loops:     oneLoop(),
			OnOpen:    func(c *ws.Socket, _ *http.Request) { opened <- c },
			OnMessage: echoBack,
			OnClose:   func(_ *ws.Socket, err error) { closed <- err },
		}, "tcp", false)
		prepared, err := ws.NewPreparedMessage(ws.Text, []byte("prepared"))
		if err != nil {
			t.Fatal(err)
		}
		reused := 0
		var old []*ws.Socket
		for i := range 50 {
			// Over the listener's connection nothing else is opened meanwhile: the lowest that is free is what was closed last.
			nc, err := net.Dial("tcp", h.addr.String())
			if err != nil {
				t.Fatal(err)
			}
			p := rawPeer(nc, false)
			p.sendBytes([]byte(with()))
			if err := p.welcomed(); err != nil {
				t.Fatal(err)
			}
			go p.collect()
			c := <-opened
			for _, o := range old {
				if o.Descriptor() == c.Descriptor() {
					reused++
				}
				if o.Send(ws.Text, []byte("stale")) == nil || o.SendPrepared(prepared) == nil || o.Ping() == nil || o.Close(4000, "") == nil {
					t.Error("sent over what has ended")
				}
				o.CloseNow()
				if o.LocalAddr() != nil && ws.OnLoops() {
					t.Error("it has an address")
				}
			}
			if err := p.echo(fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			switch i % 3 {
			case 0:
				p.Close()
			case 1:
				c.CloseNow()
			default:
				c.Close(1000, "")
				if err := p.expect(sight{opClose, closePayload(1000, "")}); err != nil {
					t.Error(err)
				}
				p.send(closeFrame(1000, ""))
			}
			<-closed
			p.Close()
			old = append(old, c)
		}
		if reused == 0 && ws.OnLoops() {
			t.Error("no descriptor was used again: it proves nothing")
		}
	})
}

// While connections come and go and have each other's descriptors, some go on sending over those that have ended. Each peer sees
// what was meant for it, and nothing else.
func TestNoCrossTalk(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		noLeaks(t)
		conns := 200
		if raceEnabled {
			conns = 30
		}
		var recent [64]atomic.Pointer[ws.Socket] // the latest, most of which have ended
		var next atomic.Int64
		tag := func(c *ws.Socket) string { return c.Data.(string) }
		h := openHouse(t, &ws.Server{
			Options: ws.AcceptOptions{Queue: ws.Queue{Full: ws.Drop}},
			Inline:  w.inline,
			OnOpen: func(c *ws.Socket, r *http.Request) {
				c.Data = r.Header.Get("X-Peer")
				recent[next.Add(1)%int64(len(recent))].Store(c)
			},
			OnMessage: func(c *ws.Socket, m ws.Message) {
				if !strings.HasPrefix(m.String(), tag(c)) {
					t.Errorf("%s got %s", tag(c), m)
				}
				c.Send(m.Type, m.Data)
			},
			OnClose: func(c *ws.Socket, err error) {
				// What goes to a wrong descriptor would be a violation, there or at the other end.
				if code := ws.CloseStatus(err); code != 1006 && code != 4000 && !errors.Is(err, ws.ErrClosed) {
					t.Errorf("%s ended: %v", tag(c), err)
				}
			},
		}, "tcp", w.http)
		stop := make(chan struct{})
		var stale, coming sync.WaitGroup
		for range 3 {
			stale.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					c := recent[rand.IntN(len(recent))].Load()
					if c == nil {
						time.Sleep(time.Millisecond)
						continue
					}
					switch i % 8 {
					case 0:
						c.Ping()
					case 1:
						m, _ := ws.NewPreparedMessage(ws.Text, []byte(tag(c)+" prepared"))
						c.SendPrepared(m)
					case 2:
						c.Send(ws.Text, []byte(tag(c)+text(9000, 1)))
					case 3:
						if c.Err() != nil {
							c.Close(4001, "not you")
							c.CloseNow()
						}
					case 4:
						c.LocalAddr()
						c.Buffered()
						time.Sleep(50 * time.Microsecond)
					default:
						c.Send(ws.Text, []byte(tag(c)+" stale"))
					}
				}
			})
		}
		for worker := range 6 {
			coming.Go(func() {
				for i := range conns {
					if err := h.crossTalk(fmt.Sprintf("%d.%d:", worker, i), i); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		coming.Wait()
		close(stop)
		stale.Wait()
	})
}

// crossTalk is one connection, which sends its tag and wants to see nothing else.
func (h *house) crossTalk(tag string, i int) error {
	nc, err := net.Dial("tcp", h.addr.String())
	if err != nil {
		return err
	}
	p := rawPeer(nc, false)
	defer p.Close()
	p.sendBytes([]byte(with("X-Peer: " + tag)))
	if err := p.welcomed(); err != nil {
		return err
	}
	const echoes = 5
	for n := range echoes {
		p.send(textFrame(fmt.Sprint(tag, n)))
	}
	for n := 0; n < echoes; {
		s, err := p.next()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", tag, err)
		case s.op == opPing:
		case !strings.HasPrefix(s.data, tag):
			return fmt.Errorf("%s got %v", tag, s)
		case s == sawText(fmt.Sprint(tag, n)):
			n++
		}
	}
	switch i % 4 {
	case 0:
		nc.(*net.TCPConn).SetLinger(0)
	case 1:
		p.send(closeFrame(4000, ""))
		for {
			s, err := p.next()
			if err != nil {
				return fmt.Errorf("%s: %w", tag, err)
			}
			if s.op == opClose {
				return nil
			}
			if s.op != opPing && !strings.HasPrefix(s.data, tag) {
				return fmt.Errorf("%s got %v", tag, s)
			}
		}
	}
	return nil
}
