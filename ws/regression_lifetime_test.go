package ws_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"baro.dev/ws"
)

// The tests of this file are about what is kept, lent and given back, and until when.

// timedConn is a Conn over a pipe, with the test as its peer, in a bubble of time.
func timedConn(t *testing.T, client bool, o *ws.AcceptOptions) (*ws.Conn, *peer) {
	t.Helper()
	c, p := bareConn(t, "pipe", client, o)
	p.SetDeadline(time.Time{})
	return c, p
}

// A context that outlives connections does not keep them.
func TestContextKeepsNoConnection(t *testing.T) {
	for name, use := range map[string]func(ctx context.Context, c *ws.Conn, p *peer){
		"closed by the peer while reading": func(ctx context.Context, c *ws.Conn, p *peer) {
			go p.send(closeFrame(1000, ""))
			c.Read(ctx)
		},
		"ended while reading": func(ctx context.Context, c *ws.Conn, _ *peer) {
			go func() { synctest.Wait(); c.CloseNow() }()
			c.Read(ctx)
		},
		"lost while reading": func(ctx context.Context, c *ws.Conn, p *peer) {
			go func() { synctest.Wait(); p.Close() }()
			c.Read(ctx)
		},
		"closed while nobody reads": func(_ context.Context, c *ws.Conn, p *peer) {
			go func() {
				<-p.sights
				p.send(closeFrame(1000, ""))
				p.Close()
			}()
			c.Close(context.Background(), ws.StatusNormalClosure, "")
		},
		"ended while nobody reads": func(_ context.Context, c *ws.Conn, _ *peer) { c.CloseNow() },
		"lost while nobody reads":  func(_ context.Context, _ *ws.Conn, p *peer) { p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				ended := make(chan weak.Pointer[ws.Conn])
				go func() { // whose stack is gone afterwards
					near, far := net.Pipe()
					c, p := ws.NewConn(near, true, "", nil), rawPeer(far, true)
					p.SetDeadline(time.Time{})
					go p.collect()
					go p.send(textFrame("read with the context"))
					if _, err := c.Read(ctx); err != nil {
						t.Error(err)
					}
					use(ctx, c, p)
					p.Close()
					<-c.Done()
					ended <- weak.Make(c)
				}()
				c := <-ended
				time.Sleep(time.Minute) // whatever still looks after it is over
				for range 20 {
					if runtime.GC(); c.Value() == nil {
						return
					}
				}
				t.Error("the connection is still there")
			})
		})
	}
}

// A reader that has not read all of what has come, when the connection is being closed, fails or ends, returns why:
// its bytes were in a buffer that others may have by now.
func TestReaderLosesItsBuffer(t *testing.T) {
	giveUp := func(c *ws.Conn) { // a message that has begun and is not text: the connection fails
		w, err := c.Writer(context.Background(), ws.Text)
		if err == nil {
			w.Write([]byte(strings.Repeat("x", 20_000)))
			w.Write([]byte{0xff})
		}
	}
	for name, end := range map[string]func(c *ws.Conn){
		"closing": func(c *ws.Conn) { c.Close(context.Background(), ws.StatusNormalClosure, "") },
		"failed":  giveUp,
		"ended":   func(c *ws.Conn) { c.CloseNow() },
	} {
		for _, size := range []int{50, 1000, 12_000} {
			both(t, func(t *testing.T, client bool) {
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c, p := timedConn(t, client, nil)
						go p.send(firstFrame(opText, strings.Repeat("a", size)))
						_, r, err := c.Reader(context.Background())
						if err != nil {
							t.Fatal(err)
						}
						if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
							t.Fatal(err)
						}
						go end(c)
						synctest.Wait()
						// Another connection gets the buffer, if it has been given back.
						other, otherPeer := timedConn(t, client, nil)
						go otherPeer.send(firstFrame(opText, strings.Repeat("S", size)))
						if _, _, err := other.Reader(context.Background()); err != nil {
							t.Fatal(err)
						}
						got := make([]byte, size)
						if n, err := r.Read(got); n != 0 || err == nil || err == io.EOF || err != c.Err() {
							t.Errorf("%.20q, %v; the connection ended with %v", got[:n], err, c.Err())
						}
					})
				})
			})
		}
	}
}

