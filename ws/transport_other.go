//go:build !unix

package ws

import "net"

// newSocket returns nil: there is no way here to read a descriptor without waiting.
func newSocket(net.Conn) transport { return nil }
