package ws

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"baro.dev/internal/eventloop"
)

// acceptable reports whether connections are accepted without net/http.
func (f *front) acceptable() bool {
	switch f.listener.(type) {
	case *net.TCPListener, *net.UnixListener:
		return f.server.driver() != nil
	}
	return false
}

const (
	minBackoff = 5 * time.Millisecond
	maxBackoff = time.Second
	// closedCheck is how often it is looked whether somebody has closed the listener.
	closedCheck = 100 * time.Millisecond
	// acceptBatch is how many connections are accepted before others have their turn.
	acceptBatch = 64
)

// acceptor accepts connections on an event loop, which owns it.
//
// It does so on a second descriptor of the listener, since package net has no way of waiting for a connection without
// making one of its own of it. So whether somebody has closed the listener is looked at now and then.
type acceptor struct {
	conn    eventloop.Conn
	front   *front
	raw     syscall.RawConn // of the listener
	backoff time.Duration   // after a failure; 0: none
	retry   time.Duration   // when to try again, in the loop's time
	ended   chan error

	mu     sync.Mutex
	closed bool
}

// accept accepts connections until the listener is closed. They are read by the event loops.
func (f *front) accept() error {
	raw, err := f.listener.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	fd, err := duplicate(raw)
	if err != nil {
		return err
	}
	// What is accepted has it from the listener: what package net would set. Unix sockets do without.
	for option, value := range map[int]int{
		syscall.TCP_NODELAY: 1, syscall.TCP_KEEPIDLE: 15, syscall.TCP_KEEPINTVL: 15, syscall.TCP_KEEPCNT: 9,
	} {
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, option, value)
	}
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	a := &acceptor{front: f, raw: raw, ended: make(chan error, 1)}
	if err := f.server.driver().group.Join(&a.conn, a, fd); err != nil {
		_ = syscall.Close(fd)
		return err
	}
	stopped := f.setOwn(a)
	if err := a.conn.Start(); err != nil {
		a.front.server.settings().logger.Error("cannot watch the listener", "err", err)
	}
	if stopped {
		a.conn.Attend()
	}
	return <-a.ended
}

// duplicate returns another descriptor for what raw is.
func duplicate(raw syscall.RawConn) (fd int, err error) {
	failed := raw.Control(func(own uintptr) {
		n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, own, syscall.F_DUPFD_CLOEXEC, 0)
		if fd = int(n); errno != 0 {
			err = os.NewSyscallError("fcntl", errno)
		}
	})
	if failed != nil {
		err = failed
	}
	return fd, err
}

// Close has nobody connect any more.
func (a *acceptor) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		// This makes an event, too.
		_ = syscall.Shutdown(a.conn.Fd(), syscall.SHUT_RDWR)
	}
	return nil
}

// Attend implements eventloop.Handler.
func (a *acceptor) Attend() { a.look() }

// Ready implements eventloop.Handler.
func (a *acceptor) Ready(readable, hungUp, _ bool) {
	if hungUp {
		a.look()
	} else if readable && a.backoff == 0 {
		a.acceptSome()
	}
}

// Expire implements eventloop.Handler.
func (a *acceptor) Expire() { a.look() }

// look sees whether the listener is there, and tries again to accept.
func (a *acceptor) look() {
	if a.closed {
		return
	}
	err := a.raw.Control(func(uintptr) {})
	if err == nil && a.front.isStopped() {
		err = net.ErrClosed
	}
	if err != nil {
		a.end(err)
		return
	}
	if now := a.conn.Loop().Now(); now >= a.retry {
		a.acceptSome()
	}
	if !a.closed {
		next := a.conn.Loop().Now() + closedCheck
		if a.backoff > 0 {
			next = min(next, a.retry)
		}
		a.conn.SetTimer(next)
	}
}

// Flush implements eventloop.Handler.
func (a *acceptor) Flush() {}

// Drain implements eventloop.Handler.
func (a *acceptor) Drain() { a.end(net.ErrClosed) }

func (a *acceptor) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.closed = true
		a.conn.Close()
		a.ended <- err
	}
}

// acceptSome accepts connections that wait.
func (a *acceptor) acceptSome() {
	for range acceptBatch {
		fd, peer, err := syscall.Accept4(a.conn.Fd(), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		switch err {
		case nil:
			err = a.front.visit(a.conn.Loop(), fd, peer)
		case syscall.EAGAIN:
			a.backoff = 0
			return
		case syscall.EINTR, syscall.ECONNABORTED:
			continue
		case syscall.EINVAL:
			return // it has been shut down
		default:
			err = os.NewSyscallError("accept4", err)
		}
		if err != nil {
			a.failed(err)
			return
		}
		a.backoff = 0
	}
	a.conn.Again()
}

// failed pauses: out of descriptors or memory as it is, whoever is there may go.
func (a *acceptor) failed(err error) {
	a.backoff = min(max(minBackoff, 2*a.backoff), maxBackoff)
	a.retry = a.conn.Loop().Now() + a.backoff
	a.conn.SetTimer(min(a.retry, a.conn.Loop().Now()+closedCheck))
	a.front.server.settings().logger.Error("cannot accept", "err", err, "retry", a.backoff)
}
