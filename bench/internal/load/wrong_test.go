//go:build linux

package load

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// A server that is wrong is found out, and not measured.
func TestWrongServers(t *testing.T) {
	message := func(c net.Conn, br *bufio.Reader) []byte {
		header, err := ws.ReadHeader(br)
		if err != nil {
			return nil
		}
		payload := make([]byte, header.Length)
		io.ReadFull(br, payload)
		ws.Cipher(payload, header.Mask, 0)
		return payload
	}
	for _, c := range []struct {
		name  string
		serve func(c net.Conn, br *bufio.Reader)
		err   string
	}{
		{"refuses", func(c net.Conn, _ *bufio.Reader) { io.WriteString(c, "HTTP/1.1 403 Forbidden\r\n\r\n") }, "403 Forbidden"},
		{"hangs up", func(net.Conn, *bufio.Reader) {}, "handshake"},
		{"does not know the key", func(c net.Conn, br *bufio.Reader) {
			http.ReadRequest(br)
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n")
		}, "Sec-WebSocket-Accept"},
		{"answers something else", func(c net.Conn, br *bufio.Reader) {
			upgrade(c, br)
			payload := message(c, br)
			payload[63]++
			ws.WriteFrame(c, ws.NewBinaryFrame(payload))
			message(c, br)
		}, "not what was sent"},
		{"answers twice", func(c net.Conn, br *bufio.Reader) {
			upgrade(c, br)
			ws.WriteFrame(c, ws.NewBinaryFrame(message(c, br)))
			frame := ws.MustCompileFrame(ws.NewBinaryFrame(message(c, br)))
			c.Write(append(frame, frame...))
			message(c, br)
		}, "more replies than messages"},
		{"closes", func(c net.Conn, br *bufio.Reader) {
			upgrade(c, br)
			ws.WriteFrame(c, ws.NewBinaryFrame(message(c, br)))
			message(c, br)
			ws.WriteFrame(c, ws.NewCloseFrame(nil))
			message(c, br)
		}, "a close frame"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := serve(t, c.serve)
			_, err := target.Echo(Echo{Conns: 2, Size: 64, Depth: 1, Duration: 10 * time.Second})
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

func upgrade(c net.Conn, br *bufio.Reader) {
	ws.Upgrade(struct {
		io.Reader
		io.Writer
	}{br, c})
}

// serve serves connections until the test ends.
func serve(t *testing.T, f func(net.Conn, *bufio.Reader)) Target {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c, bufio.NewReader(c))
			}()
		}
	}()
	return targetOf(l)
}

// targetOf is the test's own process.
func targetOf(l net.Listener) Target {
	return Target{Addr: netip.MustParseAddrPort(l.Addr().String()), PID: os.Getpid(), From: Place{CPU: -1}}
}
