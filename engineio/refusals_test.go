package engineio_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"baro.dev/engineio"
)

// Requests with several things wrong are refused for the first, in the order of the official server.
func TestRefusals(t *testing.T) {
	e := calm()
	e.Options.AllowEIO3 = false
	e.Options.AllowRequest = func(r *http.Request) error {
		if r.URL.Query().Has("deny") {
			return errors.New("nope \"quoted\"")
		}
		return nil
	}
	s := open(t, e)
	sid := s.poll(4)
	const (
		transport = `{"code":0,"message":"Transport unknown"}`
		session   = `{"code":1,"message":"Session ID unknown"}`
		method    = `{"code":2,"message":"Bad handshake method"}`
		bad       = `{"code":3,"message":"Bad request"}`
		forbidden = `{"code":4,"message":"Forbidden"}`
		denied    = `{"code":4,"message":"nope \"quoted\""}`
		version   = `{"code":5,"message":"Unsupported protocol version"}`
	)
	for _, test := range []struct {
		name, method, query string
		status              int
		body                string
		headers             []string
	}{
		{"transport before session", "GET", "EIO=5&transport=x&sid=zzz", 400, transport, nil},
		{"transport before method", "PUT", "EIO=5&transport=x", 400, transport, nil},
		{"transport before origin", "GET", "EIO=4&transport=x", 400, transport, []string{"Origin", "https://elsewhere.example"}},
		{"empty transport", "GET", "EIO=4&transport=", 400, transport, nil},
		{"inherited name", "GET", "EIO=4&transport=__proto__", 400, transport, nil},
		{"constructor", "GET", "EIO=4&transport=constructor", 400, transport, nil},
		{"webtransport by GET", "GET", "EIO=4&transport=webtransport", 400, transport, nil},
		{"case matters", "GET", "EIO=4&transport=Polling", 400, transport, nil},
		{"origin before session", "GET", "EIO=4&transport=polling&sid=zzz", 403, forbidden, []string{"Origin", "https://elsewhere.example"}},
		{"null origin", "GET", "EIO=4&transport=polling", 403, forbidden, []string{"Origin", "null"}},
		{"other port", "GET", "EIO=4&transport=polling", 403, forbidden, []string{"Origin", "http://127.0.0.1:1"}},
		{"session before method", "PUT", "EIO=5&transport=polling&sid=zzz", 400, session, nil},
		{"session before protocol", "GET", "EIO=5&transport=polling&sid=zzz", 400, session, nil},
		{"other transport", "GET", "EIO=5&transport=websocket&sid=" + sid, 400, bad, nil},
		{"other protocol", "GET", "EIO=3&transport=polling&sid=" + sid, 400, bad, nil},
		{"no protocol", "GET", "transport=polling&sid=" + sid, 400, bad, nil},
		{"method before denial", "POST", "EIO=5&transport=polling&deny=1", 400, method, nil},
		{"HEAD", "HEAD", "EIO=4&transport=polling", 400, "", nil},
		{"OPTIONS without CORS", "OPTIONS", "EIO=4&transport=polling", 400, method, nil},
		{"no upgrade before denial", "GET", "EIO=5&transport=websocket&deny=1", 400, bad, nil},
		{"denial before protocol", "GET", "EIO=5&transport=polling&deny=1", 403, denied, nil},
		{"protocol", "GET", "EIO=5&transport=polling", 400, version, nil},
		{"protocol 3", "GET", "EIO=3&transport=polling", 400, version, nil},
		{"PUT to a session", "PUT", "EIO=4&transport=polling&sid=" + sid, 405, "", nil},
		{"DELETE to a session", "DELETE", "EIO=4&transport=polling&sid=" + sid, 405, "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := s.do(test.method, "/engine.io/?"+test.query, "", test.headers...)
			a.expect(t, test.status, test.body)
			if strings.HasPrefix(a.body, "{") && (a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store") {
				t.Error(a.header)
			}
		})
	}
	// AllowRequest is for handshakes only.
	s.do("POST", s.query(4, sid)+"&deny=1", "4x").expect(t, 200, "ok")
}

const handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// A request for a WebSocket is refused with the message alone, and the connection ends: what follows would be frames.
func TestRefusedUpgrades(t *testing.T) {
	e := calm()
	e.Options.AllowRequest = func(r *http.Request) error {
		if r.URL.Query().Has("deny") {
			return errors.New("nope")
		}
		return nil
	}
	s := open(t, e)
	sid := s.poll(4)
	for _, test := range []struct {
		name, query, header string
		status              int
		body                string
	}{
		{"unknown session", "EIO=4&transport=websocket&sid=zzz", handshake, 400, "Session ID unknown"},
		{"unknown transport", "EIO=4&transport=x", handshake, 400, "Transport unknown"},
		{"protocol", "EIO=2&transport=websocket", handshake, 400, "Unsupported protocol version"},
		{"denied", "EIO=4&transport=websocket&deny=1", handshake, 403, "nope"},
		{"origin", "EIO=4&transport=websocket", handshake + "Origin: https://elsewhere.example\r\n", 403, "Forbidden"},
		{"other protocol", "EIO=3&transport=websocket&sid=" + sid, handshake, 400, "Bad request"},
		{"named polling", "EIO=4&transport=polling", handshake, 400, "Bad request"},
		{"named polling, with a session", "EIO=4&transport=polling&sid=" + sid, handshake, 400, "Bad request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, r := s.raw("GET /engine.io/?" + test.query + " HTTP/1.1\r\nHost: " + s.http.Listener.Addr().String() + "\r\n" + test.header +
				"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body := make([]byte, 1000)
			n, _ := resp.Body.Read(body)
			if resp.StatusCode != test.status || string(body[:n]) != test.body || !resp.Close || resp.Header.Get("Content-Type") != "text/html" {
				t.Errorf("%d %q, %v", resp.StatusCode, body[:n], resp.Header)
			}
			expectEOF(t, r)
		})
	}
	s.get(4, "") // polling goes on
	s.post(4, sid, "4x").expect(t, 200, "ok")
	s.get(4, sid).expect(t, 200, "4x")
	if n := s.server.Len(); n != 2 {
		t.Errorf("%d sessions", n)
	}
}

func expectEOF(t *testing.T, r *bufio.Reader) {
	t.Helper()
	if b, err := r.ReadByte(); err == nil {
		t.Errorf("%q follows", b)
	}
}

