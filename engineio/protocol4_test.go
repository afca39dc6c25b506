package engineio_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"baro.dev/ws"
)

// The cases of the published suite of Engine.IO protocol 4, by their names there.
func TestProtocol4(t *testing.T) {
	const half = 500 * time.Millisecond // pingInterval and pingTimeout
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *site)
	}{
		{"E4-01 polling: opens a session", func(t *testing.T, s *site) {
			a := s.get(4, "")
			h := parseHello(t, a.body)
			if a.body != `0{"sid":"`+h.SID+`","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}` || len(h.SID) != 20 {
				t.Error(a)
			}
		}},
		{"E4-02 polling: invalid EIO", func(t *testing.T, s *site) {
			for _, q := range []string{"transport=polling", "EIO=abc&transport=polling", "EIO=2&transport=polling", "EIO=5&transport=polling"} {
				s.do("GET", "/engine.io/?"+q, "").expect(t, 400, `{"code":5,"message":"Unsupported protocol version"}`)
			}
		}},
		{"E4-03 polling: invalid transport", func(t *testing.T, s *site) {
			for _, q := range []string{"EIO=4", "EIO=4&transport=abc"} {
				s.do("GET", "/engine.io/?"+q, "").expect(t, 400, `{"code":0,"message":"Transport unknown"}`)
			}
		}},
		{"E4-04 polling: invalid method", func(t *testing.T, s *site) {
			for _, method := range []string{"POST", "PUT"} {
				s.do(method, "/engine.io/?EIO=4&transport=polling", "").expect(t, 400, `{"code":2,"message":"Bad handshake method"}`)
			}
		}},
		{"E4-05 WebSocket: opens a session", func(t *testing.T, s *site) {
			c := s.dial("EIO=4&transport=websocket")
			packet := c.text()
			h := parseHello(t, packet)
			if packet != `0{"sid":"`+h.SID+`","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}` {
				t.Error(packet)
			}
		}},
		{"E4-06 WebSocket: invalid EIO", refusesDial("transport=websocket", "EIO=abc&transport=websocket")},
		{"E4-07 WebSocket: invalid transport", refusesDial("EIO=4", "EIO=4&transport=abc")},
		{"E4-08 polling: one text packet", func(t *testing.T, s *site) {
			sid := s.poll(4)
			s.post(4, sid, "4hello").expect(t, 200, "ok")
			s.get(4, sid).expect(t, 200, "4hello")
		}},
		{"E4-09 polling: several text packets", func(t *testing.T, s *site) {
			sid := s.poll(4)
			s.post(4, sid, "4test1\x1e4test2\x1e4test3").expect(t, 200, "ok")
			s.expectPackets(4, sid, "4test1", "4test2", "4test3")
		}},
		{"E4-10 polling: text and binary packets", func(t *testing.T, s *site) {
			sid := s.poll(4)
			s.post(4, sid, "4hello\x1ebAQIDBA==").expect(t, 200, "ok")
			s.expectPackets(4, sid, "4hello", "bAQIDBA==")
		}},
		{"E4-11 polling: invalid packet format", func(t *testing.T, s *site) {
			sid := s.poll(4)
			if a := s.post(4, sid, "abc"); a.status != 400 {
				t.Error(a)
			}
			s.get(4, sid).expect(t, 400, `{"code":1,"message":"Session ID unknown"}`)
		}},
		{"E4-12 polling: duplicate poll", func(t *testing.T, s *site) {
			sid := s.poll(4)
			first := s.background(4, sid)
			if a := s.get(4, sid); a.status != 400 {
				t.Error(a)
			}
			receive(t, "the first poll", first).expect(t, 200, "1")
			s.get(4, sid).expect(t, 400, `{"code":1,"message":"Session ID unknown"}`)
		}},
		{"E4-13 polling: cancelled poll", func(t *testing.T, s *site) {
			sid := s.poll(4)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			got := make(chan answer, 1)
			go func() { got <- s.doContext(ctx, "GET", s.query(4, sid), nil) }()
			until(t, "a poll", s.server.Session(sid).Writable)
			cancel()
			if a := receive(t, "the poll", got); a.err == nil {
				t.Error(a)
			}
			if a := s.get(4, sid); a.status != 400 {
				t.Error(a)
			}
		}},
		{"E4-14 WebSocket: text packet", func(t *testing.T, s *site) {
			c, _ := s.connect(4)
			c.send("4hello")
			c.expect("4hello")
		}},
		{"E4-15 WebSocket: binary packet", func(t *testing.T, s *site) {
			c, _ := s.connect(4)
			c.echoes(ws.Binary, "\x01\x02\x03\x04")
		}},
		{"E4-16 WebSocket: invalid packet format", func(t *testing.T, s *site) {
			c, _ := s.connect(4)
			c.send("abc")
			c.expectEnd()
		}},
		{"E4-17 polling: ping and pong", func(t *testing.T, _ *site) {
			inBubble(t, echo(), func(b *bubble) {
				query := "EIO=4&sid=" + b.open("4")
				for range 3 {
					b.do("GET", query, "").expect(t, 200, "2")
					b.do("POST", query, "3").expect(t, 200, "ok")
				}
			})
		}},
		{"E4-18 polling: ping timeout", func(t *testing.T, s *site) {
			until(t, "a ping that leaves in time", func() bool { // its answer is awaited from then on
				sid := s.poll(4)
				time.Sleep(half) // the case itself
				a := s.get(4, sid)
				if a.status == 200 && a.body == "2" {
					return false
				}
				a.expect(t, 400, `{"code":1,"message":"Session ID unknown"}`)
				return true
			})
		}},
		{"E4-19 WebSocket: ping and pong", func(t *testing.T, s *site) {
			c, _ := s.connect(4)
			for range 3 {
				c.expect("2")
				c.send("3")
			}
		}},
		{"E4-20 WebSocket: ping timeout", func(t *testing.T, s *site) {
			s.expectTimeout(4, half)
		}},
		{"E4-21 polling: close", func(t *testing.T, s *site) {
			sid := s.poll(4)
			get := s.background(4, sid)
			s.post(4, sid, "1").expect(t, 200, "ok")
			receive(t, "the poll", get).expect(t, 200, "6")
			if a := s.get(4, sid); a.status != 400 {
				t.Error(a)
			}
		}},
		{"E4-22 WebSocket: close", func(t *testing.T, s *site) {
			within(t, "the end", 100*time.Millisecond, func() time.Duration {
				c, _ := s.connect(4)
				c.send("1")
				start := time.Now()
				c.expectEnd()
				return time.Since(start)
			})
		}},
		{"E4-23 upgrade", func(t *testing.T, s *site) { s.upgrade(4, s.poll(4)) }},
		{"E4-24 requests after the upgrade", func(t *testing.T, s *site) {
			sid := s.poll(4)
			c := s.upgrade(4, sid)
			s.get(4, sid).expect(t, 400, `{"code":3,"message":"Bad request"}`)
			s.post(4, sid, "4hello").expect(t, 400, `{"code":3,"message":"Bad request"}`)
			c.echoes(ws.Text, "4hello")
		}},
		{"E4-25 a WebSocket after the upgrade", func(t *testing.T, s *site) {
			sid := s.poll(4)
			c := s.upgrade(4, sid)
			if second, err := s.tryDial("EIO=4&transport=websocket&sid=" + sid); err == nil {
				second.expectEnd()
			}
			c.echoes(ws.Text, "4hello")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, openSuite(t, test.name))
		})
	}
}

