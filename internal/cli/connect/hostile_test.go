package connect_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"baro.dev/internal/cli/connect"
	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// hostile is a server that answers each request as it likes.
func hostile(t *testing.T, answer func(c net.Conn, accept string)) string {
	t.Helper()
	return "ws://" + testkit.Serve(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		answer(c, base64.StdEncoding.EncodeToString(sum[:]))
	})
}

// opened sends the answer to the handshake.
func opened(c net.Conn, accept, more string) {
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n", accept, more)
}

func head(first byte, length uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{first, 127}, length)
}

// What a server must not do ends the command, with a message and the right code, and costs no memory.
func TestHostileServers(t *testing.T) {
	bomb := func() []byte {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, 1)
		w.Write(make([]byte, 4<<20))
		w.Flush()
		return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
	}()
	endless := func(p []byte) func(net.Conn) {
		return func(c net.Conn) {
			for {
				if _, err := c.Write(p); err != nil {
					return
				}
			}
		}
	}
	write := func(p ...byte) func(net.Conn) {
		return func(c net.Conn) {
			c.Write(p)
			io.Copy(io.Discard, c)
		}
	}
	for name, frames := range map[string]func(net.Conn){
		"masked":             write(0x81, 0x81, 0, 0, 0, 0, 'a'),
		"reserved opcode":    write(0x83, 0),
		"RSV1 unagreed":      write(0xc1, 0),
		"length of 2^63":     write(head(0x81, 1<<63)...),
		"length of 2^62":     write(head(0x82, 1<<62)...),
		"a large ping":       write(append([]byte{0x89, 126, 0, 126}, make([]byte, 126)...)...),
		"a lone fragment":    write(0x80, 0),
		"no UTF-8":           write(0x81, 1, 0xff),
		"a close of 1 byte":  write(0x88, 1, 0),
		"a close of 1005":    write(0x88, 2, 0x3, 0xed),
		"endless fragments":  endless(append([]byte{0x00, 126, 0x40, 0}, make([]byte, 1<<14)...)),
		"endless empty ones": endless(bytes.Repeat([]byte{0x00, 0}, 1000)),
		"endless pings":      endless(bytes.Repeat([]byte{0x89, 0}, 1000)),
		"nothing, and gone":  func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := hostile(t, func(c net.Conn, accept string) {
				opened(c, accept, "")
				if strings.HasPrefix(name, "endless") && name != "endless pings" {
					c.Write([]byte{0x01, 0})
				}
				frames(c)
			})
			if _, notes, code := attempt(t, url, connect.Options{Wait: -1, Connection: &connection.Options{MaxMessage: 1 << 20}}); code != exit.Broken {
				t.Errorf("%d: %s", code, notes)
			}
		})
	}
	t.Run("a bomb", func(t *testing.T) {
		t.Parallel()
		url := hostile(t, func(c net.Conn, accept string) {
			opened(c, accept, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n")
			c.Write(append(binary.BigEndian.AppendUint16([]byte{0xc2, 126}, uint16(len(bomb))), bomb...))
			io.Copy(io.Discard, c)
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, notes, code := attempt(t, url, connect.Options{Wait: -1, Connection: &connection.Options{MaxMessage: 1 << 16, Compression: ws.Compression{Enabled: true}}})
		runtime.ReadMemStats(&after)
		if code != exit.Broken || !strings.Contains(notes, "too large") || after.Sys-before.Sys > 64<<20 {
			t.Errorf("%d, %d bytes: %s", code, after.Sys-before.Sys, notes)
		}
	})
	for name, c := range map[string]struct {
		answer func(c net.Conn, accept string)
		code   int
	}{
		"wrong Accept":   {func(c net.Conn, _ string) { opened(c, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "") }, exit.Refused},
		"much of a head": {func(c net.Conn, accept string) { opened(c, accept, "X-A: "+strings.Repeat("a", 1<<20)+"\r\n") }, exit.Refused},
		"many heads":     {func(c net.Conn, accept string) { opened(c, accept, strings.Repeat("X-A: a\r\n", 100_000)) }, exit.Refused},
		"no HTTP":        {func(c net.Conn, _ string) { io.WriteString(c, "220 smtp.example.com\r\n\r\n") }, exit.Refused},
		"an escape": {func(c net.Conn, _ string) {
			io.WriteString(c, "HTTP/1.1 403 \x1b[2J\r\nContent-Length: 4\r\n\r\n\x1b[2J")
		}, exit.Refused},
		"endless refusal": {func(c net.Conn, _ string) {
			io.WriteString(c, "HTTP/1.1 500 No\r\n\r\n")
			endless(make([]byte, 1<<14))(c)
		}, exit.Refused},
		"silence":           {func(c net.Conn, _ string) { io.Copy(io.Discard, c) }, exit.Unreachable},
		"another extension": {func(c net.Conn, accept string) { opened(c, accept, "Sec-WebSocket-Extensions: x-evil\r\n") }, exit.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, notes, code := attempt(t, hostile(t, c.answer), connect.Options{Wait: -1})
			if code != c.code || strings.Contains(notes, "\x1b") {
				t.Errorf("%d, want %d: %q", code, c.code, notes)
			}
		})
	}
}
