//go:build linux

package load

import (
	"encoding/binary"
	"fmt"
)

const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	rsv1     = 0x40 // a compressed message (RFC 7692 6)
)

// appendFrame appends a final frame as a client sends it, masked (RFC 6455 5.2). first is its first byte but for FIN.
func appendFrame(b []byte, first byte, key [4]byte, payload []byte) []byte {
	b = append(b, 0x80|first)
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i&3])
	}
	return b
}

// serverHeader is the length of the header of a frame of so many bytes, from a server.
func serverHeader(size int) int {
	switch {
	case size < 126:
		return 2
	case size < 1<<16:
		return 4
	}
	return 10
}

// counter counts the messages in what a server sends, without looking at payloads. Its methods allocate nothing.
type counter struct {
	size int  // of every message; 0: any
	raw  int  // if not 0, there are no frames and every message is of so many bytes
	beat bool // a message of one byte is a heartbeat (Engine.IO), and not counted as a message

	left    int // bytes of the present frame (or raw message) still to come
	message int // bytes of the present message so far
	head    [10]byte
	have    int  // bytes of the head that have come
	fin     bool // of the present frame
	data    bool // the present frame is not a control frame
	closed  bool // a close frame has come
	beats   int  // heartbeats that have come and nobody has answered yet
	beaten  bool // a heartbeat has come
	single  byte // the payload, if it is of one byte
}

// feed takes what was read and returns how many messages it ended.
func (c *counter) feed(b []byte) (messages int, err error) {
	if c.raw != 0 {
		c.left += len(b)
		messages = c.left / c.raw
		c.left %= c.raw
		return messages, nil
	}
	for len(b) > 0 {
		if c.left > 0 {
			n := min(c.left, len(b))
			if c.message == 1 {
				c.single = b[0]
			}
			c.left -= n
			b = b[n:]
		} else {
			n, err := c.header(b)
			if err != nil {
				return messages, err
			}
			if b = b[n:]; c.have != 0 {
				return messages, nil
			}
		}
		if c.left == 0 && c.data && c.fin {
			switch {
			case c.beat && c.message == 1 && c.single == enginePing:
				c.beats, c.beaten = c.beats+1, true
			case c.size != 0 && c.message != c.size:
				return messages, fmt.Errorf("a message of %d bytes instead of %d", c.message, c.size)
			default:
				messages++
			}
			c.message, c.data = 0, false
		}
	}
	return messages, nil
}

// header takes a frame header, or as much of it as there is, and returns how many bytes it took. If it is complete,
// have is 0 again.
func (c *counter) header(b []byte) (int, error) {
	old := c.have
	c.have += copy(c.head[c.have:], b)
	if c.have < 2 {
		return len(b), nil
	}
	need, length := 2, int(c.head[1])
	switch length {
	case 126:
		need, length = 4, int(binary.BigEndian.Uint16(c.head[2:]))
	case 127:
		need, length = 10, int(binary.BigEndian.Uint64(c.head[2:]))
	}
	if c.have < need {
		return len(b), nil
	}
	c.have = 0
	opcode := c.head[0] & 0xf
	if c.head[1]&0x80 != 0 || length < 0 || opcode > opBinary && opcode < opClose || opcode > 10 {
		return 0, fmt.Errorf("not a frame header of a server: % x", c.head[:need])
	}
	c.closed = c.closed || opcode == opClose
	c.left, c.fin, c.data = length, c.head[0]&0x80 != 0, opcode < opClose
	if c.data {
		c.message += length
	}
	return need - old, nil
}
