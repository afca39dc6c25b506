package ws

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"baro.dev/internal/eventloop"
	"baro.dev/ws/internal/requesthead"
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
)

// filer is what both kinds of listener have.
type filer interface {
	syscall.Conn
	File() (*os.File, error)
}

// accept accepts connections until the listener is closed. They are read by the event loops.
//
// It does so on a second descriptor of the listener, since net allows no waiting on the first but by Accept, which makes a
// connection of package net of each.
func (f *front) accept() error {
	own, err := f.listener.(filer).File()
	if err != nil {
		return err
	}
	defer own.Close()
	if !f.setOwn(own) {
		return net.ErrClosed
	}
	listener, err := f.listener.(filer).SyscallConn()
	if err != nil {
		return err
	}
	_ = listener.Control(func(fd uintptr) { // what is accepted has it from the listener; Unix sockets do without
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	})
	raw, err := own.SyscallConn()
	if err != nil {
		return err
	}
	backoff := minBackoff
	for {
		_ = own.SetReadDeadline(time.Now().Add(closedCheck))
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			var accepted bool
			if accepted, failed = f.acceptAll(int(fd)); accepted {
				backoff = minBackoff
			}
			return failed != nil
		})
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err // stop has closed it
		}
		if err := listener.Control(func(uintptr) {}); err != nil {
			return err // somebody else has closed it
		}
		if failed == nil {
			continue
		}
		// Out of descriptors or memory: whoever is there may go.
		f.server.settings().logger.Error("cannot accept", "err", failed, "retry", backoff)
		if !f.pause(backoff) {
			return net.ErrClosed
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// acceptAll accepts the connections that wait. It reports whether there was one.
func (f *front) acceptAll(listener int) (accepted bool, err error) {
	for {
		fd, peer, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		switch err {
		case nil:
			if err := f.visit(fd, peer); err != nil {
				return accepted, err
			}
			accepted = true
		case syscall.EAGAIN:
			return accepted, nil
		case syscall.EINTR, syscall.ECONNABORTED:
		default:
			return accepted, os.NewSyscallError("accept4", err)
		}
	}
}

// pause waits, and reports whether the server goes on.
func (f *front) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-f.server.stopping():
		return false
	}
}

// visitor is a connection whose request has not come yet. Its loop owns it.
type visitor struct {
	conn    eventloop.Conn
	front   *front
	set     *settings
	peer    netip.AddrPort
	scanner requesthead.Scanner
	buf     *buffer // what has come; nil: nothing
	began   bool
	hungUp  bool
	gone    bool

	// While a goroutine asks Options.CheckOrigin.
	asking  bool
	request *http.Request
	head    int
	verdict chan error // has room for it
}

// visit has a loop wait for the request on fd.
func (f *front) visit(fd int, peer syscall.Sockaddr) error {
	set := f.server.settings()
	v := &visitor{front: f, set: set, peer: addrPort(peer)}
	if err := f.server.driver().group.Join(&v.conn, v, fd); err != nil {
		syscall.Close(fd)
		return err
	}
	if err := v.conn.Start(); err != nil {
		set.logger.Error("cannot watch a connection", "err", err)
	}
	return nil
}

func addrPort(a syscall.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		addr := netip.AddrFrom16(a.Addr)
		if addr.Is4In6() {
			addr = addr.Unmap()
		} else if a.ZoneId != 0 {
			if i, err := net.InterfaceByIndex(int(a.ZoneId)); err == nil {
				addr = addr.WithZone(i.Name)
			}
		}
		return netip.AddrPortFrom(addr, uint16(a.Port))
	}
	return netip.AddrPort{}
}

// Attend implements eventloop.Handler.
func (v *visitor) Attend() {
	switch {
	case v.gone:
	case !v.began:
		v.began = true
		if timeout := v.front.server.Options.Limits.handshakeTimeout(); timeout < never {
			v.conn.SetTimer(v.conn.Loop().Now() + timeout)
		}
	case v.asking:
		select {
		case err := <-v.verdict:
			v.asking = false
			v.decide(err)
		default:
		}
	}
}

// Flush implements eventloop.Handler.
func (v *visitor) Flush() {}

// Expire implements eventloop.Handler: the request has not come in time.
func (v *visitor) Expire() {
	if !v.asking {
		v.leave()
	}
}

// Drain implements eventloop.Handler: the server goes.
func (v *visitor) Drain() {
	if !v.asking {
		v.leave()
	}
}

func (v *visitor) leave() {
	v.gone = true
	v.drop()
	v.conn.Close()
}

func (v *visitor) drop() {
	if v.buf != nil {
		v.buf.free()
		v.buf = nil
	}
}

