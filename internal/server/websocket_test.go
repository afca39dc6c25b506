package server

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"baro.dev/channel"
)

const upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func TestWebSocketRefused(t *testing.T) {
	s := start(t, Config{})
	s.limitClients(0)
	tests := []struct {
		path, header string
		status       int
	}{
		{"/c/a", "Origin: https://evil.com\r\n", 403},
		{"/c/a%00", "", 400},
		{"/c/a?after=x", "", 400},
		{"/c/a", "", 503},
		{"/", "", 404},
		{"/livez", "", 200},
		{"/nothing", "", 404},
	}
	for _, test := range tests {
		c := dial(t, s)
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n%s%s\r\n", test.path, upgrade, test.header)
		// What a client says after a refused upgrade is not a request.
		fmt.Fprint(c, "GET /c/smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
		answer, err := io.ReadAll(c)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(answer), fmt.Sprintf("HTTP/1.1 %d ", test.status)) || strings.Count(string(answer), "HTTP/1.1") != 1 {
			t.Errorf("%s %s: answered with %q, want one answer, %d", test.path, test.header, answer, test.status)
		}
		if !strings.Contains(string(answer), "Connection: close\r\n") || strings.Contains(string(answer), "Upgrade:") {
			t.Errorf("%s %s: the connection stays open: %q", test.path, test.header, answer)
		}
	}
}

func TestUpgradeElsewhere(t *testing.T) {
	s := start(t, Config{})
	requests := []string{
		"GET /c/a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
		"POST /c/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n" + upgrade + "\r\nx",
		"GET /livez HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
	}
	for i, request := range requests {
		c := dial(t, s)
		if _, err := io.WriteString(c, request+"GET /c/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if !response.Close || response.StatusCode == http.StatusSwitchingProtocols || response.Header.Get("Upgrade") != "" {
			t.Errorf("%d: status %d, %v", i, response.StatusCode, response.Header)
		}
	}
	batch, err := s.Hub().Read("smuggled", channel.Oldest(), 0)
	if err != nil || len(batch.Messages) > 0 {
		t.Errorf("a smuggled request came through: %v", err)
	}
}

func TestAsksForWebSocket(t *testing.T) {
	request := func(method string, major int, header http.Header) *http.Request {
		return &http.Request{Method: method, ProtoMajor: major, Header: header}
	}
	tests := []struct {
		r    *http.Request
		want bool
	}{
		{request("GET", 1, http.Header{"Upgrade": {"websocket"}}), true},
		{request("GET", 1, http.Header{"Upgrade": {"h2c, WebSocket"}}), true},
		{request("GET", 1, http.Header{"Upgrade": {"websocket2"}}), false},
		{request("GET", 1, http.Header{}), false},
		{request("POST", 1, http.Header{"Upgrade": {"websocket"}}), false},
		{request("GET", 2, http.Header{"Upgrade": {"websocket"}}), false},
		{request("CONNECT", 2, http.Header{":protocol": {"websocket"}}), true},
		{request("CONNECT", 2, http.Header{":protocol": {"webtransport"}}), false},
		{request("CONNECT", 1, http.Header{"Upgrade": {"websocket"}}), false},
	}
	for i, test := range tests {
		// The pseudo-header is not in canonical form, and Get would look for one.
		if got := asksForWebSocket(test.r); got != test.want {
			t.Errorf("%d: %v, want %v", i, got, test.want)
		}
	}
}
