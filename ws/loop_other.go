//go:build !linux

package ws

import "net"

// loops are Linux's only.
type loops struct{}

func newLoops(int) *loops { return nil }

func (*loops) close() {}

type place struct{}

func (*Server) detach(*Socket, net.Conn) bool { return false }

func (*Socket) startLoop()    {}
func (*Socket) startReading() {}
