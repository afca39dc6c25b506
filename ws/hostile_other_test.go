//go:build !linux

package ws_test

import (
	"net"
	"testing"
	"time"
)

// taken waits as long as reading may take: only Linux says what has not been read.
func taken(*testing.T, []*peer, bool) { time.Sleep(100 * time.Millisecond) }

// digested is for Linux, the only system with event loops.
func (p *peer) digested() error { return nil }

// narrow is for where a descriptor is an int.
func narrow(testing.TB, *net.TCPListener) {}
