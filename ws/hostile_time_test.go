package ws_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// The tests of this file run in a bubble of time of their own, which fails them if a goroutine is left.

// timedPeer is a peer of a subject in a bubble, over a pipe, without a deadline. Unless it is mute, what comes is collected.
func timedPeer(t *testing.T, s subject, o options, mute bool) *peer {
	t.Helper()
	p, err := newStand(t, s, "pipe", o).openMute(t)
	if err != nil {
		t.Fatal(err)
	}
	p.SetDeadline(time.Time{})
	t.Cleanup(func() { p.Close() })
	if !mute {
		go p.collect()
	}
	return p
}

// timedSubjects are those whose time is taken.
var timedSubjects = []subject{subjects[0], subjects[3], subjects[5]}

func eachTimed(t *testing.T, f func(t *testing.T, s subject)) {
	t.Helper()
	for _, s := range timedSubjects {
		t.Run(s.name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, s) }) })
	}
}

// Group 1: who opens a connection and says nothing, or says it a byte a second, is cut off after the time for it.
func TestHostileSlowRequest(t *testing.T) {
	for door, open := range hostileDoors {
		for name, test := range map[string]struct {
			tls   bool
			bytes string
		}{
			"silence":                          {},
			"a byte a second":                  {bytes: request()},
			"headers a byte a second":          {bytes: "GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 1000)},
			"silence for TLS":                  {tls: true},
			"a TLS handshake a byte at a time": {tls: true, bytes: "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("x", 1000)},
		} {
			t.Run(door+"/"+name, func(t *testing.T) {
				config := testTLS().server
				synctest.Test(t, func(t *testing.T) {
					serve, end := open(ws.AcceptOptions{})
					defer end()
					var l net.Listener = &chanListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
					near, far := net.Pipe()
					defer far.Close()
					l.(*chanListener).conns <- near
					if test.tls {
						l = tls.NewListener(l, config.Clone())
					}
					go serve(l)
					start := time.Now()
					var dribble sync.WaitGroup
					dribble.Go(func() {
						for i := range test.bytes {
							if _, err := io.WriteString(far, test.bytes[i:i+1]); err != nil {
								return
							}
							time.Sleep(time.Second)
						}
					})
					io.Copy(io.Discard, far)
					if took := time.Since(start); took > 11*time.Second {
						t.Errorf("it was cut off after %v", took)
					}
					far.Close()
					dribble.Wait()
				})
			})
		}
	}
}

// Groups 1 and 17: a client that does not read the answer to its handshake.
func TestHostileUnreadAnswer(t *testing.T) {
	for door, open := range hostileDoors {
		t.Run(door, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				serve, end := open(ws.AcceptOptions{})
				defer end()
				l := &chanListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
				near, far := net.Pipe()
				defer far.Close()
				l.conns <- near
				go serve(l)
				start := time.Now()
				io.WriteString(far, request()+"\r\n")
				for err := error(nil); err == nil; { // it is closed when nothing is taken any more
					time.Sleep(time.Second)
					_, err = far.Write([]byte{0x81})
				}
				if took := time.Since(start); took > 15*time.Second {
					t.Errorf("it was cut off after %v", took)
				}
			})
		})
	}
}

