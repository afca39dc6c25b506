package load

import (
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"baro.dev/internal/eventloop"
)

// epoll is a poller with an epoll instance, for plain TCP and Unix connections.
type epoll struct {
	kernel eventloop.Waiter
	conns  []*conn // by descriptor
	events [256]eventloop.Event
	found  int
	buf    []byte
	ready  bool // the thread is as it is to be
}

// newPoller returns a poller for a worker.
func newPoller() (poller, error) {
	k, err := eventloop.NewWaiter()
	if err != nil {
		return nil, err
	}
	return &epoll{kernel: k, buf: make([]byte, 256<<10)}, nil
}

func (p *epoll) take(c *conn, nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return false
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return false
	}
	fd := -1
	if raw.Control(func(own uintptr) {
		if n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, own, syscall.F_DUPFD_CLOEXEC, 0); errno == 0 {
			fd = int(n)
		}
	}) != nil || fd < 0 {
		return false
	}
	if p.kernel.Add(fd) != nil {
		_ = syscall.Close(fd)
		return false
	}
	nc.Close()
	for len(p.conns) <= fd {
		p.conns = append(p.conns, nil)
	}
	p.conns[fd], c.fd = c, fd
	return true
}

func (p *epoll) wait(d time.Duration) {
	if !p.ready {
		p.ready = true
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		// Timers of this thread end when they are to, and not up to 50 µs later (prctl(2)).
		const setTimerSlack = 29
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0)
	}
	p.found = p.kernel.Wait(p.events[:], max(d, 0))
}

func (p *epoll) handle() {
	for _, e := range p.events[:p.found] {
		if int(e.Fd) >= len(p.conns) || p.conns[e.Fd] == nil {
			continue // what wakes it, or a connection that has ended in this turn
		}
		c := p.conns[e.Fd]
		if e.Events&syscall.EPOLLOUT != 0 && len(c.out) > 0 {
			p.flush(c)
		}
		if e.Events&^syscall.EPOLLOUT != 0 {
			p.read(c, e.Events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0)
		}
	}
}

// read reads all there is, or with an end behind it all there will be.
func (p *epoll) read(c *conn, end bool) {
	for !c.over {
		n, errno := p.kernel.Read(c.fd, p.buf)
		switch {
		case errno == syscall.EAGAIN:
			return
		case errno != 0:
			c.end(errno)
			return
		case n == 0:
			c.end(io.EOF)
			return
		}
		c.heard(p.buf[:n], c.worker.now())
		if n < len(p.buf) && !end {
			return
		}
	}
}

func (p *epoll) flush(c *conn) {
	n, errno := p.kernel.Write(c.fd, c.out, nil)
	if errno != 0 && errno != syscall.EAGAIN {
		c.end(errno)
		return
	}
	if errno == 0 {
		c.out = append(c.out[:0], c.out[n:]...)
	}
	if len(c.out) > 0 {
		p.kernel.WatchRoom(c.fd)
	}
}

func (p *epoll) write(c *conn, b []byte) (int, error) {
	n, errno := p.kernel.Write(c.fd, b, nil)
	if errno == syscall.EAGAIN {
		n, errno = 0, 0
	}
	if errno != 0 {
		return 0, errno
	}
	if n < len(b) {
		p.kernel.WatchRoom(c.fd)
	}
	return n, nil
}

// remove closes the descriptor. An event of this turn that is taken for one of another connection, which got the same descriptor,
// does no harm: there is nothing to read then.
func (p *epoll) remove(c *conn) {
	p.conns[c.fd] = nil
	p.kernel.Close(c.fd)
}

func (p *epoll) wake() { p.kernel.Wake() }

func (p *epoll) close() { p.kernel.Release() }

func (p *epoll) threadTimes() (times, bool) {
	const clockThread = 3 // CLOCK_THREAD_CPUTIME_ID
	var t syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockThread, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return times{}, false
	}
	return times{ran: time.Duration(t.Nano()), waited: runDelay()}, true
}

// runDelay is how long this thread could have run, but had no processor to run on.
func runDelay() time.Duration {
	b, err := os.ReadFile("/proc/thread-self/schedstat")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 2 {
		return 0
	}
	n, _ := strconv.ParseInt(fields[1], 10, 64)
	return time.Duration(n)
}
