//go:build !linux

package ws

import (
	"net"
	"sync/atomic"
)

// loops are Linux's only.
type loops struct{}

func newLoops(int) *loops { return nil }

func (*loops) close() {}

type place struct {
	casts atomic.Int32 // messages of Multicast on their way
}

func (*Server) detach(*Socket, net.Conn) bool { return false }

func (*Socket) startLoop()    {}
func (*Socket) startReading() {}