// A handshake that ws refuses leaves no session.
func TestRefusedHandshake(t *testing.T) {
	e := calm()
	all := ends(e)
	e.OnOpen = func(*engineio.Session, *http.Request) { t.Error("it was opened") }
	s := open(t, e)
	for _, header := range []string{
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
		"Upgrade: websocket\r\n",
	} {
		_, r := s.raw("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + header + "\r\n")
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode/100 != 4 {
			t.Errorf("%v, %v", resp, err)
		}
		until(t, "the session is forgotten", func() bool { return e.Len() == 0 })
	}
	if len(all) > 0 {
		t.Errorf("OnClose for what was not opened: %v", <-all)
	}
}

func TestCORS(t *testing.T) {
	e := calm()
	e.Options.CORS = &engineio.CORS{Origins: []string{"http://a.example"}, Credentials: true}
	s := open(t, e)
	allowed := []string{"Origin", "http://a.example"}
	a := s.get(4, "", allowed...)
	sid := parseHello(t, a.body).SID
	for name, want := range map[string]string{"Access-Control-Allow-Origin": "http://a.example", "Access-Control-Allow-Credentials": "true", "Vary": "Origin"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	a = s.do("OPTIONS", s.query(4, ""), "", "Origin", "http://a.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	a.expect(t, 204, "")
	if a.header.Get("Access-Control-Allow-Methods") != "GET,HEAD,PUT,PATCH,POST,DELETE" || a.header.Get("Access-Control-Allow-Headers") != "content-type" {
		t.Error(a.header)
	}
	a = s.post(4, sid, "4x", allowed...)
	a.expect(t, 200, "ok")
	if a.header.Get("Access-Control-Allow-Origin") != "http://a.example" {
		t.Error(a.header)
	}
	// A refusal can be read by the page, too, and other origins are refused.
	a = s.get(4, "zzz", allowed...)
	if a.status != 400 || a.header.Get("Access-Control-Allow-Origin") != "http://a.example" {
		t.Error(a, a.header)
	}
	for _, origin := range []string{"http://b.example", "http://a.example.evil.example", "null", "http://a.example:81"} {
		if a := s.get(4, sid, "Origin", origin); a.status != 403 || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Error(origin, a, a.header)
		}
	}
	own := s.http.URL
	if a := s.get(4, "", "Origin", own); a.status != 200 {
		t.Error("its own origin is refused:", a)
	}
}

func TestPath(t *testing.T) {
	e := calm()
	e.Options.Path = "/engine.io/"
	s := open(t, e)
	s.poll(4)
	for _, path := range []string{"/engine.io", "/engine.io/x/", "/", "/other/"} {
		if a := s.do("GET", path+"?EIO=4&transport=polling", ""); a.status != 404 {
			t.Error(path, a)
		}
	}
}

func TestTransports(t *testing.T) {
	for _, test := range []struct {
		transports         []string
		no                 bool
		polling, websocket bool
		upgrades           int
	}{
		{nil, false, true, true, 1},
		{[]string{engineio.Polling}, false, true, false, 0},
		{[]string{engineio.WebSocket}, false, false, true, 0},
		{nil, true, true, true, 0},
	} {
		t.Run(fmt.Sprint(test.transports, test.no), func(t *testing.T) {
			e := calm()
			e.Options.Transports, e.Options.NoUpgrades = test.transports, test.no
			s := open(t, e)
			a := s.get(4, "")
			if (a.status == 200) != test.polling {
				t.Error(test, a)
			}
			if a.status == 200 {
				h := parseHello(t, a.body)
				if len(h.Upgrades) != test.upgrades || h.Upgrades == nil {
					t.Errorf("%v: upgrades are %v", test, h.Upgrades)
				}
				if _, err := s.tryDial("EIO=4&transport=websocket&sid=" + h.SID); (err == nil) != (test.upgrades > 0) {
					t.Error(test, err)
				}
			}
			if _, err := s.tryDial("EIO=4&transport=websocket"); (err == nil) != test.websocket {
				t.Error(test, err)
			}
			if _, err := s.tryDial("EIO=4&transport=polling"); err == nil {
				t.Errorf("%v: a WebSocket was opened that was called polling", test)
			}
		})
	}
}

func TestGenerateID(t *testing.T) {
	e := calm()
	e.Options.GenerateID = func(r *http.Request) string { return r.URL.Query().Get("name") }
	s := open(t, e)
	if h := parseHello(t, s.do("GET", s.query(4, "")+"&name=me", "").body); h.SID != "me" {
		t.Error(h)
	}
	for _, name := range []string{"me", ""} {
		if a := s.do("GET", s.query(4, "")+"&name="+name, ""); a.status != 503 {
			t.Errorf("%q: %v", name, a)
		}
		if _, err := s.tryDial("EIO=4&transport=websocket&name=" + name); err == nil {
			t.Errorf("%q opened a WebSocket", name)
		}
	}
	c := s.dial("EIO=4&transport=websocket&name=you")
	if h := parseHello(t, c.text()); h.SID != "you" || e.Len() != 2 || e.Session("you") == nil {
		t.Error(h, e.Len())
	}
}

func TestValidate(t *testing.T) {
	for _, o := range []engineio.Options{
		{PingInterval: -1}, {PingTimeout: -1}, {UpgradeTimeout: -1}, {Transports: []string{}}, {Transports: []string{"carrier pigeon"}},
		{MaxHTTPBufferSize: -1}, {MaxBuffered: -1}, {CORS: &engineio.CORS{Origins: []string{"nonsense"}}},
	} {
		if o.Validate() == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if err := new(engineio.Options).Validate(); err != nil {
		t.Error(err)
	}
}
