package ws

import (
	"context"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"syscall"

	"baro.dev/internal/eventloop"
	"baro.dev/ws/internal/handshake"
	"baro.dev/ws/internal/requesthead"
)

// visitor is a connection whose request has not come yet. Its loop owns it.
type visitor struct {
	conn    eventloop.Conn
	front   *front
	set     *settings
	peer    peerAddr
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

// visit has a loop wait for the request on fd. It is called on the loop here.
func (f *front) visit(here *eventloop.Loop, fd int, peer syscall.Sockaddr) error {
	set := f.server.settings()
	v := here.Local.(*loopLocal).visitors.get()
	v.front, v.set, v.peer = f, set, peerOfSockaddr(peer)
	err := f.server.driver().group.Open(here, &v.conn, v, fd)
	if err != nil && v.conn.Loop() == nil {
		_ = syscall.Close(fd)
	}
	return err
}

func peerOfSockaddr(a syscall.Sockaddr) (p peerAddr) {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		p = peerAddr{kind: 4, port: uint16(a.Port)}
		copy(p.ip[:], a.Addr[:])
	case *syscall.SockaddrInet6:
		p = peerAddr{kind: 6, port: uint16(a.Port), zone: uint16(a.ZoneId), ip: a.Addr}
		if ip := net.IP(a.Addr[:]).To4(); ip != nil { // on a listener of both versions
			p.kind = 4
			copy(p.ip[:], ip)
		}
	}
	return p
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

func (v *visitor) local() *loopLocal { return v.conn.Loop().Local.(*loopLocal) }

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

// localAddr returns the address that the peer has connected to.
func (v *visitor) localAddr() net.Addr {
	a := v.front.listener.Addr()
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() { // the listener has many
		return localAddr(v.conn.Fd())
	}
	return a
}

// remoteAddr returns the address of the peer as net/http spells it.
func (v *visitor) remoteAddr() string {
	if a := v.peer.addr(); a != nil {
		return a.String()
	}
	if a, err := syscall.Getpeername(v.conn.Fd()); err == nil {
		if unix, ok := a.(*syscall.SockaddrUnix); ok {
			return unix.Name
		}
	}
	return ""
}

// requested looks at a request whose head is whole.
func (v *visitor) requested(p []byte, head int) {
	s := v.front.server
	if s.OnOpen == nil && s.Admit == nil && s.Options.CheckOrigin == nil && len(s.Options.Subprotocols) == 0 {
		// Nobody sees the request, and nothing of it stays.
		r := v.local().head.Parse(p[:head])
		if r == nil {
			v.handOver(p, nil)
			return
		}
		v.answer(p, head, r, Admission{}, s.Options.checkOrigin(r))
		return
	}
	r := requesthead.Parse(&visitContext{context.Background(), v.front, v.localAddr()}, p[:head])
	if r == nil {
		v.handOver(p, nil)
		return
	}
	r.RemoteAddr = v.remoteAddr()
	switch {
	case s.Admit != nil:
		v.admit(p, head, r)
	case s.Options.CheckOrigin == nil:
		v.answer(p, head, r, Admission{}, s.Options.checkOrigin(r))
	case s.Inline:
		v.ask(r, func(err error) { v.answer(p, head, r, Admission{}, err) })
	default: // it may block
		if v.buf == nil {
			v.buf = newBuffer(len(p))
			v.buf.append(p)
		}
		v.asking, v.request, v.head, v.verdict = true, r, head, make(chan error, 1)
		go v.ask(r, func(err error) {
			v.verdict <- err
			v.conn.Attend()
		})
	}
}

// admit asks Server.Admit. Should that panic, or end the goroutine, the request is left to the handler as well.
func (v *visitor) admit(p []byte, head int, r *http.Request) {
	decided := false
	defer func() {
		if decided {
			return
		}
		if cause := recover(); cause != nil {
			v.set.logger.Error("Admit panicked", "remote", r.RemoteAddr, "panic", cause, "stack", string(debug.Stack()))
		}
		v.handOver(p, nil)
	}()
	var admission Admission
	_, err := handshake.Check(r)
	ok := err == nil
	if ok {
		admission, ok = v.front.server.Admit(r)
	}
	decided = true
	if ok {
		v.answer(p, head, r, admission, nil)
	} else {
		v.handOver(p, admission.Refused)
	}
}

// ask calls decided with what CheckOrigin says, even if that panics or ends the goroutine: it costs its own request only.
func (v *visitor) ask(r *http.Request, decided func(error)) {
	err := error(&HandshakeError{Status: http.StatusInternalServerError, Reason: "internal error"})
	defer func() {
		if cause := recover(); cause != nil {
			v.set.logger.Error("CheckOrigin panicked", "remote", r.RemoteAddr, "panic", cause, "stack", string(debug.Stack()))
		}
		decided(err)
	}()
	err = v.front.server.Options.checkOrigin(r)
}

// decide goes on when CheckOrigin has answered.
func (v *visitor) decide(err error) {
	v.answer(v.buf.b, v.head, v.request, Admission{}, err)
}

// answer opens the WebSocket, or leaves it to net/http to refuse it.
func (v *visitor) answer(p []byte, head int, r *http.Request, a Admission, refused error) {
	s := v.front.server
	up := &upgraded{}
	var response []byte
	err := refused
	if err == nil {
		local := v.local()
		response, err = up.negotiate(local.response[:0], r, &s.Options)
		if err == nil {
			response = handshake.AppendHeader(response, a.Header)
		}
		local.response = response[:0]
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
	c := &Socket{server: s, Data: a.Data, core: core{inline: s.Inline, looped: true}}
	l := (*looped)(c)
	c.init(l, set, false, up.subprotocol, up.deflate, p[head:])
	c.place.peer = v.peer
	c.place.hungUp = v.hungUp
	c.place.started = true
	c.place.conn.Replace(&v.conn, l)
	v.gone = true
	v.drop()
	local := v.local()
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
	local.visitors.put(v)
}

// visitors are those that have been here before, to be used again.
type visitors struct{ free []*visitor }

func (p *visitors) get() *visitor {
	n := len(p.free) - 1
	if n < 0 {
		return new(visitor)
	}
	v := p.free[n]
	p.free = p.free[:n]
	return v
}

// put takes v back, unless somebody may still attend to it.
func (p *visitors) put(v *visitor) {
	if v.request == nil && len(p.free) < cap(p.free) && v.conn.Forgotten() {
		*v = visitor{}
		p.free = append(p.free, v)
	}
}

// maxVisitors is how many are kept.
const maxVisitors = 64

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
