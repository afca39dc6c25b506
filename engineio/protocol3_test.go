package engineio_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"baro.dev/ws"
)

// The cases of the published suite of Engine.IO protocol 3, by their names there.
func TestProtocol3(t *testing.T) {
	const half = 500 * time.Millisecond
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *site)
	}{
		{"E3-01 polling: opens a session", func(t *testing.T, s *site) {
			a := s.get(3, "")
			length, packet, _ := strings.Cut(a.body, ":")
			h := parseHello(t, packet)
			if packet != `0{"sid":"`+h.SID+`","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}` || length != strconv.Itoa(len(packet)) {
				t.Error(a)
			}
		}},
		{"E3-02 polling: invalid transport", func(t *testing.T, s *site) {
			for _, q := range []string{"EIO=3", "EIO=3&transport=abc"} {
				s.do("GET", "/engine.io/?"+q, "").expect(t, 400, `{"code":0,"message":"Transport unknown"}`)
			}
		}},
		{"E3-03 polling: invalid method", func(t *testing.T, s *site) {
			for _, method := range []string{"POST", "PUT"} {
				s.do(method, "/engine.io/?EIO=3&transport=polling", "").expect(t, 400, `{"code":2,"message":"Bad handshake method"}`)
			}
		}},
		{"E3-04 WebSocket: opens a session", func(t *testing.T, s *site) {
			if _, h := s.connect(3); len(h.Upgrades) != 0 || h.PingInterval != 300 {
				t.Error(h)
			}
		}},
		{"E3-05 WebSocket: invalid EIO", refusesDial("EIO=abc&transport=websocket")},
		{"E3-06 WebSocket: invalid transport", refusesDial("EIO=3", "EIO=3&transport=abc")},
		{"E3-07 polling: one text packet", func(t *testing.T, s *site) {
			sid := s.poll(3)
			s.post(3, sid, "6:4hello").expect(t, 200, "ok")
			s.get(3, sid).expect(t, 200, "6:4hello")
		}},
		{"E3-08 polling: several text packets", func(t *testing.T, s *site) {
			sid := s.poll(3)
			s.post(3, sid, "6:4test16:4test26:4test3").expect(t, 200, "ok")
			s.expectText3(sid, "6:4test16:4test26:4test3")
		}},
		{"E3-09 polling: text and binary packets in base64", func(t *testing.T, s *site) {
			sid := s.poll64()
			s.do("POST", s.query(3, sid)+"&b64=1", "6:4hello10:b4AQIDBA==").expect(t, 200, "ok")
			s.expectText3(sid, "6:4hello10:b4AQIDBA==")
		}},
		{"E3-10 polling: text and binary packets", func(t *testing.T, s *site) {
			sid := s.poll(3)
			body := "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04"
			s.post(3, sid, body, "Content-Type", "application/octet-stream").expect(t, 200, "ok")
			until(t, "both packets", func() bool { return s.server.Session(sid).Buffered() >= 9+2*64 })
			a := s.get(3, sid)
			a.expect(t, 200, body)
			if a.header.Get("Content-Type") != "application/octet-stream" {
				t.Error(a.header)
			}
		}},
		{"E3-11 polling: invalid packet format", func(t *testing.T, s *site) {
			sid := s.poll(3)
			if a := s.post(3, sid, "abc"); a.status != 400 {
				t.Error(a)
			}
			s.get(3, sid).expect(t, 400, `{"code":1,"message":"Session ID unknown"}`)
		}},
		{"E3-12 polling: duplicate poll", func(t *testing.T, s *site) {
			sid := s.poll(3)
			first := s.background(3, sid)
			if a := s.get(3, sid); a.status != 400 {
				t.Error(a)
			}
			receive(t, "the first poll", first).expect(t, 200, "1:1")
		}},
		{"E3-13 WebSocket: text packet", func(t *testing.T, s *site) {
			c, _ := s.connect(3)
			c.echoes(ws.Text, "4hello")
		}},
		{"E3-14 WebSocket: binary packet", func(t *testing.T, s *site) {
			c, _ := s.connect(3)
			c.echoes(ws.Binary, "\x04\x01\x02\x03\x04")
		}},
		{"E3-15 WebSocket: invalid packet format", func(t *testing.T, s *site) {
			c, _ := s.connect(3)
			c.send("abc")
			c.expectEnd()
		}},
		{"E3-16 polling: ping and pong", func(t *testing.T, s *site) {
			sid := s.poll(3)
			for range 3 {
				s.post(3, sid, "1:2").expect(t, 200, "ok")
				s.get(3, sid).expect(t, 200, "1:3")
			}
		}},
		{"E3-17 polling: ping timeout", func(t *testing.T, s *site) {
			sid := s.poll(3)
			time.Sleep(half) // the case itself
			s.get(3, sid).expect(t, 400, `{"code":1,"message":"Session ID unknown"}`)
		}},
		{"E3-18 WebSocket: ping and pong", func(t *testing.T, s *site) {
			c, _ := s.connect(3)
			for range 3 {
				c.send("2")
				c.expect("3")
				c.send("2with data")
				c.expect("3with data")
			}
		}},
		{"E3-19 WebSocket: ping timeout", func(t *testing.T, s *site) {
			s.expectTimeout(3, half)
		}},
		{"E3-20 polling: close", func(t *testing.T, s *site) {
			sid := s.poll(3)
			get := s.background(3, sid)
			s.post(3, sid, "1:1").expect(t, 200, "ok")
			receive(t, "the poll", get).expect(t, 200, "1:6")
			if a := s.get(3, sid); a.status != 400 {
				t.Error(a)
			}
		}},
		{"E3-21 WebSocket: close", func(t *testing.T, s *site) {
			c, _ := s.connect(3)
			c.send("1")
			c.expectEnd()
		}},
		{"E3-22 upgrade", func(t *testing.T, s *site) { s.upgrade(3, s.poll(3)) }},
		{"E3-23 requests after the upgrade", func(t *testing.T, s *site) {
			sid := s.poll(3)
			c := s.upgrade(3, sid)
			s.get(3, sid).expect(t, 400, `{"code":3,"message":"Bad request"}`)
			s.post(3, sid, "6:4hello").expect(t, 400, `{"code":3,"message":"Bad request"}`)
			c.echoes(ws.Text, "4hello")
		}},
		{"E3-24 a WebSocket after the upgrade", func(t *testing.T, s *site) {
			sid := s.poll(3)
			c := s.upgrade(3, sid)
			if second, err := s.tryDial("EIO=3&transport=websocket&sid=" + sid); err == nil {
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

// poll64 opens a session of protocol 3 whose client cannot take binary.
func (s *site) poll64() string {
	s.t.Helper()
	a := s.do("GET", "/engine.io/?EIO=3&transport=polling&b64=1", "")
	_, packet, _ := strings.Cut(a.body, ":")
	return parseHello(s.t, packet).SID
}

// expectText3 polls until all packets have come.
func (s *site) expectText3(sid, payload string) {
	s.t.Helper()
	got := ""
	for len(got) < len(payload) {
		a := s.get(3, sid)
		if a.status != 200 {
			s.t.Fatal(a)
		}
		got += a.body
	}
	if got != payload {
		s.t.Fatalf("%q came, want %q", got, payload)
	}
}