// What is lent ends where it ends: appending to it changes nothing of what follows.
func TestAppendToLent(t *testing.T) {
	in := frames(textFrame("first"), pingFrame("p"), firstFrame(opText, "sec"), lastFrame("ond"), textFrame(""), binaryFrame("\x00"), textFrame("last"))
	want := []string{"first", "second", "", "\x00", "last"}
	spoil := func(m ws.Message) { _ = append(m.Data, strings.Repeat("\xff", 40)...) }
	t.Run("Messages", func(t *testing.T) {
		both(t, func(t *testing.T, client bool) {
			c, p := bareConn(t, "tcp", client, nil)
			p.send(in...)
			rest := want
			for m, err := range c.Messages(t.Context()) {
				if err != nil || m.String() != rest[0] {
					t.Fatalf("%q, %v, want %q", m, err, rest[0])
				}
				spoil(m)
				if rest = rest[1:]; len(rest) == 0 {
					break
				}
			}
			if err := p.expect(sawPong("p")); err != nil {
				t.Error(err)
			}
		})
	})
	for _, inline := range []bool{false, true} {
		t.Run("OnMessage", func(t *testing.T) {
			noLeaks(t)
			got := make(chan string, 1)
			closed := make(chan error, 1)
			s := &ws.Server{
				Inline:    inline,
				OnMessage: func(_ *ws.Socket, m ws.Message) { got <- m.String(); spoil(m) },
				OnClose:   func(_ *ws.Socket, err error) { closed <- err },
			}
			defer s.Close()
			l := &chanListener{conns: make(chan net.Conn), done: make(chan struct{})}
			go s.Serve(l)
			p := upgraded(t, l, "")
			defer p.Close()
			p.send(in...)
			for _, text := range want {
				select {
				case m := <-got:
					if m != text {
						t.Errorf("%q, want %q", m, text)
					}
				case err := <-closed:
					t.Fatal(err)
				}
			}
		})
	}
}

// withoutDeadlines is a net.Conn as tunnels have it.
type withoutDeadlines struct{ net.Conn }

func (withoutDeadlines) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (withoutDeadlines) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (withoutDeadlines) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// A net.Conn need not have deadlines: reads return when their context is done all the same, and the connection goes on.
func TestConnWithoutDeadlines(t *testing.T) {
	both(t, func(t *testing.T, client bool) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			nc := withoutDeadlines{near}
			c, p := ws.NewConn(nc, client, "", nil), rawPeer(far, client)
			defer c.CloseNow()
			defer p.Close()
			p.SetDeadline(time.Time{})
			go p.collect()
			if c.UnderlyingConn() != nc || c.RemoteAddr() != near.RemoteAddr() {
				t.Error(c.UnderlyingConn(), c.RemoteAddr())
			}
			for _, size := range []int{1, 100, 30_000} {
				for name, next := range nexts {
					want := pattern('a', size)
					ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCancelled)
					defer cancel()
					if got, err := next(ctx, c); err != errCancelled {
						t.Fatalf("%s: %q, %v", name, got, err)
					}
					go p.send(textFrame(want))
					if got, err := next(t.Context(), c); err != nil || got != want {
						t.Fatalf("%s: %.20q, %v", name, got, err)
					}
				}
			}
			mustWrite(t, c, "hello")
			if err := p.expect(sawText("hello")); err != nil {
				t.Error(err)
			}
		})
	})
}

// Nor need one to dial with: the context and HandshakeTimeout hold.
func TestDialWithoutDeadlines(t *testing.T) {
	for name, answer := range map[string]string{
		"silence":             "",
		"a refusal, half way": "HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\nbecause",
	} {
		for _, timeout := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					near, far := net.Pipe()
					defer far.Close()
					ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errCancelled)
					defer cancel()
					o := &ws.DialOptions{
						Proxy:       noProxy,
						DialContext: func(context.Context, string, string) (net.Conn, error) { return withoutDeadlines{near}, nil },
						Limits:      ws.Limits{HandshakeTimeout: time.Hour},
					}
					if timeout {
						o.Limits.HandshakeTimeout = 2 * time.Second
					}
					go io.Copy(io.Discard, far)
					go io.WriteString(far, answer)
					time.AfterFunc(time.Minute, func() { far.Close() }) // rather than hang
					start := time.Now()
					_, resp, err := ws.Dial(ctx, "ws://server.example.com/", o)
					took := time.Since(start)
					switch refused, ok := errors.AsType[*ws.HandshakeError](err); {
					case answer != "":
						if !ok || refused.Status != http.StatusForbidden || resp == nil || took > time.Second {
							t.Error(err, took)
						}
					case timeout:
						if !errors.Is(err, context.DeadlineExceeded) || took != 2*time.Second {
							t.Error(err, took)
						}
					case !errors.Is(err, errCancelled) || took != 3*time.Second:
						t.Error(err, took)
					}
				})
			})
		}
	}
}

// A peer that is gone is noticed while a message waits to be read; one that answers is not disturbed.
func TestPeerGoneWhileUnread(t *testing.T) {
	o := &ws.AcceptOptions{Keepalive: ws.Keepalive{Interval: 10 * time.Second, Timeout: 5 * time.Second}}
	both(t, func(t *testing.T, client bool) {
		for name, answers := range map[string]bool{"gone": false, "there": true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, p := timedConn(t, client, o)
					go func() {
						for s := range p.sights {
							if s.op == opPing && answers {
								p.send(pongFrame(s.data))
							}
						}
					}()
					go p.send(textFrame("unread"))
					start := time.Now()
					select {
					case <-c.Done():
						if took := time.Since(start); answers || !errors.Is(c.Err(), ws.ErrPeerTimeout) || took > 25*time.Second {
							t.Errorf("%v after %v", c.Err(), took)
						}
					case <-time.After(10 * time.Minute):
						if !answers {
							t.Error("nobody has noticed")
						}
						mustRead(t, c, "unread")
					}
				})
			})
		}
	})
}
