package ws_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// taken waits until the side under test has read what it is going to read.
func taken(t *testing.T, peers []*peer, stalls bool) {
	t.Helper()
	last, since := -1, time.Now()
	for start := since; time.Since(start) < patience; time.Sleep(time.Millisecond) {
		n := unread(t, peers)
		if n != last {
			last, since = n, time.Now()
		}
		if quiet := time.Since(since); n == 0 && quiet > 20*time.Millisecond || stalls && quiet > 200*time.Millisecond {
			return
		}
	}
	t.Fatal("the side under test does not read")
}

// unread returns how many bytes wait in the kernel for the side under test. It asks the kernel's table, since the
// descriptor may be another one by now than that which was accepted.
func unread(t *testing.T, peers []*peer) (n int) {
	t.Helper()
	tested := map[string]bool{}
	for _, p := range peers {
		tested[ports(p.RemoteAddr(), p.LocalAddr())] = true
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(table), "\n")[1:] {
		// "0: 0100007F:9ABC 0100007F:1234 01 TXQUEUE:RXQUEUE ...", all in hexadecimal.
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		_, local, _ := strings.Cut(fields[1], ":")
		_, remote, _ := strings.Cut(fields[2], ":")
		if !tested[local+" "+remote] {
			continue
		}
		var sending, received int
		if _, err := fmt.Sscanf(fields[4], "%x:%x", &sending, &received); err != nil {
			t.Fatal(line, err)
		}
		n += received
	}
	return n
}

// ports identifies a connection as the kernel's table has it.
func ports(local, remote net.Addr) string {
	return fmt.Sprintf("%04X %04X", local.(*net.TCPAddr).Port, remote.(*net.TCPAddr).Port)
}

// digested waits until the subject has read all that has been sent, over a Unix socket: what comes next is not read together
// with it.
func (p *peer) digested() error {
	raw, err := p.Conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	for start := time.Now(); time.Since(start) < patience; time.Sleep(time.Microsecond) { // whoever spins keeps the loops from their events
		var n int32
		var errno syscall.Errno
		err := raw.Control(func(fd uintptr) {
			_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n)))
		})
		if err != nil || errno != 0 || n == 0 {
			return err
		}
	}
	return fmt.Errorf("not read within %v", patience)
}

// narrow has the kernel keep little of what comes and goes over the connections of l.
func narrow(t testing.TB, l *net.TCPListener) {
	t.Helper()
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range []int{syscall.SO_RCVBUF, syscall.SO_SNDBUF} {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, 32<<10) })
		if err != nil || failed != nil {
			t.Fatal(err, failed)
		}
	}
}
