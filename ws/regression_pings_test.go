package ws_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// A deadline of a NetConn that passes just as it is renewed does not hold.
func TestNetConnDeadlineRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := timedConn(t, true, nil)
		go func() {
			for range p.sights {
			}
		}()
		n := ws.NetConn(t.Context(), c, ws.Binary)
		for i := range 2000 {
			n.SetWriteDeadline(time.Now().Add(time.Millisecond))
			time.Sleep(time.Millisecond) // to the very moment
			n.SetWriteDeadline(time.Now().Add(time.Hour))
			synctest.Wait()
			if _, err := n.Write([]byte("x")); err != nil {
				t.Fatalf("write %d: %v", i, err)
			}
		}
	})
}

// Pongs that were asked for are no flood, however many.
func TestManyPings(t *testing.T) {
	answer := func(p *peer) {
		for s := range p.sights {
			if s.op == opPing {
				p.send(pongFrame(s.data))
			}
		}
	}
	both(t, func(t *testing.T, client bool) {
		t.Run("Ping", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // in which no time passes
				c, p := timedConn(t, client, nil)
				go answer(p)
				for i := range 1000 {
					if _, err := c.Ping(t.Context()); err != nil {
						t.Fatal(i, err)
					}
				}
			})
		})
		t.Run("given up", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := timedConn(t, client, nil)
				go answer(p)
				for range 1000 {
					c.Ping(cancelled())
					synctest.Wait()
				}
				if _, err := c.Ping(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
		})
	})
	t.Run("Socket.Ping", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			opened := make(chan *ws.Socket, 1)
			s := &ws.Server{OnOpen: func(c *ws.Socket, _ *http.Request) { opened <- c }}
			p := serveTimed(t, s)()
			if err := p.answered(); err != nil {
				t.Fatal(err)
			}
			go answer(p)
			c := <-opened
			for i := range 1000 {
				if err := c.Ping(); err != nil {
					t.Fatal(i, err)
				}
				synctest.Wait()
			}
			// Answers that were not asked for, or come again, are one.
			go func() {
				for range 300 {
					p.send(pongFrame("\x00\x00\x00\x00\x00\x00\x00\x01"))
				}
			}()
			<-c.Done()
			if ws.CloseStatus(c.Err()) != ws.StatusPolicyViolation {
				t.Error(c.Err())
			}
		})
	})
}

// A ping does not go where there is no room: the queue is bounded, whatever is in it.
func TestPingQueueFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 1000
		near, far := net.Pipe() // and nobody reads
		c := ws.NewConn(near, false, "", &ws.AcceptOptions{Queue: ws.Queue{MaxBytes: most}, Limits: ws.Limits{MaxControlFrames: -1}})
		defer far.Close()
		defer c.CloseNow()
		if err := c.Send(ws.Text, []byte(pattern('a', 960))); err != nil {
			t.Fatal(err)
		}
		full := 0
		for range most {
			if _, err := c.Ping(cancelled()); errors.Is(err, ws.ErrQueueFull) {
				full++
			} else if err != errCancelled {
				t.Fatal(err)
			}
		}
		if n := c.Buffered(); full < most-10 || n > most+20 {
			t.Errorf("the queue was full for %d pings of %d, and has %d bytes of %d", full, most, n, most)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Ping(ctx); !errors.Is(err, ws.ErrQueueFull) {
			t.Error(err)
		}
		// Nor does an answer to the peer's.
		go c.Read(t.Context())
		for range most {
			far.Write(wireBytes(true, pingFrame("0123456789")))
		}
		synctest.Wait()
		if n := c.Buffered(); n > most+20 {
			t.Errorf("the queue has %d bytes of %d", n, most)
		}
		if c.Err() != nil {
			t.Error(c.Err())
		}
	})
}
