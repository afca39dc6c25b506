//go:build linux

package eventloop_test

import (
	"io"
	"net"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/eventloop"
	"baro.dev/internal/testkit"
)

// pair is a connection between a probe and a peer.
type pair struct {
	*probe
	peer net.Conn
}

// networks are the kinds of connections there are.
var networks = map[string]func(testing.TB) *pair{"unix": openUnix, "tcp": openTCP}

// openUnix makes both ends, of which the probe is not of a group yet.
func openUnix(t testing.TB) *pair {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[1]), "peer")
	defer file.Close()
	peer, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	return newPair(t, fds[0], peer)
}

// openTCP is openUnix over loopback.
func openTCP(t testing.TB) *pair {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	raw, err := near.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd uintptr
	var errno syscall.Errno
	err = raw.Control(func(own uintptr) {
		fd, _, errno = syscall.Syscall(syscall.SYS_FCNTL, own, syscall.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil || errno != 0 {
		t.Fatal(err, errno)
	}
	return newPair(t, int(fd), peer)
}

func newPair(t testing.TB, fd int, peer net.Conn) *pair {
	peer.SetDeadline(time.Now().Add(testkit.Patience))
	t.Cleanup(func() { peer.Close() })
	return &pair{probe: newProbe(fd), peer: peer}
}

// send has the peer write.
func (p *pair) send(t testing.TB, s string) {
	t.Helper()
	if _, err := io.WriteString(p.peer, s); err != nil {
		t.Fatal(err)
	}
}

// probe is a Handler that does what a test tells it. What is nil is ignored.
type probe struct {
	eventloop.Conn
	fd      int
	onReady func(readable, hungUp, writable bool)
	onAtt   func()
	onFlush func()
	onTimer func()
	onDrain func()

	mu    sync.Mutex
	tasks []func()
	ran   chan struct{}
}

func newProbe(fd int) *probe { return &probe{fd: fd, ran: make(chan struct{}, 1)} }

func (p *probe) Ready(readable, hungUp, writable bool) {
	if p.onReady != nil {
		p.onReady(readable, hungUp, writable)
	}
}

func (p *probe) Attend() {
	if p.onAtt != nil {
		p.onAtt()
	}
	p.mu.Lock()
	tasks := p.tasks
	p.tasks = nil
	p.mu.Unlock()
	for _, task := range tasks {
		task()
	}
}

func (p *probe) Flush() {
	if p.onFlush != nil {
		p.onFlush()
	}
}

func (p *probe) Expire() {
	if p.onTimer != nil {
		p.onTimer()
	}
}

func (p *probe) Drain() {
	if p.onDrain != nil {
		p.onDrain()
	}
}

// post has the loop run f.
func (p *probe) post(f func()) {
	p.mu.Lock()
	p.tasks = append(p.tasks, f)
	p.mu.Unlock()
	p.Conn.Attend()
}

// do runs f on the loop and waits for it.
func (p *probe) do(f func()) {
	p.post(func() {
		defer func() { p.ran <- struct{}{} }()
		f()
	})
	<-p.ran
}

// stop keeps the loop where it is until the function it returns is called: what comes meanwhile comes all at once.
func (p *probe) stop() (resume func()) {
	stopped, resumed := make(chan struct{}), make(chan struct{})
	p.post(func() {
		close(stopped)
		<-resumed
	})
	<-stopped
	return func() { close(resumed) }
}

// drain reads what there is.
func (p *probe) drain() (all string, errno syscall.Errno) {
	var b [4096]byte
	for {
		n, errno := p.Read(b[:])
		if errno != 0 || n == 0 {
			return all, errno
		}
		all += string(b[:n])
	}
}

// newGroup returns a group of so many loops over epoll.
func newGroup(n int) *eventloop.Group {
	return eventloop.NewGroup(n, eventloop.NewEpoll, func(*eventloop.Loop) {})
}

// start opens a pair, has configure set its probe up, and starts it. The test's end closes it.
func start(t testing.TB, g *eventloop.Group, configure func(p *pair)) *pair {
	t.Helper()
	p := openUnix(t)
	if configure != nil {
		configure(p)
	}
	p.join(t, g)
	t.Cleanup(func() { p.do(p.Close) })
	return p
}

// join has the group take the probe on.
func (p *pair) join(t testing.TB, g *eventloop.Group) {
	t.Helper()
	if err := g.Join(&p.Conn, p, p.fd); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
}

// soon waits for a value.
func soon[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(testkit.Patience):
		var stacks strings.Builder
		pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		t.Fatalf("it does not come\n%s", stacks.String())
		panic("unreachable")
	}
}

// dup2 makes fd another descriptor of what from is one of.
func dup2(t testing.TB, from, fd int) {
	t.Helper()
	if err := syscall.Dup3(from, fd, syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
}
