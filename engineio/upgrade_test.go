package engineio_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// While both sides send, the client moves from polling to WebSocket as the official one does: nothing is lost, comes twice or out of
// order.
func TestUpgradeUnderLoad(t *testing.T) {
	const messages = 10_000
	for _, inline := range []bool{false, true} {
		t.Run(fmt.Sprintf("Inline %v", inline), func(t *testing.T) {
			e := calm()
			e.Options.Inline = inline
			came := make(chan string, messages)
			e.OnMessage = func(_ *engineio.Session, m engineio.Message) { came <- string(m.Data) }
			s := open(t, e)
			sid := s.poll(4)
			session := e.Session(sid)

			var group sync.WaitGroup
			defer group.Wait()
			half := make(chan struct{}) // so much has been sent that the upgrade may begin
			group.Go(func() {
				for i := range messages {
					if err := session.Send(engineio.Message{Data: fmt.Append(nil, i)}); err != nil {
						t.Error(i, err)
						return
					}
					if i == messages/4 {
						close(half)
					}
				}
			})
			var got []string // by the client
			polled, stop := make(chan struct{}), make(chan struct{})
			group.Go(func() { // the client's polls
				defer close(polled)
				for {
					a := s.get(4, sid)
					if a.status != 200 {
						t.Error(a)
						return
					}
					for packet := range strings.SplitSeq(a.body, "\x1e") {
						if packet != "6" {
							got = append(got, packet)
						}
					}
					select {
					case <-stop:
						return
					default:
					}
				}
			})
			posted := make(chan int)
			group.Go(func() { // and its POSTs
				sent := 0
				defer func() { posted <- sent }()
				for sent < messages {
					var all []string
					for range 20 {
						all = append(all, fmt.Sprint("4", sent))
						sent++
					}
					if a := s.post(4, sid, strings.Join(all, "\x1e")); a.status != 200 {
						t.Error(a)
						return
					}
					select {
					case <-stop:
						return
					default:
					}
				}
			})
			<-half
			c := s.probe(4, sid)
			close(stop)
			sent := <-posted
			<-polled
			c.send("5")
			group.Go(func() {
				for ; sent < messages; sent++ {
					if err := c.Write(context.Background(), ws.Text, fmt.Append(nil, "4", sent)); err != nil {
						t.Error(err)
						return
					}
				}
			})
			before := len(got)
			for len(got) < messages {
				got = append(got, c.text())
			}
			t.Logf("the client got %d by polling, %d over WebSocket", before, len(got)-before)
			for i, packet := range got {
				if packet != fmt.Sprint("4", i) {
					t.Fatalf("the client got %q, want message %d", packet, i)
				}
			}
			for i := range messages {
				if m := receive(t, "a message", came); m != fmt.Sprint(i) {
					t.Fatalf("the server got %q, want %d", m, i)
				}
			}
			if session.Transport() != engineio.WebSocket {
				t.Error(session.Transport())
			}
		})
	}
}

