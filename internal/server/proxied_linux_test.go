package server

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/testkit"
)

const proxyV2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x07\x0a\x00\x00\x01\x12\x34\x01\xbb" // 198.51.100.7:4660

// proxyHeaders are headers, and whose connection they make it.
var proxyHeaders = map[string]struct{ header, want string }{
	"version 1":       {"PROXY TCP4 198.51.100.7 10.0.0.1 4660 443\r\n", "198.51.100.7:4660"},
	"version 1, IPv6": {"PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n", "[2001:db8::1]:4660"},
	"version 2":       {proxyV2, "198.51.100.7:4660"},
	"LOCAL":           {"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "127.0.0.1:"},
	"UNKNOWN":         {"PROXY UNKNOWN\r\n", "127.0.0.1:"},
}

// The address of a client is the one that its proxy names before everything else, over plain TCP, which event loops drive as ever, and
// over TLS; for WebSockets and streams.
func TestProxyProtocol(t *testing.T) {
	cert, key, pool := testkit.Certificate(t)
	for _, scheme := range []string{"http", "https"} {
		config := Config{TrustedProxies: []string{"loopback"}, ProxyProtocol: true}
		if scheme == "https" {
			config.TLSCert, config.TLSKey = cert, key
		}
		s := start(t, config)
		for name, test := range proxyHeaders {
			for transport, head := range map[string]string{
				"sse":       "GET /c/a HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
				"websocket": "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			} {
				t.Run(scheme+" "+transport+" "+name, func(t *testing.T) {
					c := dial(t, s)
					if _, err := io.WriteString(c, test.header); err != nil {
						t.Fatal(err)
					}
					if scheme == "https" {
						c = tls.Client(c, &tls.Config{RootCAs: pool, ServerName: "localhost"})
					}
					if _, err := io.WriteString(c, head); err != nil {
						t.Fatal(err)
					}
					response, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil || response.StatusCode >= 400 {
						t.Fatal(response, err)
					}
					eventually(t, "it is there", func() bool { return len(s.registry.All()) == 1 })
					if got := s.registry.All()[0].Connection().Remote; !strings.HasPrefix(got, test.want) {
						t.Errorf("it comes from %s, want %s", got, test.want)
					}
					if scheme == "http" && transport == "sse" && runtime.GOOS == "linux" {
						eventually(t, "an event loop drives it", func() bool { return s.streams.len() == 1 })
					}
					c.Close()
					eventually(t, "it is gone", func() bool { return len(s.registry.All()) == 0 })
				})
			}
		}
	}
}

// A trusted proxy has to say whose its connections are, and others must not.
func TestProxyProtocolIsNeeded(t *testing.T) {
	var log lockedBuffer
	s := start(t, Config{
		TrustedProxies: []string{"loopback"}, ProxyProtocol: true, HeaderTimeout: time.Second, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	silent, dribbling := dial(t, s), dial(t, s)
	_, _ = io.WriteString(dribbling, "PROXY TCP4 198.51.100.7")
	bomb := proxyV2[:14] + "\xff\xff" + proxyV2[16:] + strings.Repeat("\x04\x00\x10aaaaaaaaaaaaaaaa", 65_536/19)
	for name, text := range map[string]string{
		"none": "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", "malformed": "PROXY TCP4 1 2 3 4\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n", "a bomb": bomb,
		"two": proxyHeaders["version 1"].header + proxyV2 + "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c := dial(t, s)
		go func() { _, _ = io.WriteString(c, text) }()
		answer, err := readToClose(c)
		if err != nil || strings.Contains(string(answer), " 200 ") {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
	for name, c := range map[string]net.Conn{"silent": silent, "dribbling": dribbling} {
		if answer, err := readToClose(c); err != nil || len(answer) > 0 {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
	for range 3 {
		dial(t, s).Close() // a check of health
	}
	// The others notice nothing.
	c := dial(t, s)
	fmt.Fprintf(c, "%sGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", proxyV2)
	if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Errorf("%q, %v", answer, err)
	}
	if text := log.String(); !strings.Contains(text, "reason=proxy_header") || !strings.Contains(text, "it is missing") {
		t.Errorf("the log does not say why:\n%s", text)
	}
	eventually(t, "nothing is left", func() bool { return s.connections.open.Load() == 0 && s.connections.noted.Load() == 0 })

	// Of who is not trusted no header is taken.
	s = start(t, Config{TrustedProxies: []string{"10.0.0.0/8"}, ProxyProtocol: true})
	response, _ := raw(t, s, "PROXY TCP4 198.51.100.7 10.0.0.1 4660 443\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("forged: status %d", response.StatusCode)
	}
	if response, _ := raw(t, s, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); response.StatusCode != http.StatusOK {
		t.Errorf("without: status %d", response.StatusCode)
	}
}

// Limits count the clients behind a proxy, each for itself, when their connections are accepted.
func TestProxyProtocolLimits(t *testing.T) {
	s := start(t, Config{TrustedProxies: []string{"loopback"}, ProxyProtocol: true, MaxConnectionsPerAddress: 1})
	status := func(from string) int {
		response, _ := raw(t, s, fmt.Sprintf("PROXY TCP4 %s 10.0.0.1 1 2\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n", from))
		return response.StatusCode
	}
	if got := []int{status("198.51.100.1"), status("198.51.100.2"), status("198.51.100.1")}; got[0] != 200 || got[1] != 200 || got[2] != 429 {
		t.Errorf("%v", got)
	}
}
