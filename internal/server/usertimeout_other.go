//go:build !linux

package server

import (
	"syscall"
	"time"
)

// userTimeout is for Linux.
func userTimeout(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
