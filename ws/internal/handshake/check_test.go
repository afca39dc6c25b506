package handshake

import (
	"bufio"
	"errors"
	"net/http"
	"strings"
	"testing"
)

const upgradeRequest = "GET /chat HTTP/1.1\r\n" +
	"Host: server.example.com\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Version: 13\r\n"

// parse reads a request the way a server does. The empty line is added.
func parse(t testing.TB, raw string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw + "\r\n")))
	if err != nil {
		t.Fatalf("%v in %.100q", err, raw)
	}
	return r
}

// wantStatus fails unless err is an *Error of that status (0: no error) whose reason holds a text, and is short and
// printable.
func wantStatus(t testing.TB, err error, status int, reason string) {
	t.Helper()
	if status == 0 {
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return
	}
	var refused *Error
	if !errors.As(err, &refused) {
		t.Fatalf("error %v, want an *Error", err)
	}
	if refused.Status != status || !strings.Contains(refused.Reason, reason) {
		t.Fatalf("%d %s; want %d and %q", refused.Status, refused.Reason, status, reason)
	}
	if len(refused.Reason) > 512 {
		t.Errorf("reason of %d bytes", len(refused.Reason))
	}
	for _, c := range refused.Reason {
		if c < ' ' || c > '~' {
			t.Errorf("reason %q holds %q", refused.Reason, c)
		}
	}
}

