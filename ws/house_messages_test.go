package ws_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// Messages are handled in order, one at a time, whatever their sizes, while far more comes than may wait: reading pauses and goes
// on again and again.
func TestBurstsInOrder(t *testing.T) {
	eachHandling(t, func(t *testing.T, inline bool) {
		noLeaks(t)
		const peers, messages = 4, 3000
		sizes := []int{0, 3, 125, 126, 700, 3000, 12_000, 70_000}
		message := func(i int) string { return fmt.Sprint(i, text(sizes[i*i%len(sizes)], byte(i))) }
		h := openHouse(t, &ws.Server{
			Options: ws.AcceptOptions{Limits: unlimited},
			Inline:  inline,
			OnOpen:  func(c *ws.Socket, _ *http.Request) { c.Data = new(atomic.Int64) },
			OnMessage: func(c *ws.Socket, m ws.Message) {
				next := c.Data.(*atomic.Int64)
				i := int(next.Load())
				if m.String() != message(i) {
					t.Errorf("message %d is %.20q of %d bytes, want %.20q", i, m.Data, len(m.Data), message(i))
				}
				if i%500 == 0 {
					time.Sleep(5 * time.Millisecond) // so that much comes to wait
				}
				if !next.CompareAndSwap(int64(i), int64(i+1)) {
					t.Error("two messages of one connection are handled at a time")
				}
				if i%100 == 99 {
					c.Send(ws.Text, fmt.Append(nil, i))
				}
			},
		}, "tcp", false)
		var all sync.WaitGroup
		for range peers {
			p := h.visit(t, "")
			all.Go(func() {
				var b []byte
				for i := range messages {
					b = append(b, wireBytes(true, textFrame(message(i)))...)
					if i%37 == 0 {
						b = append(b, wireBytes(true, pingFrame(fmt.Sprint(i)))...)
					}
					if len(b) > 200_000 || i == messages-1 {
						if err := p.sendBytes(b); err != nil {
							t.Error(err)
							return
						}
						b = b[:0]
					}
				}
			})
			all.Go(func() {
				for i := range messages {
					if i%100 == 99 {
						if err := p.expect(sawText(fmt.Sprint(i))); err != nil {
							t.Error(i, err)
							return
						}
					}
					// RFC 6455 5.5.3: a pong for each ping, in its place.
					if i%37 == 0 {
						if err := p.expect(sawPong(fmt.Sprint(i))); err != nil {
							t.Error(i, err)
							return
						}
					}
				}
			})
		}
		all.Wait()
	})
}

// While a handler is stuck, no more is read than may wait, of whatever kind; when it goes on, all comes in order.
func TestFloodOfAStuckHandler(t *testing.T) {
	for _, tt := range []struct {
		what  string
		frame wireFrame
		flood int64 // bytes, more than may be read and than the kernel takes
	}{
		{"empty messages", textFrame(""), 512 << 10},
		{"short messages", textFrame("short"), 512 << 10},
		{"long messages", binaryFrame(pattern('f', 90_000)), 512 << 10},
		{"very long messages", binaryFrame(pattern('f', 4<<20)), 12 << 20}, // the first of them comes
		{"pings", pingFrame(""), 512 << 10},
	} {
		t.Run(tt.what, func(t *testing.T) {
			noLeaks(t)
			begun, release := make(chan struct{}), make(chan struct{})
			var handled atomic.Int64
			l := listen(t, "tcp")
			narrow(t, l.(*net.TCPListener))
			h := openDoor(t, &ws.Server{
				Options: ws.AcceptOptions{Limits: unlimited, Queue: ws.Queue{Full: ws.Drop}},
				OnMessage: func(c *ws.Socket, m ws.Message) {
					switch m.String() {
					case "begin":
						close(begun)
						<-release
					case "end":
						c.Send(ws.Text, fmt.Append(nil, handled.Load()))
					default:
						handled.Add(1)
					}
				},
			}, l, false)
			p := h.enter(t, "", textFrame("begin"))
			p.Conn.(*net.TCPConn).SetWriteBuffer(64 << 10)
			<-begun
			one := wireBytes(true, tt.frame)
			several := bytes.Repeat(one, max(1, (16<<10)/len(one)))
			var written, times atomic.Int64
			all := make(chan error, 1)
			go func() {
				for written.Load() < tt.flood {
					if err := p.sendBytes(several); err != nil {
						all <- err
						return
					}
					written.Add(int64(len(several)))
					times.Add(int64(len(several) / len(one)))
				}
				all <- p.sendBytes(wireBytes(true, textFrame("end")))
			}()
			stalled(t, &written)
			if n := written.Load(); n >= tt.flood {
				t.Errorf("all of the %d KB were read", n>>10)
			}
			t.Logf("%d KB were read or wait in the kernel", written.Load()>>10)
			close(release)
			go p.collect()
			for s := range p.sights {
				if s.op == opPong {
					continue
				}
				if err := <-all; err != nil {
					t.Error(err)
				}
				want := times.Load()
				if tt.frame.first == fin|opPing {
					want = 0
				}
				if s != sawText(fmt.Sprint(want)) {
					t.Errorf("%v messages were handled, want %d", s, want)
				}
				return
			}
			t.Fatal(p.end)
		})
	}
}

