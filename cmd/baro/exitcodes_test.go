package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
)

// answering is a server that answers each connection as it likes, and gives its host and port.
func answering(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	return testkit.Serve(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			answer(c)
		}
	})
}

// Whichever command connects, a server that says no or nonsense is code 4, and one that cannot be reached 3.
func TestExitCodesAreOne(t *testing.T) {
	says := func(text string) func(net.Conn) { return func(c net.Conn) { _, _ = io.WriteString(c, text) } }
	for name, c := range map[string]struct {
		answer func(net.Conn)
		scheme string
		code   int
	}{
		"hangs up": {func(net.Conn) {}, "ws", exit.Unreachable},
		"no TLS":   {says(""), "wss", exit.Unreachable},
		"refuses":  {says("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), "ws", exit.Refused},
		"no HTTP":  {says("220 smtp.example.com\r\n\r\n"), "ws", exit.Refused},
		"another":  {says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"), "ws", exit.Refused},
		"endless": {func(c net.Conn) {
			_, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n")
			for i := 0; err == nil; i++ {
				_, err = fmt.Fprintf(c, "X-%d: %s\r\n", i, strings.Repeat("x", 1000))
			}
		}, "ws", exit.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := answering(t, c.answer)
			url := c.scheme + "://" + host
			commands := [][]string{
				{"connect", url},
				{"bench", url, "-q", "-c", "1", "-d", "1s"},
				{"record", url, "-o", t.TempDir() + "/s.ndjson"},
				{"bridge", "-l", "stdio", "-t", url},
				{"subscribe", url, "news", "--no-reconnect", "--transport", "websocket"},
			}
			if c.code == exit.Refused && name != "another" { // of a request that was not answered nobody knows what became
				commands = append(commands, []string{"publish", url, "news", "hello"}, []string{"call", url, "--user", "kim", "open"})
			}
			for _, args := range commands {
				root := newRoot()
				root.SetIn(strings.NewReader(""))
				var out, notes bytes.Buffer
				if code := execute(root, append(args, "--proxy", "none"), &out, &notes); code != c.code || notes.Len() == 0 {
					t.Errorf("%s: %d, want %d: %s", args[0], code, c.code, notes.String())
				}
			}
		})
	}
}

// Why a server refuses is told, in its own words, which cannot command a terminal.
func TestBridgeTellsTheRefusal(t *testing.T) {
	host := answering(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 37\r\n\r\n\x1b[2Jthe target is not allowed\nfor you")
	})
	root := newRoot()
	root.SetIn(strings.NewReader(""))
	var out, notes bytes.Buffer
	code := execute(root, []string{"bridge", "-l", "stdio", "-t", "ws://" + host, "--proxy", "none"}, &out, &notes)
	if said := notes.String(); code != exit.Refused || !strings.Contains(said, "403 Forbidden") || !strings.Contains(said, "the target is not allowed for you") || strings.Contains(said, "\x1b") {
		t.Errorf("%d, %q", code, said)
	}
}
