package engineio_test

import (
	"io"
	"net"
	"os"
	"strings"
	"time"
)

var noDeadline time.Time

// dialRaw connects, sends a request, and reads until the end of the answer has come.
func dialRaw(addr *net.TCPAddr, request, end string) (*net.TCPConn, error) {
	c, err := net.DialTCP("tcp", nil, addr)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		c.Close()
		return nil, err
	}
	var answer strings.Builder
	var b [1]byte
	for !strings.HasSuffix(answer.String(), end) {
		if _, err := c.Read(b[:]); err != nil {
			c.Close()
			return nil, err
		}
		answer.WriteByte(b[0])
	}
	_ = c.SetDeadline(noDeadline)
	return c, nil
}

// descriptor returns a connection whose memory is nearly all the kernel's. c is closed.
func descriptor(c *net.TCPConn) (*os.File, error) {
	defer c.Close()
	return c.File()
}