func TestCheckUpgrade(t *testing.T) {
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	const ver = "Sec-WebSocket-Version: 13\r\n"
	const up = "Upgrade: websocket\r\n"
	const conn = "Connection: Upgrade\r\n"
	swap := func(old, repl string) string {
		if !strings.Contains(upgradeRequest, old) {
			t.Fatalf("%q is not in the request", old)
		}
		return strings.Replace(upgradeRequest, old, repl, 1)
	}
	tests := []struct {
		name, request string
		status        int
		reason        string
	}{
		{"the RFC's example", upgradeRequest, 0, ""},

		// RFC 6455 4.1: the method MUST be GET, and the HTTP version MUST be at least 1.1.
		{"POST", swap("GET", "POST"), 405, `method "POST"`},
		{"HEAD", swap("GET", "HEAD"), 405, `method "HEAD"`},
		{"lower-case method", swap("GET", "get"), 405, `method "get"`},
		{"plain CONNECT", swap("GET /chat", "CONNECT server.example.com:443"), 405, `method "CONNECT"`},
		{"HTTP/1.0", swap("HTTP/1.1", "HTTP/1.0"), 400, "HTTP/1.0"},

		// The request MUST contain a Host header.
		{"empty host", swap("Host: server.example.com", "Host:"), 400, "Host header"},

		// It MUST contain an Upgrade header whose value MUST include the "websocket" keyword.
		{"upgrade in other case", swap("websocket", "WebSocket"), 0, ""},
		{"upgrade among others", swap(up, "Upgrade: h2c, websocket\r\n"), 0, ""},
		{"upgrade on two lines", swap(up, "Upgrade: h2c\r\n"+up), 0, ""},
		{"no upgrade", swap(up, ""), 426, "Upgrade header: absent"},
		{"h2c", swap(up, "Upgrade: h2c\r\n"), 426, `"h2c"`},
		{"upgrade with a version", swap(up, "Upgrade: websocket/13\r\n"), 426, "websocket/13"},
		{"upgrade twice", swap(up, up+up), 400, "websocket 2 times"},
		{"upgrade twice in a list", swap(up, "Upgrade: websocket, websocket\r\n"), 400, "websocket 2 times"},
		{"Kelvin sign for k", swap(up, "Upgrade: websoc\u212aet\r\n"), 426, `\u212a`},
		{"long s for s", swap(up, "Upgrade: web\u017focket\r\n"), 426, `\u017f`},
		{"escape sequence", swap(up, "Upgrade: \u009b31mred\r\n"), 426, `\u009b`},

		// It MUST contain a Connection header whose value MUST include the "Upgrade" token.
		{"connection list", swap(conn, "Connection: keep-alive, Upgrade\r\n"), 0, ""},
		{"connection on two lines", swap(conn, "Connection: keep-alive\r\nConnection: upgrade\r\n"), 0, ""},
		{"connection with empty elements", swap(conn, "Connection: ,, ,\tUPGRADE\t,\r\n"), 0, ""},
		{"no connection", swap(conn, ""), 426, "Connection header: absent"},
		{"connection of something else", swap(conn, "Connection: keep-alive, upgrades\r\n"), 426, "upgrade token"},
		{"quoted connection", swap(conn, "Connection: \"Upgrade\"\r\n"), 426, "upgrade token"},
		{"long connection", swap(conn, "Connection: "+strings.Repeat(", ,", 20000)+"\r\n"), 426, "upgrade token"},

		// It MUST include Sec-WebSocket-Key, once (11.3.1), of 16 bytes in base64.
		{"no key", swap(key, ""), 400, "Sec-WebSocket-Key header: absent"},
		{"empty key", swap(key, "Sec-WebSocket-Key:\r\n"), 400, `""`},
		{"two keys", swap(key, key+key), 400, "(2 lines)"},
		{"two different keys", swap(key, key+"Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n"), 400, "(2 lines)"},
		{"two keys in a line", swap("25jZQ==", "25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), 400, "not 16 bytes"},
		{"15 bytes", swap("dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAA"), 400, "not 16 bytes"},
		{"17 bytes", swap("dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAAA="), 400, "not 16 bytes"},
		{"18 bytes", swap("dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAAAA"), 400, "not 16 bytes"},
		{"no padding", swap("ZQ==", "ZQ"), 400, "not 16 bytes"},
		{"not base64", swap("dGhl", "dG!l"), 400, "not 16 bytes"},
		{"base64 for URLs", swap("dGhl", "dG-_"), 400, "not 16 bytes"},
		{"a space inside", swap("dGhl", "dG l"), 400, "not 16 bytes"},
		{"padding inside", swap("dGhl", "d==l"), 400, "not 16 bytes"},
		{"the key of RFC 6455 4.1", swap("dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEC=="), 0, ""},
		{"64 KB of key", swap("dGhl", strings.Repeat("A", 64<<10)), 400, "..."},

		// It MUST include Sec-WebSocket-Version, once (11.3.5), of 13; otherwise 4.4.
		{"no version", swap(ver, ""), 426, "Sec-WebSocket-Version header: absent"},
		{"version 8", swap("Version: 13", "Version: 8"), 426, `"8"`},
		{"version 12", swap("Version: 13", "Version: 12"), 426, `"12"`},
		{"version 14", swap("Version: 13", "Version: 14"), 426, `"14"`},
		{"version 013", swap("Version: 13", "Version: 013"), 426, `"013"`},
		{"version 13, 8", swap("Version: 13", "Version: 13, 8"), 426, `"13, 8"`},
		{"version 13 and 8", swap(ver, ver+"Sec-WebSocket-Version: 8\r\n"), 426, `"13" and "8"`},
		{"version 13 twice", swap(ver, ver+ver), 426, "(2 lines)"},
		{"empty version", swap("Version: 13", "Version:"), 426, `""`},
		{"old version, old key", swap(ver, "Sec-WebSocket-Version: 0\r\n"), 426, `"0"`},

		// A GET to upgrade carries nothing: what follows it are frames.
		{"a body", upgradeRequest + "Content-Length: 5\r\n", 400, "body"},
		{"a chunked body", upgradeRequest + "Transfer-Encoding: chunked\r\n", 400, "body"},
		{"an empty body", upgradeRequest + "Content-Length: 0\r\n", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := Check(parse(t, tt.request))
			wantStatus(t, err, tt.status, tt.reason)
			if (err == nil) != (len(req.Key) == keyLen) || req.ExtendedConnect {
				t.Errorf("%+v with error %v", req, err)
			}
			checkErrorHeader(t, err)
		})
	}
}

// checkErrorHeader holds the headers that go with a status.
func checkErrorHeader(t *testing.T, err error) {
	t.Helper()
	var refused *Error
	if !errors.As(err, &refused) {
		return
	}
	switch refused.Status {
	case http.StatusUpgradeRequired:
		// RFC 6455 4.2.2: MUST send Sec-WebSocket-Version; RFC 9110 15.5.22: MUST send Upgrade.
		if refused.Header.Get("Sec-WebSocket-Version") != "13" || refused.Header.Get("Upgrade") != "websocket" {
			t.Errorf("426 with %v", refused.Header)
		}
	case http.StatusMethodNotAllowed:
		if refused.Header.Get("Allow") == "" { // RFC 9110 15.5.6: MUST
			t.Errorf("405 with %v", refused.Header)
		}
	}
}

func TestCheckExtendedConnect(t *testing.T) {
	h2 := func(edit func(*http.Request)) *http.Request {
		r := &http.Request{
			Method: "CONNECT", Proto: "HTTP/2.0", ProtoMajor: 2, Host: "server.example.com", ContentLength: -1,
			Header: http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}},
		}
		edit(r)
		return r
	}
	h3 := func(edit func(*http.Request)) *http.Request {
		r := &http.Request{
			Method: "CONNECT", Proto: "websocket", ProtoMajor: 3, Host: "server.example.com", ContentLength: -1,
			Header: http.Header{"Sec-Websocket-Version": {"13"}},
		}
		edit(r)
		return r
	}
	tests := []struct {
		name   string
		edit   func(*http.Request)
		status int
		reason string
	}{
		{"valid", func(r *http.Request) {}, 0, ""},
		{"stream ends at once", func(r *http.Request) { r.ContentLength = 0 }, 0, ""},
		// RFC 8441 5: Sec-WebSocket-Key is not used.
		{"a key", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "x") }, 0, ""},
		{"GET", func(r *http.Request) { r.Method = "GET" }, 405, "CONNECT"},
		{"GET with Upgrade", func(r *http.Request) {
			r.Method = "GET"
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Sec-WebSocket-Key", NewKey())
		}, 405, "CONNECT"},
		{"no host", func(r *http.Request) { r.Host = "" }, 400, "Host"},
		{"content length", func(r *http.Request) { r.ContentLength = 1 }, 400, "body"},
		{"no version", func(r *http.Request) { r.Header.Del("Sec-WebSocket-Version") }, 400, "Version header: absent"},
		{"version 8", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") }, 400, `"8"`},
	}
	for _, tt := range tests {
		for _, r := range []*http.Request{h2(tt.edit), h3(tt.edit)} {
			t.Run(r.Proto+" "+tt.name, func(t *testing.T) {
				req, err := Check(r)
				wantStatus(t, err, tt.status, tt.reason)
				if (err == nil) != req.ExtendedConnect || req.Key != "" {
					t.Errorf("%+v with error %v", req, err)
				}
				var refused *Error
				if errors.As(err, &refused) && refused.Header["Upgrade"] != nil {
					t.Error("RFC 9113 8.2.2: no Upgrade header over HTTP/2")
				}
				if strings.Contains(tt.name, "version") && refused.Header.Get("Sec-WebSocket-Version") != "13" {
					t.Error("without the version that is spoken")
				}
			})
		}
	}

	// RFC 9220 3: an unknown :protocol SHOULD be answered with 501.
	protocols := []struct {
		name   string
		r      *http.Request
		status int
	}{
		{"HTTP/2 none", h2(func(r *http.Request) { r.Header.Del(":protocol") }), 400},
		{"HTTP/2 empty", h2(func(r *http.Request) { r.Header[":protocol"] = []string{""} }), 400},
		{"HTTP/2 twice", h2(func(r *http.Request) { r.Header[":protocol"] = []string{"websocket", "websocket"} }), 400},
		{"HTTP/2 upper case", h2(func(r *http.Request) { r.Header[":protocol"] = []string{"WebSocket"} }), 501},
		{"HTTP/2 other", h2(func(r *http.Request) { r.Header[":protocol"] = []string{"connect-udp"} }), 501},
		{"HTTP/2 in the place of HTTP/3", h2(func(r *http.Request) { r.Header.Del(":protocol"); r.Proto = "websocket" }), 400},
		{"HTTP/3 none", h3(func(r *http.Request) { r.Proto = "HTTP/3.0" }), 400},
		{"HTTP/3 other", h3(func(r *http.Request) { r.Proto = "webtransport" }), 501},
		{"HTTP/3 in the place of HTTP/2", h3(func(r *http.Request) {
			r.Proto = "HTTP/3.0"
			r.Header[":protocol"] = []string{"websocket"}
		}), 400},
	}
	for _, tt := range protocols {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Check(tt.r)
			wantStatus(t, err, tt.status, "")
		})
	}
}

func TestKeys(t *testing.T) {
	// RFC 6455 1.3
	if got := AcceptKey("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("accept key %q", got)
	}
	seen := map[string]bool{}
	for range 100 {
		key := NewKey()
		if !validKey(key) || seen[key] {
			t.Fatalf("key %q", key)
		}
		seen[key] = true
	}
}