// stalled waits until n does not change any more.
func stalled(t *testing.T, n *atomic.Int64) {
	t.Helper()
	last, since := n.Load(), time.Now()
	for start := since; time.Since(since) < 150*time.Millisecond; time.Sleep(time.Millisecond) {
		if now := n.Load(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(start) > patience {
			t.Fatal("it goes on and on")
		}
	}
}

// A peer that ends its half of the stream behind its messages has them all handled and answered; then comes OnClose.
func TestHalfClosedBehindMessages(t *testing.T) {
	for name, pause := range map[string]time.Duration{"prompt": 0, "slow": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, w way) {
				noLeaks(t)
				const messages = 100
				closed := make(chan error, 1)
				var handled atomic.Int32
				h := openHouse(t, &ws.Server{
					Inline: w.inline,
					OnMessage: func(c *ws.Socket, m ws.Message) {
						time.Sleep(pause)
						handled.Add(1)
						echoBack(c, m)
					},
					OnClose: func(_ *ws.Socket, err error) {
						if n := handled.Load(); n != messages {
							t.Errorf("OnClose after %d messages", n)
						}
						closed <- err
					},
				}, "tcp", w.http)
				p := h.visit(t, "", textFrame("0"))
				for i := range messages - 1 {
					p.send(textFrame(fmt.Sprint(i + 1)))
				}
				p.Conn.(*net.TCPConn).CloseWrite()
				for i := range messages {
					if err := p.expect(sawText(fmt.Sprint(i))); err != nil {
						t.Fatal(err)
					}
				}
				if err := <-closed; ws.CloseStatus(err) != ws.StatusAbnormalClosure || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Error(err)
				}
			})
		})
	}
}

