package engineio_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"baro.dev/engineio"
	"baro.dev/ws"
)

func text(format string, args ...any) engineio.Message {
	return engineio.Message{Data: fmt.Appendf(nil, format, args...)}
}

// What one goroutine sends leaves in that order, and messages of one Send with nothing between them, whatever others send
// by whatever method.
func TestSendOrder(t *testing.T) {
	for _, transport := range []string{"polling", "websocket", "compressed", "upgrade"} {
		t.Run(transport, func(t *testing.T) {
			const senders, rounds = 4, 300
			e := calm()
			e.Options.PerMessageDeflate.Enabled = transport == "compressed"
			e.Options.MaxBuffered = 256 << 20
			s := open(t, e)
			var sid string
			var c *wire
			if transport == "polling" || transport == "upgrade" {
				sid = s.poll(4)
			} else {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				conn, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(s.http.URL, "http")+"/engine.io/?EIO=4&transport=websocket",
					&ws.DialOptions{Compression: ws.Compression{Enabled: transport == "compressed"}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.CloseNow() })
				c = &wire{t, conn}
				sid = parseHello(t, c.text()).SID
			}
			session := e.Session(sid)
			long := bytes.Repeat([]byte("long"), 20<<10)
			var group sync.WaitGroup
			for sender := range senders {
				group.Go(func() {
					for i := range rounds {
						all := []engineio.Message{text("%d %d 0", sender, i), {Binary: true, Data: fmt.Appendf(nil, "%d %d 1", sender, i)}, text("%d %d 2", sender, i)}
						if rand.IntN(10) == 0 {
							all[1].Data = append(all[1].Data, long...)
						}
						var err error
						switch rand.IntN(4) {
						case 0:
							err = session.Send(all...)
						case 1:
							err = session.SendPrepared(engineio.NewPrepared(all...))
						default:
							e.Broadcast([]*engineio.Session{session}, engineio.NewPrepared(all...), false)
						}
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			defer group.Wait()
			next := [senders]int{}
			within, from := 0, 0
			check := func(got string) {
				t.Helper()
				var sender, i, n int
				if k, _ := fmt.Sscanf(got[:min(len(got), 20)], "%d %d %d", &sender, &i, &n); k != 3 || n != within || n > 0 && sender != from || next[sender] != i {
					t.Fatalf("%.20q came; %d of sender %d is due, and %v", got, within, from, next)
				}
				from, within = sender, (within+1)%3
				if within == 0 {
					next[sender]++
				}
			}
			count := 0
			for count < 3*senders*rounds {
				if transport == "upgrade" && c == nil && count > 100 {
					c = s.probe(4, sid)
					c.send("5")
				}
				if c != nil {
					m, err := c.read()
					if err != nil {
						t.Fatal(err)
					}
					data := string(m.Data)
					if m.Type == ws.Text {
						data = data[1:]
					}
					check(data)
					count++
					continue
				}
				a := s.get(4, sid)
				for packet := range strings.SplitSeq(a.body, "\x1e") {
					if packet[0] == 'b' {
						packet = "4" + base64Decode(t, packet[1:])
					}
					check(packet[1:])
					count++
				}
			}
		})
	}
}

// Who does not take what is sent to him is cut off, with a bound on what waits, and the others go on.
func TestBufferFull(t *testing.T) {
	for _, transport := range transports {
		for _, way := range []string{"Send", "Send two", "SendPrepared", "Broadcast", "Send in a handler", "Send inline"} {
			t.Run(transport+" "+way, func(t *testing.T) {
				e := calm()
				e.Options.MaxBuffered = 100_000
				e.Options.Inline = way == "Send inline"
				all := ends(e)
				full := make(chan error, 1)
				send := func(s *engineio.Session) {
					m := engineio.Message{Data: bytes.Repeat([]byte("x"), 5000)}
					small := text("small")
					for range 10_000 {
						var err error
						switch way {
						case "Send two":
							err = s.Send(m, small)
						case "SendPrepared":
							err = s.SendPrepared(engineio.NewPrepared(m))
						case "Broadcast":
							e.Broadcast([]*engineio.Session{s}, engineio.NewPrepared(m), false)
							if e.Session(s.ID()) == nil {
								err = s.Send(m)
							}
						default:
							err = s.Send(m)
						}
						if n := s.Buffered(); n > 110_000 {
							t.Errorf("%d bytes wait", n)
						}
						if err != nil {
							full <- err
							return
						}
					}
					full <- nil
				}
				e.OnMessage = func(s *engineio.Session, _ engineio.Message) { send(s) }
				s := open(t, e)
				write, sid, _ := s.sender(transport)
				session := e.Session(sid)
				if strings.Contains(way, " in") {
					_ = write("4go")
				} else {
					send(session)
				}
				if err := receive(t, "the error", full); !errors.Is(err, engineio.ErrBufferFull) && (way != "Broadcast" || err == nil) {
					t.Error(err)
				}
				err := expectReason(t, all, engineio.TransportError)
				if !errors.Is(err, engineio.ErrBufferFull) {
					t.Error(err)
				}
				if err := session.Send(text("x")); err != engineio.ErrClosed {
					t.Error(err)
				}
			})
		}
	}
}

// Pings of protocol 3 are answered, but not without end for who does not poll.
func TestPingFlood(t *testing.T) {
	e := calm()
	all := ends(e)
	s := open(t, e)
	sid := s.poll(3)
	body := strings.Repeat("1:2", 100_000)
	for range 3 {
		s.post(3, sid, body)
	}
	err := expectReason(t, all, engineio.TransportError)
	if !errors.Is(err, engineio.ErrBufferFull) {
		t.Error(err)
	}
}

// After the end nothing can be sent, by any method, and what is broadcast leaves the session out.
func TestSendAfterEnd(t *testing.T) {
	for _, transport := range transports {
		for name, end := range map[string]func(s *engineio.Session){"Close": (*engineio.Session).Close, "CloseNow": (*engineio.Session).CloseNow} {
			t.Run(transport+" "+name, func(t *testing.T) {
				e := calm()
				s := open(t, e)
				_, sid, c := s.sender(transport)
				session := e.Session(sid)
				_ = session.Send(text("before"))
				end(session)
				p := engineio.NewPrepared(text("after"))
				e.Broadcast([]*engineio.Session{session}, p, false)
				if session.Send(text("after")) != engineio.ErrClosed || session.SendPrepared(p) != engineio.ErrClosed || session.Writable() {
					t.Error("something can be sent")
				}
				switch {
				case name == "CloseNow":
				case transport == "polling":
					s.get(4, sid).expect(t, 200, "4before")
					s.get(4, sid).expect(t, 200, "1") // alone: clients handle it before what came with it
				default:
					c.expect("4before")
					if _, err := c.read(); ws.CloseStatus(err) != ws.StatusNoStatus {
						t.Error(err)
					}
				}
			})
		}
	}
}

// What is volatile goes to who takes it at once, and nowhere else.
func TestVolatile(t *testing.T) {
	e := calm()
	s := open(t, e)
	idle, waiting := s.poll(4), s.poll(4)
	get := s.background(4, waiting)
	c, h := s.connect(4)
	var all []*engineio.Session
	for _, sid := range []string{idle, waiting, h.SID} {
		all = append(all, e.Session(sid))
	}
	for i, want := range []bool{false, true, true} {
		if all[i].Writable() != want {
			t.Errorf("session %d: Writable is %v", i, !want)
		}
	}
	e.Broadcast(all, engineio.NewPrepared(text("volatile"), engineio.Message{Binary: true, Data: []byte("x")}), true)
	e.Broadcast(all, engineio.NewPrepared(text("always")), false)
	receive(t, "the poll", get)
	c.expect("4volatile")
	if m, err := c.read(); err != nil || m.Type != ws.Binary {
		t.Error(m, err)
	}
	c.expect("4always")
	s.get(4, idle).expect(t, 200, "4always")
}

// A broadcast reaches every protocol and transport in its own form.
func TestBroadcastForms(t *testing.T) {
	e := calm()
	s := open(t, e)
	c4, h4 := s.connect(4)
	c3, h3 := s.connect(3)
	p4, p3 := s.poll(4), s.poll(3)
	var all []*engineio.Session
	for _, sid := range []string{h4.SID, h3.SID, p4, p3, h4.SID} {
		all = append(all, e.Session(sid))
	}
	e.Broadcast(all[:4], engineio.NewPrepared(text("€"), engineio.Message{Binary: true, Data: []byte("\x01\x02")}), false)
	c4.expect("4€")
	c3.expect("4€")
	if m, _ := c4.read(); string(m.Data) != "\x01\x02" {
		t.Errorf("%q", m.Data)
	}
	if m, _ := c3.read(); string(m.Data) != "\x04\x01\x02" {
		t.Errorf("%q", m.Data)
	}
	s.get(4, p4).expect(t, 200, "4€\x1ebAQI=")
	s.get(3, p3).expect(t, 200, "\x00\x04\xff4€\x01\x03\xff\x04\x01\x02")
	if all[0].Protocol() != 4 || all[1].Protocol() != 3 || all[0].RemoteAddr().Network() != "tcp" || !strings.HasPrefix(all[2].RemoteAddr().String(), "127.0.0.1:") {
		t.Error("what sessions say of themselves")
	}
	// Text that is none is sent to nobody, nor what comes with it.
	bad := []engineio.Message{text("good"), {Data: []byte{0xff}}}
	if all[0].Send(bad...) == nil || all[0].SendPrepared(engineio.NewPrepared(bad...)) == nil || all[0].Send(bad[1]) == nil {
		t.Error("it was sent")
	}
	e.Broadcast(all[:1], engineio.NewPrepared(bad...), false)
	_ = all[0].Send(text("next"))
	c4.expect("4next")
}

// What one goroutine sends in quick succession leaves in few pieces, and in any case soon.
func TestSendsLeaveSoon(t *testing.T) {
	inBubble(t, calm(), func(b *bubble) {
		sid := b.open("4")
		get := make(chan answer, 1)
		go func() { get <- b.do("GET", "EIO=4&sid="+sid, "") }()
		synctest.Wait()
		_ = b.server.Session(sid).Send(text("a"), text("b"))
		receive(t, "the poll", get).expect(t, 200, "4a\x1e4b")
		b.expectAt("answer", 0, 10*ms, 0)
	})
}

func base64Decode(t *testing.T, s string) string {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
