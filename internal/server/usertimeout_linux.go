package server

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// userTimeout has the connections of a listener end when what was sent is not acknowledged for d (RFC 5482, tcp(7)): the
// kernel would repeat it for a quarter of an hour, and all that while whoever has lost the network would be there.
func userTimeout(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			// Connections have it from the listener.
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
		if err != nil {
			return err
		}
		return failed
	}
}