// An upgrade that fails leaves polling as it was, and nothing behind.
func TestFailedUpgrades(t *testing.T) {
	for _, test := range []struct {
		name string
		fail func(s *site, sid string)
	}{
		{"other packet", func(s *site, sid string) { s.badProbe(sid, "4hello") }},
		{"other ping", func(s *site, sid string) { s.badProbe(sid, "2") }},
		{"longer ping", func(s *site, sid string) { s.badProbe(sid, "2probe2") }},
		{"upgrade without probe", func(s *site, sid string) { s.badProbe(sid, "5") }},
		{"no packet", func(s *site, sid string) { s.badProbe(sid, "abc") }},
		{"nothing in it", func(s *site, sid string) { s.badProbe(sid, "") }},
		{"close packet", func(s *site, sid string) { s.badProbe(sid, "1") }},
		{"probe twice", func(s *site, sid string) { c := s.probe(4, sid); c.send("2probe"); c.expectEnd() }},
		{"other packet after the probe", func(s *site, sid string) { c := s.probe(4, sid); c.send("4hello"); c.expectEnd() }},
		{"binary", func(s *site, sid string) {
			c := s.probe(4, sid)
			_ = c.Write(context.Background(), ws.Binary, []byte("5"))
			c.expectEnd()
		}},
		{"closed at once", func(s *site, sid string) { s.dial("EIO=4&transport=websocket&sid=" + sid).CloseNow() }},
		{"closed after the probe", func(s *site, sid string) { s.probe(4, sid).CloseNow() }},
		{"closed politely", func(s *site, sid string) { _ = s.probe(4, sid).Close(context.Background(), ws.StatusNormalClosure, "") }},
		{"silent", func(s *site, sid string) { s.dial("EIO=4&transport=websocket&sid=" + sid).expectEnd() }},
		{"silent after the probe", func(s *site, sid string) { s.probeUntil(sid).expectEnd() }},
		{"too much", func(s *site, sid string) { s.badProbe(sid, "2"+strings.Repeat("x", 1_000_001)) }},
		{"handshake refused", func(s *site, sid string) {
			c, r := s.raw("GET /engine.io/?EIO=4&transport=websocket&sid=" + sid + " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n")
			defer c.Close()
			if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode/100 != 4 {
				s.t.Errorf("%v, %v", resp, err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := calm()
			if strings.HasPrefix(test.name, "silent") {
				e.Options.UpgradeTimeout = time.Second
			}
			all := ends(e)
			s := open(t, e)
			sid := s.poll(4)
			s.post(4, sid, "4before").expect(t, 200, "ok")
			test.fail(s, sid)
			s.get(4, sid).expect(t, 200, "4before")
			s.post(4, sid, "4after").expect(t, 200, "ok")
			s.get(4, sid).expect(t, 200, "4after")
			// And another may succeed, as soon as the server has seen the end of this one, unless it takes too long again.
			until(t, "another upgrade", func() bool {
				c := s.probeUntil(sid)
				if c.Write(t.Context(), ws.Text, []byte("5")) != nil || c.Write(t.Context(), ws.Text, []byte("4hello")) != nil {
					return false
				}
				m, err := c.read()
				return err == nil && string(m.Data) == "4hello"
			})
			if len(all) > 0 {
				t.Error(<-all)
			}
		})
	}
}

// probeUntil is probe, tried again where another is at work still, or where the answer does not come within UpgradeTimeout.
func (s *site) probeUntil(sid string) (c *wire) {
	s.t.Helper()
	until(s.t, "a probe", func() (ok bool) {
		var err error
		if c, err = s.tryDial("EIO=4&transport=websocket&sid=" + sid); err != nil {
			return false
		}
		if c.Write(context.Background(), ws.Text, []byte("2probe")) != nil {
			return false
		}
		m, err := c.read()
		return err == nil && string(m.Data) == "3probe"
	})
	return c
}

func (s *site) badProbe(sid, packet string) {
	s.t.Helper()
	c := s.dial("EIO=4&transport=websocket&sid=" + sid)
	c.send(packet)
	c.expectEnd()
}

// Only one transport at a time can be probed, and the first goes on.
func TestSecondProbe(t *testing.T) {
	s := open(t, calm())
	sid := s.poll(4)
	c := s.probe(4, sid)
	for range 3 {
		s.dial("EIO=4&transport=websocket&sid=" + sid).expectEnd()
	}
	c.send("5")
	c.echoes(ws.Text, "4hello")
	c.send("5", "2probe") // the first says nothing any more, the second is a heartbeat in the wrong direction
	c.expectEnd()
}

// While a client wants to upgrade, its polls do not wait, and what is sent comes by polling.
func TestNudge(t *testing.T) {
	e := calm()
	s := open(t, e)
	sid := s.poll(4)
	get := s.background(4, sid)
	c := s.probe(4, sid)
	receive(t, "the poll", get).expect(t, 200, "6")
	_ = e.Session(sid).Send(engineio.Message{Data: []byte("x")})
	s.get(4, sid).expect(t, 200, "4x")
	_ = e.Session(sid).Send(engineio.Message{Data: []byte("y")}, engineio.Message{Binary: true, Data: []byte("z")})
	get2 := make(chan answer, 1)
	c.send("5")
	c.expect("4y")
	if m, err := c.read(); err != nil || m.Type != ws.Binary || string(m.Data) != "z" {
		t.Error(m, err)
	}
	go func() { get2 <- s.get(4, sid) }()
	if a := receive(t, "the answer", get2); a.status != 400 {
		t.Error(a)
	}
}

// A poll that still waits when the upgrade comes is ended.
func TestUpgradeWhilePolling(t *testing.T) {
	s := open(t, calm())
	sid := s.poll(4)
	c := s.dial("EIO=4&transport=websocket&sid=" + sid)
	get := s.background(4, sid)
	c.send("2probe", "5")
	c.expect("3probe")
	c.echoes(ws.Text, "4hello")
	receive(t, "the poll", get).expect(t, 200, "6")
}

// The session may end at each step of an upgrade, from either side.
func TestEndDuringUpgrade(t *testing.T) {
	ends1 := map[string]func(s *site, sid string){
		"Close":    func(s *site, sid string) { s.server.Session(sid).Close() },
		"CloseNow": func(s *site, sid string) { s.server.Session(sid).CloseNow() },
		"client":   func(s *site, sid string) { s.post(4, sid, "1").expect(s.t, 200, "ok") },
		"overlap":  func(s *site, sid string) { get := s.background(4, sid); s.get(4, sid); <-get },
	}
	for name, end := range ends1 {
		steps := 3
		if name == "client" || name == "overlap" {
			steps = 2 // they end it by polls, which it has left then
		}
		for step := range steps {
			t.Run(fmt.Sprint(name, step), func(t *testing.T) {
				e := calm()
				all := ends(e)
				s := open(t, e)
				sid := s.poll(4)
				c := s.dial("EIO=4&transport=websocket&sid=" + sid)
				if step > 0 {
					c.send("2probe")
					c.expect("3probe")
				}
				if step > 1 {
					c.send("5")
					c.echoes(ws.Text, "4hello")
				}
				end(s, sid)
				if step < 2 && name != "Close" {
					c.expectEnd()
				}
				if step < 2 && name == "Close" {
					s.get(4, sid).expect(t, 200, "1")
				}
				c.expectEnd()
				receive(t, "OnClose", all)
				if len(all) > 0 {
					t.Error("OnClose twice:", <-all)
				}
			})
		}
	}
}

// A client that sends by POST while it upgrades does not upgrade: there would be two streams without an order.
func TestUpgradeWhilePosting(t *testing.T) {
	e := calm()
	e.Options.Inline = false
	release := make(chan struct{})
	e.OnMessage = func(s *engineio.Session, m engineio.Message) {
		if len(m.Data) > 1000 {
			<-release
		}
		_ = s.Send(m)
	}
	s := open(t, e)
	sid := s.poll(4)
	posted := make(chan answer, 1)
	big := "4" + strings.Repeat("x", 400_000)
	go func() { posted <- s.post(4, sid, big+"\x1e"+big[:300_000]+"\x1e4last") }()
	session := e.Session(sid)
	c := s.probe(4, sid)
	until(t, "the POST waits for its handler", func() bool { return engineio.Crowded(session) })
	c.send("5")
	c.expectEnd()
	if session.Transport() != engineio.Polling {
		t.Error(session.Transport())
	}
	close(release)
	receive(t, "the POST", posted).expect(t, 200, "ok")
	s.expectPackets(4, sid, big, big[:300_000], "4last")
}
