package ws_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// deafQueue is the bound of what waits for a peer that does not read.
const deafQueue = 100_000

// A deafHouse has a peer that reads nothing, and one that finds everything as ever.
type deafHouse struct {
	*house
	deaf    *peer
	socket  *ws.Socket // of the deaf one
	witness *peer
	closed  chan error // of the deaf one
}

func openDeafHouse(t *testing.T, inline bool, o ws.AcceptOptions) *deafHouse {
	t.Helper()
	noLeaks(t)
	opened, closed := make(chan *ws.Socket, 1), make(chan error, 1)
	o.Queue.MaxBytes = deafQueue
	l := listen(t, "tcp")
	narrow(t, l.(*net.TCPListener))
	h := openDoor(t, &ws.Server{
		Options: o,
		Inline:  inline,
		Loops:   oneLoop(),
		OnOpen: func(c *ws.Socket, r *http.Request) {
			if c.Data = r.Header.Get("X-Peer"); c.Data == "deaf" {
				opened <- c
			}
		},
		OnMessage: echoBack,
		OnClose: func(c *ws.Socket, err error) {
			if c.Data == "deaf" {
				closed <- err
			}
		},
	}, l, false)
	h.narrow = true
	deaf := h.enter(t, "deaf")
	d := &deafHouse{h, deaf, <-opened, h.visit(t, "witness"), closed}
	t.Cleanup(func() {
		if d.witness == nil {
			return
		}
		if err := d.witness.echo("unharmed"); err != nil {
			t.Error("the witness:", err)
		}
	})
	return d
}

// numbered is the message with the number i, of about a kilobyte.
func numbered(i int) string { return fmt.Sprintf("%d %s", i, text(1000, byte(i))) }

// fill sends until there is an error, and returns how many messages were taken.
func (d *deafHouse) fill(t *testing.T) (n int, err error) {
	t.Helper()
	for err == nil {
		switch n % 3 {
		case 0:
			err = d.socket.Send(ws.Text, []byte(numbered(n)))
		case 1:
			m, _ := ws.NewPreparedMessage(ws.Text, []byte(numbered(n)))
			err = d.socket.SendPrepared(m)
		default:
			_ = d.socket.Ping() // is one message less, some day
			err = d.socket.Send(ws.Text, []byte(numbered(n)))
		}
		if b := d.socket.Buffered(); b > deafQueue+100 {
			t.Fatalf("%d bytes are buffered", b)
		}
		if err == nil {
			n++
		}
	}
	return n, err
}

// hear has the deaf peer read, and wants so many messages, all of them, in order.
func (d *deafHouse) hear(t *testing.T, messages int) {
	t.Helper()
	go d.deaf.collect()
	for i := 0; i < messages; {
		s, ok := <-d.deaf.sights
		switch {
		case !ok:
			t.Fatal(d.deaf.end)
		case s.op == opPing:
		case s != sawText(numbered(i)):
			t.Fatalf("%v, want message %d of %d", s, i, messages)
		default:
			i++
		}
	}
}

// With Close, a peer that reads nothing is given up: at once for those who send, and cut when the time for closing is over.
func TestDeafPeerClosed(t *testing.T) {
	eachHandling(t, func(t *testing.T, inline bool) {
		const limit = 200 * time.Millisecond
		d := openDeafHouse(t, inline, ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: limit}})
		_, err := d.fill(t)
		if !errors.Is(err, ws.ErrQueueFull) || ws.CloseStatus(err) != ws.StatusPolicyViolation {
			t.Error(err)
		}
		start := time.Now()
		if err := d.socket.Send(ws.Text, nil); !errors.Is(err, ws.ErrQueueFull) {
			t.Error(err)
		}
		select {
		case err := <-d.closed:
			if !errors.Is(err, ws.ErrQueueFull) {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("it was not cut")
		}
		<-d.socket.Done()
		if took := time.Since(start); took > limit+4*time.Second {
			t.Errorf("it was cut after %v", took)
		}
		if n := d.socket.Buffered(); n != 0 {
			t.Errorf("%d bytes are buffered of what has ended", n)
		}
	})
}

// With Drop, what does not fit is dropped, and nothing else; the queue holds just what has been taken and not been written.
func TestDeafPeerDropped(t *testing.T) {
	eachHandling(t, func(t *testing.T, inline bool) {
		d := openDeafHouse(t, inline, ws.AcceptOptions{Queue: ws.Queue{Full: ws.Drop}})
		taken, err := d.fill(t)
		if err != ws.ErrQueueFull {
			t.Error(err)
		}
		// The kernel may take some more a moment later: then there is room again, and what is sent is not dropped.
		full, later := false, 0
		for dropped, start := 0, time.Now(); dropped < 10 || !full; {
			switch err := d.socket.Send(ws.Binary, make([]byte, 2000)); err {
			case nil:
				later++
			case ws.ErrQueueFull:
				dropped++
				full = full || d.socket.Buffered() >= deafQueue-2100
			default:
				t.Fatal(err)
			}
			if time.Since(start) > patience {
				t.Fatalf("%d bytes are buffered, and there is no room", d.socket.Buffered())
			}
		}
		d.hear(t, taken)
		for start := time.Now(); d.socket.Buffered() > 0; time.Sleep(time.Millisecond) {
			if time.Since(start) > patience {
				t.Fatalf("%d bytes are buffered for a peer that reads", d.socket.Buffered())
			}
		}
		d.deaf.send(textFrame("hears again"))
		for later >= 0 {
			s := <-d.deaf.sights
			switch {
			case s.op == opPing:
			case later == 0 && s != sawText("hears again"), later > 0 && s != sawBinary(string(make([]byte, 2000))):
				t.Fatal(s, later, d.deaf.end)
			default:
				later--
			}
		}
	})
}

