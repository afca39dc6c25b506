package server

import (
	"net"
	"syscall"
)

const (
	// descriptorReserve is how many descriptors the connections of the listener leave to everything else: the second listener,
	// files, backends. With few in all it is a quarter. Half of them serve to tell connections that there are too many.
	descriptorReserve = 128
	// descriptorsUnknown is the bound where there is none to be known.
	descriptorsUnknown = 0
)

// descriptorLimit is how many this process may have open. A system that bounds them gives the lowest that is free: so the number of
// the last one says how many there are.
type descriptorLimit struct {
	most    int // descriptorsUnknown: not bounded
	reserve int
}

func newDescriptorLimit(most uint64) descriptorLimit {
	if most == descriptorsUnknown || most > 1<<31-1 {
		return descriptorLimit{}
	}
	return descriptorLimit{int(most), min(descriptorReserve, int(most)/4)}
}

// room is how many connections there may be at most.
func (d descriptorLimit) room(most int) int {
	if d.most == descriptorsUnknown {
		return most
	}
	return min(most, d.most-d.reserve)
}

// few says whether a new connection has one of the last descriptors: so few that it is to be told, or even to be cut.
func (d descriptorLimit) few(conn net.Conn) (few, hopeless bool) {
	c, ok := conn.(syscall.Conn)
	if d.most == descriptorsUnknown || !ok {
		return false, false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false, false
	}
	number := 0
	if raw.Control(func(fd uintptr) { number = int(fd) }) != nil {
		return false, false
	}
	return number >= d.most-d.reserve, number >= d.most-d.reserve/2
}
