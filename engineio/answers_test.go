package engineio_test

import (
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"baro.dev/engineio"
)

func TestHeaders(t *testing.T) {
	e := calm()
	e.Options.Headers = func(h http.Header, _ *http.Request, initial bool) {
		if initial {
			h.Add("X-Initial", "yes")
		}
		h.Add("X-Any", "yes")
	}
	s := open(t, e)
	expect := func(a answer, contentType, initial string) {
		t.Helper()
		if a.header.Get("Content-Type") != contentType || a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Any") != "yes" || a.header.Get("X-Initial") != initial {
			t.Error(a, a.header)
		}
		if a.header.Get("X-Xss-Protection") != "" {
			t.Error(a.header)
		}
	}
	a := s.get(4, "")
	expect(a, "text/plain; charset=UTF-8", "yes")
	sid := parseHello(t, a.body).SID
	expect(s.post(4, sid, "4x"), "text/html", "")
	expect(s.get(4, sid), "text/plain; charset=UTF-8", "")
	expect(s.post(4, sid, "1"), "text/html", "")
	if a := s.get(4, "", "User-Agent", "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0)"); a.header.Get("X-Xss-Protection") != "0" {
		t.Error(a.header)
	}
	_, r := s.raw("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + handshake + "\r\n")
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("X-Initial") != "yes" || resp.Header.Get("X-Any") != "yes" {
		t.Error(resp, err)
	}
}

func TestCookie(t *testing.T) {
	for _, test := range []struct {
		cookie *http.Cookie
		want   string
	}{
		{nil, ""},
		{&http.Cookie{}, "io=SID; Path=/; HttpOnly; SameSite=Lax"},
		{&http.Cookie{Name: "me", Path: "/x", MaxAge: 60, Secure: true, SameSite: http.SameSiteStrictMode}, "me=SID; Path=/x; Max-Age=60; HttpOnly; Secure; SameSite=Strict"},
	} {
		t.Run(test.want, func(t *testing.T) {
			e := calm()
			e.Options.Cookie = test.cookie
			s := open(t, e)
			a := s.get(4, "")
			sid := parseHello(t, a.body).SID
			if got := a.header.Get("Set-Cookie"); got != strings.Replace(test.want, "SID", sid, 1) {
				t.Errorf("%q, want %q", got, test.want)
			}
			if a := s.post(4, sid, "4x"); a.header.Get("Set-Cookie") != "" {
				t.Error(a.header)
			}
		})
	}
}

// A session of protocol 3 and one of 4 by scripts, both ways.
func TestJSONP(t *testing.T) {
	e := calm()
	e.OnMessage = func(s *engineio.Session, m engineio.Message) {
		m.Data = append([]byte("<\u2028>"), m.Data...)
		_ = s.Send(m)
	}
	s := open(t, e)
	for _, test := range []struct {
		eio          int
		post, answer string
	}{
		{3, "10:4\"x\"\\ny\\\\nz\\", `___eio[5]("13:4\u003c\u2028\u003e\"x\"\ny\\nz\\");`},
		{4, "4\"x\"\\ny\\\\nz\\", `___eio[5]("4\u003c\u2028\u003e\"x\"\ny\\nz\\");`},
	} {
		a := s.do("GET", s.query(test.eio, "")+"&j=5", "")
		if !strings.HasPrefix(a.body, "___eio[5](\"") || !strings.HasSuffix(a.body, "\");") {
			t.Fatal(a)
		}
		_, rest, _ := strings.Cut(a.body, `{\"sid\":\"`)
		sid, _, _ := strings.Cut(rest, `\"`)
		form := url.Values{"d": {test.post}}.Encode()
		s.do("POST", s.query(test.eio, sid)+"&j=6", form, "Content-Type", "application/x-www-form-urlencoded").expect(t, 200, "ok")
		a = s.do("GET", s.query(test.eio, sid)+"&j=7", "")
		a.expect(t, 200, test.answer)
		if got := a.header.Get("Content-Type"); got != "text/javascript; charset=UTF-8" {
			t.Error(got)
		}
		if a := s.do("POST", s.query(test.eio, sid)+"&j=8", "e=4x"); a.status != 400 {
			t.Error(a)
		}
	}
	for _, j := range []string{"", "<script>", "-1", strings.Repeat("1", 4096), "1e3", "0x1"} {
		a := s.do("GET", s.query(4, "")+"&j="+url.QueryEscape(j), "")
		if a.status != 400 || strings.Contains(a.body, "script") {
			t.Errorf("j=%.20q: %v", j, a)
		}
	}
}

// Binary goes to who takes it as it is, and as base64 to others.
func TestBase64(t *testing.T) {
	s := open(t, calm())
	a := s.do("GET", s.query(3, "")+"&b64=1", "")
	_, packet, _ := strings.Cut(a.body, ":")
	sid := parseHello(t, packet).SID
	s.do("POST", s.query(3, sid), "6:b4AQI=").expect(t, 200, "ok")
	s.get(3, sid).expect(t, 200, "6:b4AQI=")
	c := s.dial("EIO=3&transport=websocket&b64=1")
	c.text()
	c.send("b4AQI=")
	c.expect("b4AQI=")
}

func TestInitialPacket(t *testing.T) {
	e := calm()
	e.Options.InitialPacket = "welcome"
	e.OnOpen = func(s *engineio.Session, _ *http.Request) { _ = s.Send(engineio.Message{Data: []byte("second")}) }
	s := open(t, e)
	s.expectPackets(4, s.poll(4), "4welcome", "4second")
	c, _ := s.connect(4)
	c.expect("4welcome")
	c.expect("4second")
}

// What is long enough is compressed for who accepts it, unless nothing in it wants to be.
func TestCompression(t *testing.T) {
	long := strings.Repeat("all work and no play ", 100)
	for _, test := range []struct {
		name, accept, data, coding string
		threshold                  int
		uncompressed               bool
	}{
		{"gzip", "gzip", long, "gzip", 0, false},
		{"deflate", "deflate", long, "deflate", 0, false},
		{"both", "deflate, gzip;q=0.9", long, "", 0, false},
		{"refused", "gzip;q=0", long, "", 0, false},
		{"none", "", long, "", 0, false},
		{"short", "gzip", long[:1000], "", 0, false},
		{"not so short", "gzip", long[:1000], "gzip", 500, false},
		{"never", "gzip", long, "", -1, false},
		{"not wanted", "gzip", long, "", 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := calm()
			e.Options.HTTPCompression = test.threshold
			e.OnMessage = func(s *engineio.Session, _ engineio.Message) {
				_ = s.Send(engineio.Message{Data: []byte(test.data), Uncompressed: test.uncompressed})
			}
			s := open(t, e)
			sid := s.poll(4)
			s.post(4, sid, "4go").expect(t, 200, "ok")
			a := s.get(4, sid, "Accept-Encoding", test.accept)
			coding := a.header.Get("Content-Encoding")
			if test.name != "both" && coding != test.coding || test.name == "both" && coding == "" {
				t.Errorf("coding %q, want %q", coding, test.coding)
			}
			if (coding != "") != strings.Contains(a.header.Get("Vary"), "Accept-Encoding") {
				t.Error(a.header)
			}
			var r io.Reader = strings.NewReader(a.body)
			var err error
			switch coding {
			case "gzip":
				r, err = gzip.NewReader(r)
			case "deflate":
				r, err = zlib.NewReader(r)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != "4"+test.data {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}