// Group 1, for clients: a server that is silent, or answers a byte a second, or for ever without an answer.
func TestHostileSlowResponse(t *testing.T) {
	for name, test := range map[string]struct {
		url    string
		unread bool
		piece  string
	}{
		"does not read":            {url: "ws://x/", unread: true},
		"is silent":                {url: "ws://x/"},
		"answers bytewise":         {url: "ws://x/", piece: "H"},
		"answers in lines":         {url: "ws://x/", piece: "HTTP/1.1 101 Switching Protocols\r\n"},
		"is interim":               {url: "ws://x/", piece: "HTTP/1.1 100 Continue\r\n\r\n"},
		"is silent, with TLS":      {url: "wss://example.com/"},
		"shakes hands bytewise":    {url: "wss://example.com/", piece: "\x16"},
		"does not read, with TLS":  {url: "wss://example.com/", unread: true},
		"is silent, with TLS half": {url: "wss://example.com/", piece: "\x16\x03\x03\x40\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			config := testTLS().client
			synctest.Test(t, func(t *testing.T) {
				p, dialed := dialTest(t, test.url, ws.DialOptions{TLS: config.Clone()})
				defer p.Close()
				p.SetDeadline(time.Time{})
				start := time.Now()
				if !test.unread {
					go io.Copy(io.Discard, p.Conn)
				}
				var dribble sync.WaitGroup
				dribble.Go(func() {
					for test.piece != "" {
						time.Sleep(2 * time.Second)
						if _, err := io.WriteString(p.Conn, test.piece); err != nil {
							return
						}
					}
				})
				result := <-dialed
				took := time.Since(start)
				p.Close()
				dribble.Wait()
				if result.err == nil || took > 11*time.Second {
					t.Errorf("after %v: %v", took, result.err)
				}
			})
		})
	}
}

// Group 9: of a message of 1 GB comes a byte a minute, which is no answer to a ping; or a byte every ten seconds, which is no
// message until the time for one is over.
func TestHostileSlowMessage(t *testing.T) {
	for name, test := range map[string]struct{ pause, from, to time.Duration }{
		"a byte a minute":      {time.Minute, 45 * time.Second, time.Minute},
		"a byte in 10 seconds": {10 * time.Second, 10 * time.Minute, 13 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			eachTimed(t, func(t *testing.T, s subject) {
				p := timedPeer(t, s, options{AcceptOptions: ws.AcceptOptions{Limits: ws.Limits{MaxMessageSize: 2 << 30, IdleTimeout: 10 * time.Minute}}}, false)
				start := time.Now()
				for err := p.send(binaryFrame("x").announcing(1 << 30)); err == nil; {
					time.Sleep(test.pause)
					_, err = p.Write([]byte("y"))
				}
				err := <-p.ended
				if took := time.Since(start); took < test.from || took > test.to+test.pause+10*time.Second {
					t.Errorf("it was cut off after %v", took)
				}
				if !errors.Is(err, ws.ErrPeerTimeout) {
					t.Error(err)
				}
			})
		})
	}
}

// Group 11: as many control frames in a second as are allowed, for a minute, and then one more.
func TestHostileControlRate(t *testing.T) {
	eachTimed(t, func(t *testing.T, s subject) {
		p := timedPeer(t, s, options{}, false)
		start := time.Now()
		for range 60 {
			for range 100 {
				p.send(pingFrame("p"), pongFrame(""))
				if err := p.expect(sawPong("p")); err != nil {
					t.Fatal(time.Since(start), err)
				}
			}
			time.Sleep(time.Second)
		}
		if err := p.echo("alive"); err != nil {
			t.Fatal(err)
		}
		go func() {
			for range 201 {
				if p.send(pongFrame("")) != nil {
					return
				}
			}
		}()
		if err := p.expectClose(sight{opClose, closePayload(1008, "")}, false); err != nil {
			t.Fatal(err)
		}
		p.Close()
		if err := <-p.ended; ws.CloseStatus(err) != ws.StatusPolicyViolation {
			t.Error(err)
		}
	})
}

// Group 14: a peer that has failed and reads no close frame, or goes on sending a byte a second, is cut off after the time for
// closing.
func TestHostileUnclosed(t *testing.T) {
	for name, mute := range map[string]bool{"reads nothing": true, "sends for ever": false} {
		t.Run(name, func(t *testing.T) {
			eachTimed(t, func(t *testing.T, s subject) {
				p := timedPeer(t, s, options{}, mute)
				start := time.Now()
				p.send(newFrame(fin|3, ""))
				for err := error(nil); err == nil; {
					time.Sleep(100 * time.Millisecond)
					_, err = p.Write([]byte("x"))
				}
				if took := time.Since(start); took > 6*time.Second {
					t.Errorf("it was cut off after %v", took)
				}
				if err := <-p.ended; ws.CloseStatus(err) != ws.StatusProtocolError {
					t.Error(err)
				}
			})
		})
	}
}

