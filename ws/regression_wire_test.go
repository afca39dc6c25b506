package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// What is not compressed is never part of the window, on the sending side as on the receiving one: not control frames, not
// messages that go without while a Writer has the window. Otherwise the peer could not follow.
func TestWindowHoldsMessagesAlone(t *testing.T) {
	text := randomText(700)
	for _, s := range []subject{subjects[0], subjects[3], subjects[5]} {
		for _, agreed := range []string{takeover, smallWindows, tinyWindows} {
			t.Run(s.name+"/"+agreed, func(t *testing.T) {
				did := make(chan error, 1)
				p, err := newStand(t, s, "tcp", options{
					AcceptOptions: ws.AcceptOptions{Compression: compression(agreed)},
					extensions:    agreed,
					opened: func(c sender) {
						var errs []error
						prepared, err := ws.NewPreparedMessage(ws.Text, []byte(text))
						errs = append(errs, err)
						for i := range 10 {
							errs = append(errs, c.Send(ws.Text, []byte(text)), sendPing(c), c.SendPrepared(prepared))
							w, err := c.Writer(context.Background(), ws.Text)
							if err != nil {
								errs = append(errs, err)
								break
							}
							io.WriteString(w, text[:300])
							errs = append(errs, c.Send(ws.Binary, []byte(text[i:])), sendPing(c))
							io.WriteString(w, text[300:])
							errs = append(errs, w.Close(), c.SendPrepared(prepared), c.Send(ws.Text, []byte("short")), c.Send(ws.Binary, nil))
						}
						did <- errors.Join(errs...)
					},
				}).open(t)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				if err := <-did; err != nil {
					t.Fatal(err)
				}
				next := func() sight {
					for {
						if s := <-p.sights; s.op != opPing {
							return s
						}
					}
				}
				for i := range 10 {
					for _, want := range sights(sawText(text), sawText(text), sawText(text), sawBinary(text[i:]), sawText(text), sawText("short"), sawBinary("")) {
						if s := next(); s != want {
							t.Fatalf("%v, want %v; %v", s, want, p.end)
						}
					}
				}
			})
		}
	}
}

// sendPing sends a ping without waiting for the pong.
func sendPing(c sender) error {
	if s, ok := c.(*ws.Socket); ok {
		return s.Ping()
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.(*ws.Conn).Ping(done); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// A read that is cancelled at any byte of a message loses nothing, however it goes on.
func TestReadCancelledAnywhere(t *testing.T) {
	text := "실시간 realtime"
	for name, message := range map[string][]wireFrame{
		"a message":            frames(textFrame(text)),
		"fragments":            frames(firstFrame(opText, text[:4]), pingFrame("p"), nextFrame(""), lastFrame(text[4:])),
		"a compressed message": frames(packedFrame(opText, deflated(text))),
		"compressed fragments": frames(firstFrame(opText, deflated(text)[:5]).with(rsv1), pingFrame("p"), lastFrame(deflated(text)[5:])),
	} {
		packed := strings.Contains(name, "compressed")
		b := wireBytes(false, message...)
		for how, read := range map[string]func(*ws.Conn, context.Context) (string, error){
			"Read": func(c *ws.Conn, ctx context.Context) (string, error) {
				m, err := c.Read(ctx)
				return m.String(), err
			},
			"Messages": func(c *ws.Conn, ctx context.Context) (string, error) {
				for m, err := range c.Messages(ctx) {
					return m.String(), err
				}
				return "", c.Err()
			},
			"Reader": func(c *ws.Conn, ctx context.Context) (string, error) {
				_, r, err := c.Reader(ctx)
				if err != nil {
					return "", err
				}
				all, err := io.ReadAll(r)
				return string(all), err
			},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				for cut := range b {
					synctest.Test(t, func(t *testing.T) {
						c, p := dialed(t, packed)
						p.Write(b[:cut])
						short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
						_, err := read(c, short)
						cancel()
						if !errors.Is(err, context.DeadlineExceeded) {
							t.Fatalf("cut at %d: %v", cut, err)
						}
						go p.Write(append(b[cut:len(b):len(b)], wireBytes(false, textFrame("next"))...))
						got, err := read(c, t.Context())
						if how == "Reader" && got == "next" && err == nil {
							return // the message it had begun to read is discarded
						}
						if err != nil || got != text {
							t.Fatalf("cut at %d: %q, %v", cut, got, err)
						}
						if got, err := read(c, t.Context()); err != nil || got != "next" {
							t.Fatalf("cut at %d, then: %q, %v", cut, got, err)
						}
					})
				}
			})
		}
	}
}

// dialed is a client with the test as its server, over a pipe, in a bubble.
func dialed(t *testing.T, packed bool) (*ws.Conn, *peer) {
	t.Helper()
	agreed := ""
	if packed {
		agreed = "+Sec-WebSocket-Extensions: " + takeover
	}
	p, result := dialTest(t, "ws://x/", ws.DialOptions{Compression: compression(strings.TrimPrefix(agreed, "+Sec-WebSocket-Extensions: "))})
	p.SetDeadline(time.Time{})
	req, err := http.ReadRequest(p.r)
	if err != nil {
		t.Fatal(err)
	}
	answer := response()
	if packed {
		answer = response(agreed)
	}
	fmt.Fprintf(p, answer+"\r\n", acceptFor(req.Header.Get("Sec-WebSocket-Key")))
	r := <-result
	if r.err != nil {
		t.Fatal(r.err)
	}
	go io.Copy(io.Discard, p.Conn)
	t.Cleanup(func() {
		p.Close()
		r.c.CloseNow()
	})
	return r.c, p
}

