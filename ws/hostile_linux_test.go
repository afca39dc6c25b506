package ws_test

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// taken waits until all that peers have sent has been read by the other side, or, if that may never be, until nothing more is.
func taken(t *testing.T, peers []*peer, stalls bool) {
	t.Helper()
	last, since := -1, time.Now()
	for start := since; time.Since(start) < patience; time.Sleep(time.Millisecond) {
		n := 0
		for _, p := range peers {
			n += unread(t, p.near)
		}
		if n != last {
			last, since = n, time.Now()
		}
		if quiet := time.Since(since); n == 0 && quiet > 20*time.Millisecond || stalls && quiet > 200*time.Millisecond {
			return
		}
	}
	t.Fatal("the side under test does not read")
}

// unread returns how many bytes wait in the kernel.
func unread(t *testing.T, near net.Conn) (n int) {
	t.Helper()
	raw, err := near.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}