// Ready implements eventloop.Handler.
func (v *visitor) Ready(readable, hungUp, _ bool) {
	v.hungUp = v.hungUp || hungUp
	if !readable || v.asking {
		return // what comes behind the request waits until it is answered
	}
	p := v.conn.Loop().Buffer
	n, errno := v.conn.Read(p)
	switch {
	case errno == syscall.EAGAIN:
		return
	case errno != 0 || n == 0:
		v.leave()
		return
	}
	p = p[:n]
	if v.buf != nil {
		v.buf.append(p)
		p = v.buf.b
	}
	outcome, head := v.scanner.Scan(p)
	switch outcome {
	case requesthead.Incomplete:
		if v.buf == nil {
			v.buf = newBuffer(len(p))
			v.buf.append(p)
		}
		if hungUp {
			v.conn.Again()
		}
	case requesthead.Complete:
		v.requested(p, head)
	default:
		v.handOver(p, nil)
	}
}

// visitContext is the context of a request that net/http has not seen.
type visitContext struct {
	context.Context
	front *front
	local net.Addr
}

func (c *visitContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return c.front.http
	case http.LocalAddrContextKey:
		return c.local
	}
	return c.Context.Value(key)
}

// requested looks at a request whose head is whole.
func (v *visitor) requested(p []byte, head int) {
	s := v.front.server
	r := requesthead.Parse(&visitContext{context.Background(), v.front, v.front.listener.Addr()}, p[:head])
	if r == nil {
		v.handOver(p, nil)
		return
	}
	if v.peer.IsValid() {
		r.RemoteAddr = v.peer.String()
	}
	if s.Options.CheckOrigin != nil && !s.Inline {
		// It may block.
		if v.buf == nil {
			v.buf = newBuffer(len(p))
			v.buf.append(p)
		}
		v.asking, v.request, v.head, v.verdict = true, r, head, make(chan error, 1)
		go func() {
			err := error(&HandshakeError{Status: http.StatusInternalServerError, Reason: "internal error"})
			defer func() {
				if cause := recover(); cause != nil {
					v.set.logger.Error("CheckOrigin panicked", "remote", r.RemoteAddr, "panic", cause)
				}
				v.verdict <- err
				v.conn.Attend()
			}()
			err = s.Options.checkOrigin(r)
		}()
		return
	}
	v.answer(p, head, r, s.Options.checkOrigin(r))
}

// decide goes on when CheckOrigin has answered.
func (v *visitor) decide(err error) {
	v.answer(v.buf.b, v.head, v.request, err)
}

// answer opens the WebSocket, or leaves it to net/http to refuse it.
func (v *visitor) answer(p []byte, head int, r *http.Request, refused error) {
	s := v.front.server
	up := &upgraded{}
	var response []byte
	err := refused
	if err == nil {
		response, err = up.negotiate(r, &s.Options)
	}
	if err != nil {
		v.set.logger.Debug("handshake refused", "remote", r.RemoteAddr, "err", err)
		v.handOver(p, err)
		return
	}
	set, ok := s.enter()
	if !ok {
		v.handOver(p, nil)
		return
	}
	if n, errno := v.conn.Write(response, nil); errno != 0 || n < len(response) {
		v.leave() // it does not take two hundred bytes
		s.leave()
		return
	}
	c := &Socket{server: s, core: core{inline: s.Inline, looped: true}}
	l := (*looped)(c)
	c.init(l, set, false, up.subprotocol, up.deflate, p[head:])
	c.place.peer = v.peer
	c.place.hungUp = v.hungUp
	c.place.started = true
	c.place.conn.Replace(&v.conn, l)
	v.gone = true
	v.drop()
	l.start()
	s.add(c)
	switch {
	case s.OnOpen == nil:
	case s.Inline:
		c.flags.set(opening) // until it has returned, even if it ends the goroutine
		defer c.startReading()
		c.guard(func() { s.OnOpen(c, r) })
	default:
		c.flags.set(opening)
		go func() {
			defer c.startReading()
			c.guard(func() { s.OnOpen(c, r) })
		}()
	}
	l.Attend()
}

// handOver leaves the connection to net/http, with what has come, and why the request in it is refused.
func (v *visitor) handOver(p []byte, refused error) {
	h := &handed{read: append([]byte(nil), p...)}
	if refused != nil {
		h.refused.Store(&refused)
	}
	v.gone = true
	v.drop()
	fd := v.conn.Release()
	go func() { // net/http may take a moment to take it
		file := os.NewFile(uintptr(fd), "")
		nc, err := net.FileConn(file)
		file.Close()
		if err != nil {
			v.set.logger.Error("cannot hand a connection over", "err", err)
			return
		}
		h.Conn = nc
		v.front.handed.give(h)
	}()
}
