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

// The tests of this file are about what others are at while a connection or a server is being closed, and about what
// must not count against a peer. They run in bubbles of time, which fail them if a goroutine is left.

// Close ends reading: what waits returns, and what is called later returns at once, with the reason. A message that
// was not read whole before is dropped whole.
func TestReadsEndWithClose(t *testing.T) {
	for state, tt := range map[string]struct {
		before []wireFrame
		reads  bool // somebody reads when Close is called
	}{
		"nothing came":          {nil, true},
		"half a message came":   {frames(firstFrame(opText, "abc")), true},
		"half of a long one":    {frames(firstFrame(opText, pattern('a', 70_000))), true},
		"half a message waits":  {frames(firstFrame(opText, "abc")), false},
		"a message waits":       {frames(textFrame("unread")), false},
		"more than one waits":   {frames(textFrame("unread"), textFrame("and"), textFrame("more")), false},
		"a message and a piece": {frames(textFrame("unread"), firstFrame(opText, "abc")), false},
	} {
		for way, next := range nexts {
			t.Run(state+"/"+way, func(t *testing.T) {
				both(t, func(t *testing.T, client bool) {
					synctest.Test(t, func(t *testing.T) {
						c, p := timedConn(t, client, nil)
						type result struct {
							text string
							err  error
						}
						results := make(chan result, 2)
						read := func() {
							text, err := next(context.Background(), c)
							results <- result{text, err}
						}
						if tt.reads {
							go read()
						}
						go p.send(tt.before...)
						time.Sleep(time.Second) // what is read without anybody asking, has been
						closed := make(chan error, 1)
						go func() { closed <- c.Close(context.Background(), ws.StatusNormalClosure, "done") }()
						synctest.Wait()
						if !tt.reads {
							read()
						}
						read()
						for range 2 {
							select {
							case r := <-results:
								whole := way != "Reader" && r.text != ""
								if whole || r.err != c.Err() || !errors.Is(r.err, ws.ErrClosed) {
									t.Errorf("%.20q, %v", r.text, r.err)
								}
							default:
								t.Error("it still waits")
							}
						}
						if err := p.expect(sight{opClose, closePayload(1000, "done")}); err != nil {
							t.Error(err)
						}
						// The rest of it, and others, are nobody's.
						if last := len(tt.before) - 1; last >= 0 && tt.before[last].first&fin == 0 {
							p.send(lastFrame("def"))
						}
						p.send(textFrame("late"), closeFrame(1000, ""))
						p.Close()
						if err := <-closed; err != nil {
							t.Error(err)
						}
						if text, err := next(context.Background(), c); text != "" || !errors.Is(err, ws.ErrClosed) {
							t.Errorf("%q, %v", text, err)
						}
					})
				})
			})
		}
	}
}

// cannotWrite is a stream whose peer does not take anything any more.
type cannotWrite struct{ net.Conn }

func (cannotWrite) Write([]byte) (int, error) { return 0, errCancelled }

// A Close that cannot say so ends reading all the same.
func TestReadsEndWithMuteClose(t *testing.T) {
	for way, next := range nexts {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				c := ws.NewConn(cannotWrite{near}, false, "", nil)
				defer far.Close()
				c.Write(t.Context(), ws.Text, []byte("lost"))
				reads := make(chan error, 2)
				read := func() {
					_, err := next(context.Background(), c)
					reads <- err
				}
				go read()
				synctest.Wait()
				closed := make(chan error, 1)
				go func() { closed <- c.Close(context.Background(), ws.StatusNormalClosure, "") }()
				synctest.Wait()
				go read()
				synctest.Wait()
				if len(reads) != 2 {
					t.Error("a read still waits")
				}
				if err := <-closed; !errors.Is(err, errCancelled) {
					t.Error(err)
				}
				for range 2 {
					if err := <-reads; way != "Messages" && !errors.Is(err, ws.ErrClosed) {
						t.Error(err)
					}
				}
			})
		})
	}
}

// A close frame may come in pieces, with a Read that gives up in between.
func TestCloseFrameInPieces(t *testing.T) {
	both(t, func(t *testing.T, client bool) {
		all := wireBytes(!client, closeFrame(1000, "bye"))
		for cut := 1; cut < len(all); cut++ {
			for _, closing := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					c, p := timedConn(t, client, nil)
					closed := make(chan error, 1)
					if closing {
						go func() { closed <- c.Close(context.Background(), ws.StatusNormalClosure, "bye") }()
						synctest.Wait()
					}
					go p.sendBytes(all[:cut])
					synctest.Wait()
					ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errCancelled)
					defer cancel()
					if _, err := c.Read(ctx); err == nil || !closing && err != errCancelled {
						t.Error(err)
					}
					synctest.Wait()
					go func() {
						p.sendBytes(all[cut:])
						p.Close()
					}()
					if closing {
						if err := <-closed; err != nil {
							t.Errorf("cut at %d: %v", cut, err)
						}
						return
					}
					_, err := c.Read(t.Context())
					if ce, ok := errors.AsType[*ws.CloseError](err); !ok || !ce.Remote || ce.Code != 1000 || ce.Reason != "bye" {
						t.Errorf("cut at %d: %v", cut, err)
					}
				})
			}
		}
	})
}

// Whoever waits for room in the queue returns when closing begins: there will be none for it.
func TestWritersReturnWhenClosing(t *testing.T) {
	prepared, err := ws.NewPreparedMessage(ws.Text, []byte(pattern('c', 900)))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	writers := map[string]func(c *ws.Conn) error{
		"Write":        func(c *ws.Conn) error { return c.Write(ctx, ws.Text, []byte(pattern('b', 900))) },
		"Send":         func(c *ws.Conn) error { return c.Send(ws.Text, []byte(pattern('b', 900))) },
		"SendPrepared": func(c *ws.Conn) error { return c.SendPrepared(prepared) },
		"Writer": func(c *ws.Conn) error {
			w, err := c.Writer(ctx, ws.Text)
			if err != nil {
				return err
			}
			_, err = io.WriteString(w, pattern('d', 20_000))
			return err
		},
	}
	for name, begin := range map[string]func(c *ws.Conn, far net.Conn){
		"Close": func(c *ws.Conn, _ net.Conn) { c.Close(ctx, ws.StatusNormalClosure, "") },
		"the peer closes": func(c *ws.Conn, far net.Conn) {
			go far.Write(wireBytes(true, closeFrame(1000, "")))
			c.Read(ctx)
		},
		"failure": func(c *ws.Conn, far net.Conn) {
			go far.Write(wireBytes(true, textFrame("\xff")))
			c.Read(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe() // and nobody reads
				c := ws.NewConn(near, false, "", &ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 1000, Full: ws.Block}})
				defer far.Close()
				defer c.CloseNow()
				if err := c.Write(ctx, ws.Text, []byte(pattern('a', 900))); err != nil {
					t.Fatal(err)
				}
				returned := make(chan string, 2*len(writers))
				for name, write := range writers {
					for range 2 { // the second Writer waits for the first
						go func() {
							if err := write(c); err == nil || err != c.Err() {
								t.Errorf("%s: %v", name, err)
							}
							returned <- name
						}()
					}
				}
				synctest.Wait()
				if len(returned) > 0 {
					t.Fatalf("%s did not wait", <-returned)
				}
				go begin(c, far)
				synctest.Wait()
				if got := len(returned); got != cap(returned) {
					t.Errorf("%d of %d have returned", got, cap(returned))
				}
			})
		})
	}
}

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
