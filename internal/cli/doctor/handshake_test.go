package doctor_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"baro.dev/internal/cli/doctor"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/ws"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\n"

// Each fault of an opening handshake is found in its line, and who could be behind it is told what to do.
func TestHandshake(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		answer  string
		line    string // the problem, and the line that has it
		advice  string
		unheard bool // there is no answer: exit code 3
	}{
		{"no Upgrade", switching + "Connection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n\r\n", " <- Upgrade is missing", "pass on Upgrade", false},
		{"another Upgrade", switching + "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n\r\n", "Upgrade: h2c <- Upgrade must be websocket", "", false},
		{"no Connection", switching + "Upgrade: websocket\r\nSec-WebSocket-Accept: KEY\r\n\r\n", " <- Connection is missing", "pass on Upgrade", false},
		{"Connection is close", switching + "Upgrade: websocket\r\nConnection: close\r\nSec-WebSocket-Accept: KEY\r\n\r\n", "Connection: close <- Connection must say Upgrade", "", false},
		{"no Accept", switching + "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", " <- Sec-WebSocket-Accept is missing", "", false},
		{"wrong Accept", switching + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo= <- Sec-WebSocket-Accept is wrong", "", false},
		{"an extension", switching + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\nSec-WebSocket-Extensions: permessage-deflate, x-own\r\n\r\n",
			"x-own <- an extension that was not offered", "", false},
		{"a subprotocol", switching + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
			"chat <- a subprotocol that was not offered", "", false},
		{"a page", "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Length: 27\r\n\r\n<!doctype html><html></html>", "200 OK <- a page", "proxy_set_header Upgrade", false},
		{"an answer", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 OK <- an ordinary answer", "pass on Upgrade", false},
		{"elsewhere", "HTTP/1.1 301 Moved Permanently\r\nLocation: https://example.com/ws\r\nContent-Length: 0\r\n\r\n",
			"Location: https://example.com/ws <- WebSockets of browsers follow no redirect", "baro doctor https://example.com/ws", false},
		{"400 about Upgrade", "HTTP/1.1 400 Bad Request\r\nServer: Apache/2.4.57\r\nContent-Length: 34\r\n\r\nMissing or invalid Upgrade header.", "the server has not seen Upgrade", "upgrade=websocket", false},
		{"400", "HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nnope", "the server says \"nope\"", "", false},
		{"401", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "401 Unauthorized <- ", "--token", false},
		{"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403 Forbidden <- ", "--origin", false},
		{"404", plain, "404 Not Found <- ", "Is the path right", false},
		{"426", "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nVia: 1.1 varnish (Varnish/7.1)\r\nContent-Length: 0\r\n\r\n", "426 Upgrade Required <- the server has not seen Upgrade", "vcl_pipe", false},
		{"426, version", "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n", "another version", "It speaks 8", false},
		{"429", "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", "429", "too many", false},
		{"502", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "502 Bad Gateway <- ", "cannot reach the server behind it", false},
		{"504", "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n", "504 Gateway Timeout <- ", "did not in time", false},
		{"early hints, then 403", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403 Forbidden <- ", "", false},
		{"the end", "", " <- the connection ends", "wss", true},
		{"half a head", "HTTP/1.1 101 Switching Protocols\r\nUpgr", " <- the connection ends", "", true},
		{"a reset body", "HTTP/1.1 403 Forbidden\r\nContent-Length: 1000000\r\n\r\nno", "the answer is \"no\"", "", false},
		{"no HTTP", "220 mail.example.com ESMTP\r\n\r\n", " <- this is not HTTP", "no web server", false},
		{"an endless head", "HTTP/1.1 101 Switching Protocols\r\n" + strings.Repeat("X: y\r\n", 1000), " <- the head goes on", "", false},
		{"an endless line", "HTTP/1.1 101 Switching Protocols\r\nX: " + strings.Repeat("y", 1<<20), " <- the head goes on", "", false},
		{"a hostile terminal", "HTTP/1.1 403 \x1b]0;owned\x07\x1b[2J\r\nSet-Cookie: a=\x1b[31m\u202e\r\nContent-Length: 4\r\n\r\n\x1b[2J", "403", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := examine(t, "ws://"+upgrading(t, test.answer)+"/live", nil)
			want(t, r, "http", doctor.OK)
			want(t, r, "handshake", doctor.Fail, test.advice)
			want(t, r, "websocket", doctor.Skipped)
			if advice := r.Result("handshake").Advice; halfway.MatchString(advice) {
				t.Errorf("a sentence begins within another: %s", advice)
			}
			if all := problems(t, r); !strings.Contains(all, test.line) {
				t.Errorf("the problems are %q, and not %q", all, test.line)
			}
			if test.unheard {
				wantExit(t, r, exit.Unreachable)
			} else {
				wantExit(t, r, exit.Refused)
			}
		})
	}
}

// halfway finds a sentence that begins behind a colon.
var halfway = regexp.MustCompile(`: (A|An|Each|In|Install|It|Something|The) `)

// What is secret is not in the report, which people send to others.
func TestSecrets(t *testing.T) {
	t.Parallel()
	address := upgrading(t, "HTTP/1.1 403 Forbidden\r\nSet-Cookie: id=geheim1; Path=/\r\nContent-Length: 0\r\n\r\n")
	r := examine(t, "ws://"+address+"/live?token=geheim2&room=7", func(_ *doctor.Options, to *target.Options) {
		to.Token, to.Cookies = "geheim3", []string{"a=geheim4"}
	})
	var text strings.Builder
	for _, line := range r.Result("handshake").Data.(*doctor.Handshake).Lines {
		text.WriteString(line.Text + "\n")
	}
	if strings.Contains(text.String(), "geheim") || strings.Contains(r.URL, "geheim") {
		t.Errorf("%s\n%s", r.URL, &text)
	}
	for _, has := range []string{"GET /live?token=...&room=7 HTTP/1.1\n", "Authorization: Bearer ...\n", "Cookie: a=...\n", "Set-Cookie: id=...; Path=/\n"} {
		if !strings.Contains(text.String(), has) {
			t.Errorf("%q is not in\n%s", has, &text)
		}
	}
}

// A WebSocket with which nothing is wrong.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, &ws.AcceptOptions{Subprotocols: []string{"chat"}, Compression: ws.Compression{Enabled: true}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for _, err := range c.Messages(r.Context()) {
			if err != nil {
				return
			}
		}
	}))
	defer server.Close()
	r := examine(t, server.URL+"/chat", func(o *doctor.Options, _ *target.Options) { o.Subprotocols = []string{"chat"} })
	wantExit(t, r, exit.OK)
	if r.Kind != doctor.WebSocket || len(r.Problems) != 0 {
		t.Errorf("%s, %q", r.Kind, r.Problems)
	}
	want(t, r, "websocket", doctor.OK)
	if p := r.Result("websocket").Data.(*doctor.Pings); p.RoundTrips.Samples != 5 || p.Subprotocol != "chat" || p.RoundTrips.Min > p.RoundTrips.Median || p.RoundTrips.Median > p.RoundTrips.Max {
		t.Errorf("%+v, %+v", p, p.RoundTrips)
	}
	want(t, r, "compression", doctor.OK, "permessage-deflate;")

	r = examine(t, server.URL+"/chat", func(o *doctor.Options, _ *target.Options) { o.Subprotocols = []string{"other"} })
	want(t, r, "handshake", doctor.Warn, "without a subprotocol")
	wantExit(t, r, exit.Failed)
}

// A proxy that lets the answer through and no frames.
func deafWebSocket(t *testing.T) {
	address := answering(t, func(r *http.Request, conn net.Conn) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(conn, plain)
			return
		}
		_, _ = io.WriteString(conn, switching+"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+acceptKey(r)+"\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	r := examine(t, "ws://"+address, func(o *doctor.Options, _ *target.Options) { o.Timeout = 3 * pause })
	want(t, r, "handshake", doctor.OK)
	want(t, r, "websocket", doctor.Fail, "no pong")
	wantExit(t, r, exit.Broken)
}