// It may even take its time to read them, while more is sent to it than the kernel takes.
func TestHalfClosedAndSlow(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		noLeaks(t)
		const messages = 30
		long := text(60_000, 7)
		closed, sent := make(chan error, 1), make(chan struct{})
		var handled atomic.Int32
		l := listen(t, "tcp")
		narrow(t, l.(*net.TCPListener))
		h := openDoor(t, &ws.Server{
			Options: ws.AcceptOptions{Queue: ws.Queue{MaxBytes: messages * 60_100}},
			Inline:  w.inline,
			OnMessage: func(c *ws.Socket, m ws.Message) {
				if err := c.Send(ws.Text, append(m.Data, long...)); err != nil {
					t.Error(err)
				}
				if handled.Add(1) == messages {
					close(sent)
				}
			},
			OnClose: func(_ *ws.Socket, err error) { closed <- err },
		}, l, w.http)
		h.narrow = true
		p := h.enter(t, "")
		for i := range messages {
			p.send(textFrame(fmt.Sprint(i, ":")))
		}
		p.Conn.(*net.TCPConn).CloseWrite()
		<-sent
		go p.collect()
		for i := range messages {
			if err := p.expect(sawText(fmt.Sprint(i, ":") + long)); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok := <-p.sights; ok || p.end != io.EOF {
			t.Error(p.end)
		}
		if err := <-closed; ws.CloseStatus(err) != ws.StatusAbnormalClosure || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
}

// The same while CheckOrigin takes its time: what is left of the peer is there afterwards, its end included.
func TestGoneWhileAsked(t *testing.T) {
	for how, leave := range map[string]func(p *peer){
		"half": func(p *peer) { p.Conn.(*net.TCPConn).CloseWrite() },
		"all":  func(p *peer) { p.Close() },
		"reset": func(p *peer) {
			p.Conn.(*net.TCPConn).SetLinger(0)
			p.Close()
		},
	} {
		t.Run(how, func(t *testing.T) {
			noLeaks(t)
			asked, answer := make(chan struct{}), make(chan struct{})
			closed := make(chan error, 1)
			var messages atomic.Int32
			s := &ws.Server{
				OnMessage: func(*ws.Socket, ws.Message) { messages.Add(1) },
				OnClose:   func(_ *ws.Socket, err error) { closed <- err },
			}
			s.Options.CheckOrigin = func(*http.Request) error {
				close(asked)
				<-answer
				return nil
			}
			h := openHouse(t, s, "tcp", false)
			p := h.connect(t)
			p.sendBytes([]byte(with()))
			<-asked
			p.send(textFrame("are you there"))
			leave(p)
			close(answer)
			if how == "half" {
				if err := p.welcomed(); err != nil {
					t.Error(err)
				}
				select {
				case err := <-closed:
					if ws.CloseStatus(err) != ws.StatusAbnormalClosure || messages.Load() != 1 {
						t.Errorf("%v after %d messages", err, messages.Load())
					}
				case <-time.After(5 * time.Second):
					t.Error("the end was not noticed")
				}
			}
			for start := time.Now(); s.Len() > 0; time.Sleep(time.Millisecond) {
				if time.Since(start) > 5*time.Second {
					t.Fatal("it is still there")
				}
			}
		})
	}
}

// What comes compressed counts as what it becomes: little input does not make much wait.
func TestCompressedFloodOfAStuckHandler(t *testing.T) {
	for what, payload := range map[string]string{
		"short":         helloPacked,
		"some kilobyte": deflated(pattern('k', 26) + string(bytes.Repeat([]byte("k"), 5000))),
		"a megabyte":    deflated(string(make([]byte, 1_000_000))),
	} {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			begun, release := make(chan struct{}), make(chan struct{})
			var handled atomic.Int64
			h := openHouse(t, &ws.Server{
				Options: ws.AcceptOptions{Compression: ws.Compression{Enabled: true}},
				OnMessage: func(c *ws.Socket, m ws.Message) {
					switch m.String() {
					case "begin":
						close(begun)
						<-release
					case "end":
						c.Send(ws.Text, fmt.Append(nil, handled.Load()))
					default:
						handled.Add(1)
					}
				},
			}, "tcp", false)
			p := h.connect(t)
			p.sendBytes([]byte(with("Sec-WebSocket-Extensions: " + noTakeover)))
			if err := p.welcomed(); err != nil {
				t.Fatal(err)
			}
			p.send(textFrame("begin"))
			<-begun
			one := wireBytes(true, packedFrame(opBinary, payload))
			times := (40 << 10) / len(one)
			before := inUse()
			p.sendBytes(append(bytes.Repeat(one, times), wireBytes(true, textFrame("end"))...))
			for last, since := allocated(), time.Now(); time.Since(since) < 100*time.Millisecond; time.Sleep(time.Millisecond) {
				if now := allocated(); now > last+100_000 {
					last, since = now, time.Now()
				}
			}
			if held := inUse() - before; held > 8<<20 {
				t.Errorf("%d KB are held for %d KB", held>>10, times*len(one)>>10)
			}
			close(release)
			go p.collect()
			if err := p.expect(sawText(fmt.Sprint(times))); err != nil {
				t.Error(err)
			}
		})
	}
}
