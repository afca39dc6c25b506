//go:build linux

package peers

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"

	"github.com/gobwas/ws"
)

// gobwasServer uses the library's low level: its own zero-copy handshake, frames read into a lent buffer, unmasked in
// place and written with their header in one write.
func gobwasServer(l net.Listener, o Options) error {
	var buffers pool
	var h hub[net.Conn]
	return accept(l, func(c net.Conn) {
		br := bufio.NewReaderSize(c, o.buffer())
		if _, err := ws.Upgrade(struct {
			io.Reader
			io.Writer
		}{br, c}); err != nil {
			return
		}
		if o.Role == FanOut {
			h.add(c)
			defer h.remove(c)
		}
		for gobwasMessage(c, br, &buffers, o.Role, &h) {
		}
	})
}

const gobwasHeader = 10 // the longest header of a frame that is not masked

func gobwasMessage(c net.Conn, br *bufio.Reader, buffers *pool, role Role, h *hub[net.Conn]) bool {
	header, err := ws.ReadHeader(br)
	if err != nil || header.Length > 1<<20 {
		return false
	}
	b := buffers.get()
	defer buffers.put(b)
	if need := gobwasHeader + int(header.Length); len(*b) < need {
		*b = make([]byte, need)
	}
	payload := (*b)[gobwasHeader : gobwasHeader+header.Length]
	if _, err := io.ReadFull(br, payload); err != nil {
		return false
	}
	ws.Cipher(payload, header.Mask, 0)
	switch {
	case header.OpCode == ws.OpPing:
		header.OpCode = ws.OpPong
	case header.OpCode == ws.OpPong:
		return true
	case header.OpCode != ws.OpClose && published(role, payload):
		frame := ws.MustCompileFrame(ws.NewFrame(header.OpCode, true, payload))
		h.each(func(c net.Conn) error { return write(c, frame) })
		return true
	}
	return write(c, withHeader(*b, header)) == nil && header.OpCode != ws.OpClose
}

// withHeader puts the header of a frame in front of its payload, which starts at gobwasHeader.
func withHeader(b []byte, h ws.Header) []byte {
	end := gobwasHeader + int(h.Length)
	start := gobwasHeader - 2
	switch {
	case h.Length < 126:
		b[start+1] = byte(h.Length)
	case h.Length < 1<<16:
		start -= 2
		b[start+1] = 126
		binary.BigEndian.PutUint16(b[start+2:], uint16(h.Length))
	default:
		start -= 8
		b[start+1] = 127
		binary.BigEndian.PutUint64(b[start+2:], uint64(h.Length))
	}
	b[start] = byte(h.OpCode)
	if h.Fin {
		b[start] |= 0x80
	}
	return b[start:end]
}

func write(c net.Conn, b []byte) error {
	_, err := c.Write(b)
	return err
}

// accept calls f for each connection, on a goroutine of its own, and closes it after.
func accept(l net.Listener, f func(net.Conn)) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			f(c)
		}()
	}
}