// openSuite serves an echo for a case, without looking for leaks: others run beside. Where the heartbeat is not what the case
// is about, it gives the client all the time it needs.
func openSuite(t *testing.T, name string) *site {
	e := echo()
	switch {
	case strings.Contains(name, "opens a session"), strings.Contains(name, "ping timeout"):
	case strings.Contains(name, "ping and pong"):
		e.Options.PingTimeout = patience
	default:
		e = calm()
	}
	return openBeside(t, e)
}

// expectTimeout expects the end of a client over WebSocket that says nothing.
func (s *site) expectTimeout(eio int, after time.Duration) {
	s.t.Helper()
	within(s.t, "the end", after+100*time.Millisecond, func() time.Duration {
		start := time.Now()
		c, _ := s.connect(eio)
		if eio == 4 {
			c.expect("2")
		}
		c.expectEnd()
		took := time.Since(start)
		if took < after-20*time.Millisecond {
			s.t.Errorf("it ended after %v", took)
		}
		return took
	})
}

func refusesDial(queries ...string) func(t *testing.T, s *site) {
	return func(t *testing.T, s *site) {
		for _, q := range queries {
			if _, err := s.tryDial(q); err == nil {
				t.Errorf("%s opened a WebSocket", q)
			}
		}
	}
}

// expectPackets polls until packets have come.
func (s *site) expectPackets(eio int, sid string, packets ...string) {
	s.t.Helper()
	var got []string
	for len(got) < len(packets) {
		a := s.get(eio, sid)
		if a.status != 200 {
			s.t.Fatal(a)
		}
		got = append(got, strings.Split(a.body, "\x1e")...)
	}
	if strings.Join(got, " ") != strings.Join(packets, " ") {
		s.t.Fatalf("%q came, want %q", got, packets)
	}
}

// background polls, and returns when the server knows of it.
func (s *site) background(eio int, sid string) <-chan answer {
	s.t.Helper()
	got := make(chan answer, 1)
	session := s.server.Session(sid)
	if session == nil {
		s.t.Fatal("no session " + sid)
	}
	go func() { got <- s.get(eio, sid) }()
	until(s.t, "a poll", session.Writable)
	return got
}

// echoes sends a message and has it come back.
func (w *wire) echoes(kind ws.MessageType, data string) {
	w.t.Helper()
	if err := w.Write(context.Background(), kind, []byte(data)); err != nil {
		w.t.Fatal(err)
	}
	for {
		m, err := w.read()
		if err == nil && string(m.Data) == "2" { // a ping
			continue
		}
		if err != nil || m.Type != kind || string(m.Data) != data {
			w.t.Fatalf("%v %q, %v came back; want %v %q", m.Type, m.Data, err, kind, data)
		}
		return
	}
}

// upgrade moves a session that nobody polls to WebSocket.
func (s *site) upgrade(eio int, sid string) *wire {
	s.t.Helper()
	c := s.probe(eio, sid)
	c.send("5")
	c.echoes(ws.Text, "4hello")
	return c
}

// probe has a WebSocket be answered a probe.
func (s *site) probe(eio int, sid string) *wire {
	s.t.Helper()
	c := s.dial("EIO=" + string(rune('0'+eio)) + "&transport=websocket&sid=" + sid)
	c.send("2probe")
	c.expect("3probe")
	return c
}