// With Block, whoever sends waits: until the peer reads, or there is none any more.
func TestDeafPeerBlocks(t *testing.T) {
	type end struct {
		name string
		end  func(d *deafHouse)
	}
	for _, e := range []end{
		{"hears again", nil},
		{"CloseNow", func(d *deafHouse) { d.socket.CloseNow() }},
		{"Close", func(d *deafHouse) { d.socket.Close(4000, "") }},
		{"Shutdown", func(d *deafHouse) { go d.server.Shutdown(context.Background()) }},
		{"reset", func(d *deafHouse) { d.deaf.Conn.(*net.TCPConn).SetLinger(0); d.deaf.Close() }},
		{"gone", func(*deafHouse) {}},
	} {
		t.Run(e.name, func(t *testing.T) {
			eachHandling(t, func(t *testing.T, inline bool) {
				o := ws.AcceptOptions{Queue: ws.Queue{Full: ws.Block}, Limits: ws.Limits{CloseTimeout: 200 * time.Millisecond}}
				if e.name == "gone" {
					o.Keepalive = ws.Keepalive{Interval: 150 * time.Millisecond, Timeout: 100 * time.Millisecond}
				}
				d := openDeafHouse(t, inline, o)
				const all = 2000 // more than the kernel takes
				var sent atomic.Int64
				sending := make(chan error, 1)
				go func() {
					for i := range all {
						if err := d.socket.Send(ws.Text, []byte(numbered(i))); err != nil {
							sending <- err
							return
						}
						sent.Add(1)
					}
					sending <- nil
				}()
				stalled(t, &sent)
				if sent.Load() == all {
					t.Fatal("everything was sent: it proves nothing")
				}
				if n := d.socket.Buffered(); e.end != nil && e.name != "gone" && n > deafQueue {
					t.Errorf("%d bytes are buffered", n)
				}
				if e.end == nil {
					d.hear(t, all)
					if err := <-sending; err != nil {
						t.Error(err)
					}
					return
				}
				e.end(d)
				select {
				case err := <-sending:
					if err == nil {
						t.Error("sent")
					}
				case <-time.After(patience):
					t.Fatal("Send waits for ever")
				}
				select {
				case err := <-d.closed:
					if e.name == "gone" && !errors.Is(err, ws.ErrPeerTimeout) {
						t.Error(err)
					}
				case <-time.After(patience):
					t.Fatal("it was not cut")
				}
				if e.name == "Shutdown" || e.name == "gone" {
					d.witness = nil // it does not answer either
				}
			})
		})
	}
}

// A peer that sends and sends and never reads what its messages are answered with gets no more than another: with Close it
// is cut, with Drop its answers are, and with Block it is read no more.
func TestDeafPeerSends(t *testing.T) {
	for name, full := range map[string]ws.Policy{"Close": ws.Close, "Drop": ws.Drop, "Block": ws.Block} {
		t.Run(name, func(t *testing.T) {
			eachHandling(t, func(t *testing.T, inline bool) {
				if inline && full == ws.Block {
					return // who promises not to block must not
				}
				d := openDeafHouse(t, inline, ws.AcceptOptions{Queue: ws.Queue{Full: full}, Limits: ws.Limits{CloseTimeout: 200 * time.Millisecond}})
				const all = 6 << 20
				b := wireBytes(true, textFrame(pattern('d', 30_000)))
				var written atomic.Int64
				ended := make(chan error, 1)
				go func() {
					for full == ws.Close || written.Load() < all {
						if _, err := d.deaf.Write(b); err != nil {
							ended <- err
							return
						}
						written.Add(int64(len(b)))
						if n := d.socket.Buffered(); n > deafQueue+40_000 {
							t.Errorf("%d bytes are buffered", n)
						}
					}
					ended <- nil
				}()
				switch full {
				case ws.Close:
					if err := <-d.closed; !errors.Is(err, ws.ErrQueueFull) {
						t.Error(err)
					}
					<-ended
				case ws.Drop:
					if err := <-ended; err != nil {
						t.Error(err)
					}
				case ws.Block:
					stalled(t, &written)
					if n := written.Load(); n >= all {
						t.Errorf("%d bytes were read", n)
					}
					d.deaf.Close()
					<-ended
					if err := <-d.closed; err == nil {
						t.Error(err)
					}
				}
			})
		})
	}
}
