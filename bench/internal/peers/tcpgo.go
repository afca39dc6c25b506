//go:build linux

package peers

import "net"

// tcpGoServer is a goroutine for each connection on package net, and no protocol: what reads and writes cost there.
func tcpGoServer(l net.Listener, o Options) error {
	var h hub[net.Conn]
	return accept(l, func(c net.Conn) {
		if o.Role == FanOut {
			h.add(c)
			defer h.remove(c)
		}
		b := make([]byte, max(512, min(o.InFlight, 64<<10)))
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if published(o.Role, b[:n]) {
				h.each(func(c net.Conn) error { return write(c, b[:n]) })
			} else if write(c, b[:n]) != nil {
				return
			}
		}
	})
}
