package bridge_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"baro.dev/internal/cli/bridge"
	"baro.dev/internal/neterr"
	"baro.dev/internal/testkit"
)

// Connections that say nothing are bounded, too, and take no place from those that were let in.
func TestSilent(t *testing.T) {
	testkit.NoLeaks(t)
	url := front(t, listenTCP(t, echo), func(c *bridge.Config) { c.MaxConnections = 2 })
	c := dialWS(t, url, nil)
	echoes(t, c)
	addr := strings.TrimPrefix(url, "ws://")
	silent := make([]net.Conn, 0, 200)
	for range cap(silent) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			if errors.Is(err, neterr.ErrReset) {
				continue
			}
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	// The last ones have been closed; to find that out does not hang.
	if _, err := silent[len(silent)-1].Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, neterr.ErrReset) {
		t.Error(err)
	}
	echoes(t, c)
	for _, c := range silent {
		c.Close()
	}
	testkit.Within(t, "a place", func() chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				if c, err := net.Dial("tcp", addr); err == nil {
					fmt.Fprint(c, "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
					text, _ := io.ReadAll(c)
					c.Close()
					if len(text) > 0 {
						return
					}
				}
			}
		}()
		return done
	}())
}

// A client that breaks the protocol is told so, and its target sees no orderly end.
func TestHostileFrames(t *testing.T) {
	testkit.NoLeaks(t)
	for name, frames := range map[string]string{
		"unmasked":          "\x82\x01x",
		"reserved bits":     "\xf2\x81\x00\x00\x00\x00x",
		"reserved opcode":   "\x83\x81\x00\x00\x00\x00x",
		"endless length":    "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
		"text not UTF-8":    "\x81\x81\x00\x00\x00\x00\xff",
		"continues nothing": "\x80\x81\x00\x00\x00\x00x",
		"close with 1005":   "\x88\x82\x00\x00\x00\x00\x03\xed",
		"cut":               "\x82\xfe\xff\xff\x00\x00\x00\x00x",
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			url := front(t, listenTCP(t, func(c *net.TCPConn) {
				_, err := io.Copy(io.Discard, c)
				ended <- err
			}), nil)
			c := dialTCP(t, strings.TrimPrefix(url, "ws://"))
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
			r := bufio.NewReader(c)
			if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatal(resp, err)
			}
			fmt.Fprint(c, frames)
			if name == "cut" {
				c.Close()
			} else {
				_, _ = io.Copy(io.Discard, r)
				c.Close()
			}
			if err := testkit.Within(t, "the end of the target", ended); !errors.Is(err, neterr.ErrReset) {
				t.Errorf("the target sees %v", err)
			}
		})
	}
}
