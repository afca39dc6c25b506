package ws_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"baro.dev/ws"
)

// A badRequest is what a hostile client opens a connection with, of groups 2 to 7.
type badRequest struct {
	item   string
	o      ws.AcceptOptions
	raw    string
	status []int // any of them; 0 for no answer at all
}

// with is a good request with more lines.
func with(lines ...string) string {
	for i := range lines {
		lines[i] = "+" + lines[i]
	}
	return request(lines...) + "\r\n"
}

func badRequests() []badRequest {
	on := ws.AcceptOptions{Compression: ws.Compression{Enabled: true}, Subprotocols: []string{"chat"}}
	var many, bomb strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, "X-%d: 1\r\n", i)
	}
	for i := range 60_000 {
		fmt.Fprintf(&bomb, "X-%d: 1\r\n", i)
	}
	const mb = 1 << 20
	var all []badRequest
	add := func(item, raw string, status ...int) {
		all = append(all, badRequest{item: item, o: on, raw: raw, status: status})
	}
	add("2 2000 headers", request()+many.String()+"\r\n", 101, 431)
	add("2 60000 headers", request()+bomb.String()+"\r\n", 431)
	add("2 one header of 1 MB", with("X: "+strings.Repeat("x", mb)), 431)
	add("2 a header name of 1 MB", with(strings.Repeat("x", mb)+": x"), 431)
	add("2 a resource of 1 MB", request("GET /"+strings.Repeat("x", mb)+" HTTP/1.1")+"\r\n", 431)
	add("2 a header that never ends", request()+strings.Repeat("X: y\r\n", mb/5), 431)
	add("2 a folded header", with("X: a\r\n b"), 101, 400)
	add("2 a folded Upgrade", request("Upgrade: web\r\n socket")+"\r\n", 426, 400)
	add("2 a folded key", request("Sec-WebSocket-Key: dGhlIHNhbXBs\r\n ZSBub25jZQ==")+"\r\n", 400)
	add("2 a space before the colon", with("X : y"), 400)
	add("2 a space before the colon of Upgrade", request("-Upgrade", "+Upgrade : websocket")+"\r\n", 400)
	add("2 a header without a name", with(": x"), 400)
	add("2 a line without a colon", with("x"), 400)
	add("2 NUL in a header", with("X: a\x00b"), 400)
	add("2 two hosts", with("Host: other"), 400)
	add("2 two keys", with("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400)
	add("2 two versions", with("Sec-WebSocket-Version: 13"), 426)
	add("2 two upgrades", with("Upgrade: websocket"), 400)
	for _, key := range []string{"", "AAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA=", strings.Repeat("A", 10_000), "\xff\xfe", testKey + ", " + testKey, "dGhlIHNhbXBsZSBub25jZQ= ="} {
		add(fmt.Sprintf("3 key %.30q", key), request("Sec-WebSocket-Key: "+key)+"\r\n", 400)
	}
	for _, version := range []string{"8", "12", "14", "13, 8", "8, 13", "", "013", "13.0", "+13", "-13", "99999999999999999999"} {
		add("3 version "+version, request("Sec-WebSocket-Version: "+version)+"\r\n", 426)
	}
	add("4 POST", request("POST / HTTP/1.1")+"\r\n", 405)
	add("4 CONNECT", "CONNECT server.example.com:80 HTTP/1.1\r\n"+strings.SplitN(request(), "\r\n", 2)[1]+"\r\n", 405)
	add("4 HTTP/1.0", request("GET / HTTP/1.0")+"\r\n", 400)
	add("4 HTTP/0.9", "GET /\r\n\r\n", 400)
	add("4 HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 400, 405, 505, 0)
	add("4 HTTP/3.0 in words", request("GET / HTTP/3.0")+"\r\n", 505, 400)
	add("4 a body", with("Content-Length: 5")+"hello", 400)
	add("4 a body that does not come", with("Content-Length: 1000000000"), 400)
	add("4 Upgrade: h2c", request("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "+HTTP2-Settings: AAMAAABkAAQAAP__")+"\r\n", 426)
	add("4 a TLS handshake", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"+strings.Repeat("\x00", 200)+"\r\n\r\n", 400)
	add("4 no HTTP at all", randomBytes(5000)+"\r\n\r\n", 400, 431)

	ext := func(item, value string, status ...int) {
		add("5 "+item, with("Sec-WebSocket-Extensions: "+value), status...)
	}
	ext("escapes without end", "permessage-deflate; x=\""+strings.Repeat(`\c`, 2000), 400, 431)
	ext("more escapes without end", "permessage-deflate; x=\""+strings.Repeat(`\c`, 30_000), 431)
	ext("60 KB of spaces", "permessage-deflate;"+strings.Repeat(" ", 60<<10)+"x", 431)
	ext("10000 offers", strings.Repeat("a,", 10_000), 431)
	ext("10000 parameters", "a"+strings.Repeat(";b", 10_000), 431)
	ext("10000 empty items", strings.Repeat(",", 3000), 400)
	ext("duplicates", strings.Repeat("permessage-deflate,", 30)+"permessage-deflate", 101)
	for _, bits := range []string{"7", "16", "abc", "-1", "008", "99999999999999999999", "\"\"", "\"8"} {
		ext("client_max_window_bits="+bits, "permessage-deflate; client_max_window_bits="+bits, 101, 400)
	}
	for _, p := range []string{"\xff", "a b", "a,a", "a;b", "\"a\"", "a/b", ",,,", strings.Repeat("a,", 10_000), "chat\rX: y", "chat\x00"} {
		add(fmt.Sprintf("5 subprotocol %.20q", p), with("Sec-WebSocket-Protocol: "+p), 400, 431)
	}

	const none = 403
	for _, origin := range []string{"null", "", "http://", "https://server.example.com.evil.com", "https://evilserver.example.com", "http://server.example.com@evil.com",
		"http://evil.com@server.example.com", "http://server.example.com:81", "http://server.example.com.", "http://server.example.com/", "http://server.example.com/path", "ftp://server.example.com",
		"http://sеrver.example.com", "http://xn--srver-n8d.example.com", "http://[::1]", "http://127.0.0.1", "file://", "http://server.example.com, http://evil.com", "javascript:alert(1)",
		"http://server.example.com:80:80", "http://server.example.com:080", "http://SERVER.example.com\x00", "http://*.example.com", "*", strings.Repeat("x", 10_000)} {
		status := []int{none}
		if strings.Contains(origin, "\x00") {
			status = []int{400}
		}
		add(fmt.Sprintf("6 origin %.60q", origin), with("Origin: "+origin, "Cookie: session=secret"), status...)
	}
	wild := ws.AcceptOptions{AllowedOrigins: []string{"https://*.good.com", "*", "good.com", "https://good.com/"}} // none of which is an origin
	for _, origin := range []string{"https://a.good.com", "https://good.com", "https://evil.com", "*"} {
		all = append(all, badRequest{item: "6 origin " + origin + " and a list that names none", o: wild, raw: with("Origin: " + origin), status: []int{none}})
	}

	chunked := func(item, body string, status ...int) {
		add("7 "+item, with("Transfer-Encoding: chunked")+body, status...)
	}
	chunked("chunks", "5\r\nhello\r\n0\r\n\r\n", 400)
	chunked("a chunk with an extension of 1 MB", "5;"+strings.Repeat("x", mb)+"\r\nhello\r\n0\r\n\r\n", 400)
	chunked("a chunk of negative size", "-5\r\nhello\r\n0\r\n\r\n", 400)
	chunked("a chunk of 2^64 and more", "fffffffffffffffff\r\nhello", 400)
	add("7 Content-Length and Transfer-Encoding", with("Content-Length: 5", "Transfer-Encoding: chunked")+"0\r\n\r\n", 400)
	add("7 two Content-Lengths", with("Content-Length: 0", "Content-Length: 5")+"hello", 400)
	add("7 a negative Content-Length", with("Content-Length: -1"), 400)
	add("7 a Content-Length of 2^64", with("Content-Length: 18446744073709551616"), 400)
	add("7 an unknown Transfer-Encoding", with("Transfer-Encoding: gzip, chunked"), 400, 501)
	add("7 bare line feeds", strings.ReplaceAll(request()+"\r\n", "\r\n", "\n"), 101, 400)
	add("7 bare carriage returns", strings.ReplaceAll(request()+"\r\n", "\r\n", "\r")+"\r\n\r\n", 400)
	add("7 an Expect", with("Expect: 100-continue"), 101, 400, 417)
	return all
}

// hostileDoors are the ways to the server, with the limits that belong to them.
var hostileDoors = map[string]func(o ws.AcceptOptions) (serve func(net.Listener) error, end func()){
	"net/http": func(o ws.AcceptOptions) (func(net.Listener) error, func()) {
		s := &http.Server{Handler: echoes(o)["Conn"], ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
		return s.Serve, func() { s.Close() }
	},
	"Serve": func(o ws.AcceptOptions) (func(net.Listener) error, func()) {
		s := echoes(o)["Server"].(*ws.Server)
		return s.Serve, func() { s.Close() }
	},
}

func TestHostileRequests(t *testing.T) {
	all := badRequests()
	for door, open := range hostileDoors {
		t.Run(door, func(t *testing.T) {
			for _, r := range all {
				t.Run(r.item, func(t *testing.T) {
					noLeaks(t)
					serve, end := open(r.o)
					l := &chanListener{conns: make(chan net.Conn), done: make(chan struct{})}
					go serve(l)
					defer end()
					if err := r.try(t, l); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
	t.Logf("%d items", len(all))
}

func (r badRequest) try(t *testing.T, l *chanListener) error {
	near, far := connPair(t, "tcp")
	p := rawPeer(far, false)
	defer p.Close()
	l.conns <- near
	before := allocated()
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	go p.sendBytes([]byte(r.raw + smuggled))
	response, err := http.ReadResponse(p.r, &http.Request{Method: strings.SplitN(r.raw, " ", 2)[0]})
	if err != nil {
		if slices.Contains(r.status, 0) || isEnd(err) && slices.Contains(r.status, 431) {
			return nil // reset while there was more to come
		}
		return err
	}
	if spent := allocated() - before; spent > 4*megabyte {
		return fmt.Errorf("%.1f MB allocated", float64(spent)/megabyte)
	}
	if !slices.Contains(r.status, response.StatusCode) {
		body, _ := io.ReadAll(response.Body)
		return fmt.Errorf("%s %s, want %d", response.Status, body, r.status)
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		// What was to be another request is no frame.
		go p.collect()
		return p.expectClose(sight{opClose, closePayload(1002, "")}, false)
	}
	for name, values := range response.Header {
		for _, v := range values {
			if strings.ContainsAny(v, "\r\n\x00") {
				return fmt.Errorf("header %s: %q", name, v)
			}
		}
	}
	body, err := io.ReadAll(response.Body)
	if err != nil && !isEnd(err) || len(body) > 1000 || bytes.ContainsFunc(body, func(c rune) bool { return c != '\n' && (c < ' ' || c > '~') }) {
		return fmt.Errorf("body %q, %w", body, err)
	}
	if rest, err := io.ReadAll(p.r); len(rest) > 0 || err != nil && !isEnd(err) {
		return fmt.Errorf("%q, %v behind the refusal", rest, err)
	}
	return nil
}

// HTTP/2 without an extended CONNECT is no way to a WebSocket, whatever its headers say (group 4).
func TestHostileHTTP2Request(t *testing.T) {
	for method, status := range map[string]int{http.MethodGet: 405, http.MethodPost: 405, http.MethodConnect: 400} {
		for name, handler := range echoes(ws.AcceptOptions{}) {
			r := httptest.NewRequest(method, "http://server.example.com/", nil)
			r.ProtoMajor, r.ProtoMinor, r.Proto = 2, 0, "HTTP/2.0"
			r.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {testKey}}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != status || w.Header().Get("Connection") != "" || w.Header().Get("Upgrade") != "" {
				t.Errorf("%s, %s: %d %v", method, name, w.Code, w.Header())
			}
		}
	}
}

// Whatever the application is made to say in the handshake, it cannot say another header (group 5).
func TestHostileInjection(t *testing.T) {
	const evil = "x\r\nSet-Cookie: evil=1"
	for name, o := range map[string]ws.AcceptOptions{
		"value": {Header: http.Header{"X-App": {evil}}},
		"name":  {Header: http.Header{evil: {"x"}}},
		"ours":  {Header: http.Header{"Sec-WebSocket-Accept": {"x"}}},
		"frame": {Header: http.Header{"Content-Length": {"5"}}},
	} {
		for door, open := range hostileDoors {
			t.Run(name+"/"+door, func(t *testing.T) {
				noLeaks(t)
				serve, end := open(o)
				l := &chanListener{conns: make(chan net.Conn), done: make(chan struct{})}
				go serve(l)
				defer end()
				if err := (badRequest{raw: request() + "\r\n", status: []int{500}}).try(t, l); err != nil {
					t.Error(err)
				}
			})
		}
	}
	for name, o := range map[string]ws.DialOptions{
		"value":       {Header: http.Header{"X-App": {evil}}},
		"name":        {Header: http.Header{evil: {"x"}}},
		"ours":        {Header: http.Header{"Sec-WebSocket-Key": {"x"}}},
		"host":        {Header: http.Header{"Host": {evil}}},
		"subprotocol": {Subprotocols: []string{evil}},
	} {
		t.Run("Dial/"+name, func(t *testing.T) {
			p, dialed := dialTest(t, "ws://server.example.com/", o)
			defer p.Close()
			if result := <-dialed; result.err == nil {
				t.Error("it was sent")
			}
		})
	}
}