// A write that is cancelled while it waits for room sends nothing, and the connection goes on.
func TestWriteCancelledSendsNothing(t *testing.T) {
	eachTimed(t, func(t *testing.T, s subject) {
		did := make(chan error, 1)
		p := timedPeer(t, s, options{
			AcceptOptions: ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 1000}},
			opened: func(c sender) {
				err := sendText(pattern('a', 900))(c)
				short, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				if werr := c.Write(short, ws.Text, []byte(pattern('c', 900))); !errors.Is(werr, context.DeadlineExceeded) {
					err = errors.Join(err, fmt.Errorf("the other returned %w", werr))
				}
				did <- err
			},
		}, true)
		if err := <-did; err != nil {
			t.Fatal(err)
		}
		go p.collect()
		if err := p.expect(sawText(pattern('a', 900))); err != nil {
			t.Fatal(err)
		}
		if err := p.echo("next"); err != nil {
			t.Fatal(err)
		}
	})
}

// Group 19: a handler that panics costs its connection, which is told 1011, and no other.
func TestPanicOnTheWire(t *testing.T) {
	for _, inline := range []bool{false, true} {
		for _, where := range []string{"open", "message", "runtime"} {
			t.Run(fmt.Sprint(where, inline), func(t *testing.T) {
				noLeaks(t)
				closed := make(chan error, 2)
				s := &ws.Server{
					Inline: inline,
					OnOpen: func(_ *ws.Socket, r *http.Request) {
						if where == "open" && r.Header.Get("X-Peer") == "bad" {
							panic("in OnOpen")
						}
					},
					OnMessage: func(c *ws.Socket, m ws.Message) {
						switch m.String() {
						case "message":
							panic("in OnMessage")
						case "runtime":
							_ = m.Data[100]
						}
						c.Send(m.Type, m.Data)
					},
					OnClose: func(_ *ws.Socket, err error) { closed <- err },
				}
				defer s.Close()
				l := &chanListener{conns: make(chan net.Conn), done: make(chan struct{})}
				go s.Serve(l)
				good, bad := upgraded(t, l, "good"), upgraded(t, l, "bad")
				defer good.Close()
				bad.send(textFrame(where), textFrame("ignored"), pingFrame("ignored"))
				if err := bad.expectClose(sight{opClose, closePayload(1011, "")}, false); err != nil {
					t.Fatal(err)
				}
				if err := <-closed; ws.CloseStatus(err) != ws.StatusInternalError {
					t.Error(err)
				}
				if _, ok := <-bad.sights; ok || !isEnd(bad.end) {
					t.Error(bad.end)
				}
				bad.Close()
				if err := good.echo("unharmed"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// upgraded is a peer of a server behind l that has done its handshake.
func upgraded(t *testing.T, l *chanListener, name string) *peer {
	t.Helper()
	near, far := connPair(t, "tcp")
	l.conns <- near
	p := rawPeer(far, false)
	p.sendBytes([]byte(with("X-Peer: " + name)))
	if r, err := http.ReadResponse(p.r, nil); err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(r, err)
	}
	go p.collect()
	return p
}

// A message of the wrong type ends a net.Conn with 1003.
func TestUnsupportedDataOnTheWire(t *testing.T) {
	both(t, func(t *testing.T, client bool) {
		c, p := bareConn(t, "tcp", client, nil)
		nc := ws.NetConn(t.Context(), c, ws.Binary)
		p.send(binaryFrame("ab"), textFrame("cd"))
		if got, err := io.ReadAll(nc); string(got) != "ab" || ws.CloseStatus(err) != ws.StatusUnsupportedData {
			t.Errorf("%q, %v", got, err)
		}
		if err := p.expectClose(sight{opClose, closePayload(1003, "")}, false); err != nil {
			t.Error(err)
		}
	})
}

// Shutdown lets what was sent leave, says 1001, and waits for the answers.
func TestShutdownOnTheWire(t *testing.T) {
	noLeaks(t)
	opened := make(chan *ws.Socket, 3)
	s := &ws.Server{OnOpen: func(c *ws.Socket, _ *http.Request) { opened <- c }}
	l := &chanListener{conns: make(chan net.Conn), done: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	var peers []*peer
	for i := range 3 {
		peers = append(peers, upgraded(t, l, fmt.Sprint(i)))
		(<-opened).Send(ws.Text, []byte(pattern('z', 100_000)))
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }()
	for _, p := range peers {
		for _, want := range sights(sawText(pattern('z', 100_000)), sight{opClose, closePayload(1001, "")}) {
			if err := p.expect(want); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range peers {
		select {
		case err := <-ended:
			t.Fatalf("Shutdown did not wait: %v", err)
		default:
		}
		p.send(closeFrame(1001, ""))
		if _, ok := <-p.sights; ok || !isEnd(p.end) {
			t.Error(p.end)
		}
		p.Close()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, ws.ErrServerClosed) {
		t.Error(err)
	}
}