// Group 17: a peer that is gone without a word is noticed, whether or not anybody reads or writes.
func TestHostileVanished(t *testing.T) {
	for name, busy := range map[string]bool{"idle": false, "while there is much to send": true} {
		t.Run(name, func(t *testing.T) {
			eachTimed(t, func(t *testing.T, s subject) {
				start := time.Now()
				p := timedPeer(t, s, options{
					AcceptOptions: ws.AcceptOptions{Queue: ws.Queue{Full: ws.Drop}},
					opened: func(c sender) {
						for range 50 {
							if busy {
								c.Send(ws.Binary, make([]byte, 100_000))
							}
						}
					},
				}, true)
				err := <-p.ended
				if took := time.Since(start); took < 30*time.Second || took > 60*time.Second {
					t.Errorf("it was noticed after %v", took)
				}
				if !errors.Is(err, ws.ErrPeerTimeout) {
					t.Error(err)
				}
			})
		})
	}
}

// The same where nobody reads, neither by a call nor by a handler: the connection looks after itself.
func TestHostileVanishedUnread(t *testing.T) {
	both(t, func(t *testing.T, client bool) {
		synctest.Test(t, func(t *testing.T) {
			c, p := bareConn(t, "pipe", client, nil)
			p.SetDeadline(time.Time{})
			start := time.Now()
			// It answers for five minutes, with nobody reading on this side.
			for time.Since(start) < 5*time.Minute {
				s, ok := <-p.sights
				if !ok || s.op != opPing {
					t.Fatal(s, p.end)
				}
				p.send(pongFrame(s.data))
				p.send(pingFrame("are you there"))
				if err := p.expect(sawPong("are you there")); err != nil {
					t.Fatal(err)
				}
			}
			last := time.Now()
			<-c.Done()
			if took := time.Since(last); took < 30*time.Second || took > 60*time.Second {
				t.Errorf("it was noticed after %v", took)
			}
			if err := c.Err(); !errors.Is(err, ws.ErrPeerTimeout) {
				t.Error(err)
			}
		})
	})
}

// Group 16: what is sent to a peer that reads nothing is bounded, and with the policy Close so is the peer's life.
func TestHostileSlowConsumer(t *testing.T) {
	eachTimed(t, func(t *testing.T, s subject) {
		start := time.Now()
		p := timedPeer(t, s, options{
			AcceptOptions: ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 100_000}},
			opened: func(c sender) {
				for c.Send(ws.Binary, make([]byte, 1000)) == nil {
					if c.Buffered() > 110_000 {
						t.Errorf("%d bytes are buffered", c.Buffered())
						return
					}
				}
			},
		}, true)
		err := <-p.ended
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("it was cut off after %v", took)
		}
		if !errors.Is(err, ws.ErrQueueFull) || ws.CloseStatus(err) != ws.StatusPolicyViolation {
			t.Error(err)
		}
		for err = nil; err == nil; {
			_, err = p.Read(make([]byte, 1<<10))
		}
	})
}

// Serve ends when its listener does, and does not spin on errors that pass (group 18).
func TestHostileAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(ws.Server)
		if err := s.Serve(&failingListener{err: errors.New("gone")}); err == nil || errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		l := &failingListener{err: tooManyFilesError{}, times: 50}
		start := time.Now()
		s.Serve(l)
		if took := time.Since(start); took < 5*time.Second {
			t.Errorf("50 attempts in %v", took)
		}
		s.Close()
	})
}

// failingListener fails with err, and in the end for good.
type failingListener struct {
	err   error
	times int
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.times--; l.times == 0 {
		return nil, errors.New("for good")
	}
	return nil, l.err
}

func (l *failingListener) Close() error   { return nil }
func (l *failingListener) Addr() net.Addr { return &net.TCPAddr{} }

// tooManyFilesError is what Accept says when there are no descriptors left.
type tooManyFilesError struct{}

func (tooManyFilesError) Error() string   { return "too many open files" }
func (tooManyFilesError) Timeout() bool   { return false }
func (tooManyFilesError) Temporary() bool { return true }
