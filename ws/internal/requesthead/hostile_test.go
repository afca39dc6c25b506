package requesthead

import (
	"strings"
	"testing"
)

// What is not an upgrade, or not beyond doubt a well-formed one. Net/http decides, and refuses most of it.
var others = map[string]string{
	"no upgrade":            "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n",
	"no header":             "GET / HTTP/1.1\r\n\r\n",
	"no Upgrade":            target("/") + "Host: a\r\nConnection: Upgrade\r\n\r\n",
	"no Connection":         target("/") + "Host: a\r\nUpgrade: websocket\r\n\r\n",
	"Connection: close":     with("Connection: close\r\n"),
	"Connection with close": target("/") + "Host: a\r\nUpgrade: websocket\r\nConnection: upgrade, CLOSE\r\n\r\n",
	"Connection: other":     target("/") + "Host: a\r\nUpgrade: websocket\r\nConnection: upgraded\r\n\r\n",
	"Upgrade: h2c":          target("/") + "Host: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
	"Upgrade twice":         with("Upgrade: websocket\r\n"),
	"Upgrade and h2c":       with("Upgrade: h2c\r\n"),
	"Upgrade to a list":     target("/") + "Host: a\r\nUpgrade: websocket, h2c\r\nConnection: Upgrade\r\n\r\n",
	"Kelvin sign":           target("/") + "Host: a\r\nUpgrade: websoc\u212aet\r\nConnection: Upgrade\r\n\r\n",

	"POST":          "POST / HTTP/1.1\r\nHost: a\r\n" + essential,
	"HEAD":          "HEAD / HTTP/1.1\r\nHost: a\r\n" + essential,
	"get":           "get / HTTP/1.1\r\nHost: a\r\n" + essential,
	"GETS":          "GETS / HTTP/1.1\r\nHost: a\r\n" + essential,
	"CONNECT":       "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n" + essential,
	"HTTP/1.0":      "GET / HTTP/1.0\r\nHost: a\r\n" + essential,
	"HTTP/1.2":      "GET / HTTP/1.2\r\nHost: a\r\n" + essential,
	"HTTP/0.9":      "GET /\r\n" + essential,
	"HTTP/2.0":      "GET / HTTP/2.0\r\nHost: a\r\n" + essential,
	"http/1.1":      "GET / http/1.1\r\nHost: a\r\n" + essential,
	"HTTP/1.1 x":    "GET / HTTP/1.1 x\r\nHost: a\r\n" + essential,
	"HTTP/2":        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"TLS":           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"TLS 1.0, SSLv": "\x80\x2e\x01\x00\x02",
	"SSH":           "SSH-2.0-OpenSSH_9.2\r\n",
	"PROXY":         "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
	"PROXY v2":      "\r\n\r\n\x00\r\nQUIT\n",
	"zeroes":        strings.Repeat("\x00", 100),
	"empty line":    "\r\n" + chrome,
	"space first":   " " + chrome,

	"two spaces":              "GET  / HTTP/1.1\r\nHost: a\r\n" + essential,
	"tab in the request line": "GET\t/ HTTP/1.1\r\nHost: a\r\n" + essential,
	"two spaces behind":       "GET /  HTTP/1.1\r\nHost: a\r\n" + essential,
	"space at the end":        "GET / HTTP/1.1 \r\nHost: a\r\n" + essential,
	"space in the target":     target("/a b") + "Host: a\r\n" + essential,
	"no target":               "GET HTTP/1.1\r\nHost: a\r\n" + essential,
	"empty target":            target("") + "Host: a\r\n" + essential,
	"relative target":         target("a/b") + "Host: a\r\n" + essential,
	"authority-form":          target("a:80") + "Host: a\r\n" + essential,
	"asterisk-form":           target("*") + "Host: a\r\n" + essential,
	"opaque target":           target("mailto:a") + "Host: a\r\n" + essential,
	"absolute, no host":       target("http:///x") + "Host: a\r\n" + essential,
	"escape cut short":        target("/%2") + "Host: a\r\n" + essential,
	"control in the target":   target("/\x01") + "Host: a\r\n" + essential,
	"bad host in the target":  target("http://a b/") + "Host: a\r\n" + essential,
	"bad port in the target":  target("http://a:b/") + "Host: a\r\n" + essential,

	"no Host":              target("/") + essential,
	"empty Host":           target("/") + "Host:\r\n" + essential,
	"Host of spaces":       target("/") + "Host:   \r\n" + essential,
	"two Hosts":            with("Host: b\r\n"),
	"the same Host twice":  with("Host: a\r\n"),
	"Host in small too":    with("host: a\r\n"),
	"Host, absolute-form":  target("http://a/") + essential,
	"Host with a slash":    target("/") + "Host: a/b\r\n" + essential,
	"Host with an at":      target("/") + "Host: a@b\r\n" + essential,
	"Host with a space":    target("/") + "Host: a b\r\n" + essential,
	"Host beyond ASCII":    target("/") + "Host: \xc3\xa9\r\n" + essential,
	"Host with a space, :": target("/") + "Host : a\r\n" + essential,

	"Content-Length":           with("Content-Length: 5\r\n") + "hello",
	"Content-Length: 0":        with("Content-Length: 0\r\n"),
	"Content-Length, empty":    with("Content-Length:\r\n"),
	"Content-Length twice":     with("Content-Length: 0\r\ncontent-length: 5\r\n"),
	"Content-Length: +0":       with("Content-Length: +0\r\n"),
	"Content-Length: -1":       with("Content-Length: -1\r\n"),
	"chunked":                  with("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n",
	"chunked, small":           with("transfer-encoding: chunked\r\n") + "0\r\n\r\n",
	"xchunked":                 with("Transfer-Encoding: xchunked\r\n"),
	"identity":                 with("Transfer-Encoding: identity\r\n"),
	"CL and TE":                with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
	"TE behind a tab":          with("Transfer-Encoding:\tchunked\r\n"),
	"TE before a space":        with("Transfer-Encoding : chunked\r\n"),
	"TE before a tab":          with("Transfer-Encoding\t: chunked\r\n"),
	"TE behind a space":        with(" Transfer-Encoding: chunked\r\n"),
	"TE in a bare LF line":     with("X: y\nTransfer-Encoding: chunked\r\n"),
	"TE in a bare CR line":     with("X: y\rTransfer-Encoding: chunked\r\n"),
	"TE folded":                with("Transfer-Encoding:\r\n chunked\r\n"),
	"TE in a folded name":      with("Transfer-\r\n Encoding: chunked\r\n"),
	"TE with a NUL":            with("Transfer-Encoding\x00: chunked\r\n"),
	"Trailer":                  with("Trailer: X\r\n"),
	"Expect":                   with("Expect: 100-continue\r\n"),
	"Expect something":         with("expect: something\r\n"),
	"Pragma alone":             with("Pragma: no-cache\r\n"),
	"smuggled by a bare LF":    target("/") + "Host: a\r\nX: y\n\nGET /admin HTTP/1.1\r\nHost: a\r\n" + essential,
	"smuggled by LF CR LF":     target("/") + "Host: a\r\nX: y\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n" + essential,
	"smuggled by a CR":         target("/") + "Host: a\r\nX: y\r\rGET /admin HTTP/1.1\r\nHost: a\r\n" + essential,
	"as many LF as other CTLs": target("/") + "Host: a\r\nX: \n\x00\r\n" + essential,
	"and in another line":      target("/") + "Host: a\r\nX: yz\nZ: \x00\r\n" + essential,

	"obs-fold":                with("X: y\r\n z\r\n"),
	"obs-fold by a tab":       with("X: y\r\n\tz\r\n"),
	"first line folded":       target("/") + " X: y\r\nHost: a\r\n" + essential,
	"line of spaces":          with("   \r\n"),
	"line of spaces, first":   target("/") + "  \r\nHost: a\r\n" + essential,
	"line without a colon":    with("Upgrades\r\n"),
	"Upgrade without a colon": target("/") + "Host: a\r\nUpgrade\r\nConnection: Upgrade\r\n\r\n",
	"nothing but a colon":     with(":\r\n"),
	"value without a name":    with(": x\r\n"),
	"space before the colon":  with("X : y\r\n"),
	"space in a name":         with("X y: z\r\n"),
	"name beyond ASCII":       with("\xc3\xa9: x\r\n"),
	"name in brackets":        with("(X): y\r\n"),
	"NUL in a value":          with("X: \x00\r\n"),
	"DEL in a value":          with("X: \x7f\r\n"),
	"escape in a value":       with("X: \x1b[0m\r\n"),
	"CR in a value":           with("X: y\rz\r\n"),
	"two CRs":                 with("X: y\r\r\n"),
	"tab in a value":          with("X: y\tz\r\n"),
	"bare LF":                 strings.ReplaceAll(chrome, "\r\n", "\n"),
	"bare LF, first line":     strings.Replace(chrome, "\r\n", "\n", 1),
	"bare LF, last line":      strings.TrimSuffix(chrome, "\r\n") + "\n",
	"LF CR":                   strings.ReplaceAll(chrome, "\r\n", "\n\r"),

	"too many lines":    with(strings.Repeat("X: y\r\n", maxLines-6)),
	"2000 lines":        with(strings.Repeat("X: y\r\n", 2000)),
	"1000 names":        with(strings.Repeat("X:\r\nY:\r\n", 1000)),
	"a byte too many":   with("X: " + strings.Repeat("y", MaxLen-len(with("X: \r\n"))+1) + "\r\n"),
	"a line of 1 MB":    with("X: " + strings.Repeat("y", 1<<20) + "\r\n"),
	"a target of 1 MB":  target("/"+strings.Repeat("y", 1<<20)) + "Host: a\r\n" + essential,
	"a line of 1 MB, n": "GET /" + strings.Repeat("y", 1<<20),
	"64 KB of spaces":   with("X: " + strings.Repeat(" ", 64<<10) + "\r\n"),
}

func TestOthers(t *testing.T) {
	for name, input := range others {
		t.Run(name, func(t *testing.T) {
			if outcome, r, n := parse(input); outcome != Other || r != nil || n != 0 {
				t.Errorf("%v, %d bytes, %+v", outcome, n, r)
			}
		})
	}
}

// Parse does not rely on the Scanner for what is well formed.
func TestParseAlone(t *testing.T) {
	for name, input := range others {
		if r := Parse(t.Context(), []byte(input)); r != nil && len(input) <= MaxLen {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for i := range chrome {
		if r := Parse(t.Context(), []byte(chrome[:i])); r != nil {
			t.Errorf("%q: %+v", chrome[:i], r)
		}
		if r := Parse(t.Context(), []byte(chrome[i:])); r != nil && i > 0 {
			t.Errorf("%q: %+v", chrome[i:], r)
		}
	}
	if r := Parse(t.Context(), []byte(chrome+"x")); r != nil {
		t.Errorf("%+v", r)
	}
}
