package ws

import (
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"

	"baro.dev/internal/crew"
	"baro.dev/internal/eventloop"
	"baro.dev/ws/internal/frame"
	"baro.dev/ws/internal/requesthead"
)

// loops is what drives a Server's plain connections.
type loops struct{ group *eventloop.Group }

// newLoops returns n loops, or half as many as Go runs threads: the fewer loops there are, the more events each finds in a
// turn. On two cores shared with the clients, an echo of 64 B on 100 connections took 1.28 times the processor time on two
// loops that it took on one (248,000 to 318,000 messages a CPU-second; raw epoll 324,000).
func newLoops(n int) *loops {
	if n == 0 {
		n = max(1, runtime.GOMAXPROCS(0)/2)
	}
	return &loops{eventloop.NewGroup(n, eventloop.NewEpoll, func(l *eventloop.Loop) {
		l.Local = &loopLocal{hub: newLoopHub(l), visitors: visitors{make([]*visitor, 0, maxVisitors)}}
	})}
}

// close has the loops end with the last connection.
func (d *loops) close() {
	d.group.Close()
	d.group.Loops(func(l *eventloop.Loop) { l.Local.(*loopLocal).crew.Close() })
}

// loopLocal is what a loop shares between its connections.
type loopLocal struct {
	input *input // of whichever connection is being read; nil while that one keeps it
	batch *batch // messages of the connection that is being read, for its goroutine
	large bool   // they may stay in the loop's buffer, which is lent then
	hub   *loopHub

	// Of the front door.
	head     requesthead.Parser
	visitors visitors
	response []byte

	crew crew.Crew
	late late
	lender
}

// place is what a Socket has only while an event loop reads it. The loop owns it, but for what mu guards.
type place struct {
	conn      eventloop.Conn
	work      *batch // messages that wait to be handled; guarded by mu
	keepalive keepalive
	peer      peerAddr

	started bool // the loop knows of the connection
	opened  bool // OnOpen has returned
	shut    bool // the writing side has been ended
	unread  bool // there is something to be read, when reading goes on
	stopped bool // nothing that comes is parsed any more
	hungUp  bool // the peer has ended its side
	closing bool // keepalive.due is when the time for closing is over
	corked  bool // something may have been held back, to leave with what follows
	left    bool // the descriptor is closed
	over    bool // OnClose is on its way

	lingered int32        // bytes read and dropped
	casts    atomic.Int32 // messages of Multicast on their way; anybody's
}

// peerAddr is an address and port in few bytes.
type peerAddr struct {
	ip   [16]byte
	port uint16
	zone uint16 // the index of the interface, of a link-local address; 0: none
	kind uint8  // 0: none, 4 or 6
}

func peerOf(a *net.TCPAddr) (p peerAddr) {
	if a == nil {
		return p
	}
	p.port = uint16(a.Port)
	if ip := a.IP.To4(); ip != nil {
		p.kind = 4
		copy(p.ip[:], ip)
		return p
	}
	p.kind = 6
	copy(p.ip[:], a.IP)
	if a.Zone != "" {
		if i, err := net.InterfaceByName(a.Zone); err == nil {
			p.zone = uint16(i.Index)
		}
	}
	return p
}

// addr returns the address, nil if there is none.
func (p *peerAddr) addr() *net.TCPAddr {
	switch p.kind {
	case 4:
		return &net.TCPAddr{IP: net.IP(p.ip[:4:4]), Port: int(p.port)}
	case 6:
		a := &net.TCPAddr{IP: net.IP(p.ip[:]), Port: int(p.port)}
		if p.zone != 0 {
			if i, err := net.InterfaceByIndex(int(p.zone)); err == nil {
				a.Zone = i.Name
			}
		}
		return a
	}
	return nil
}

// looped is a Socket as its event loop sees it, and its transport.
type looped Socket

// detach takes the descriptor of a connection that net/http has handed out, and lets go of the rest. Without one it
// returns false.
func (s *Server) detach(c *Socket, nc net.Conn) bool {
	d := s.driver()
	if d == nil {
		return false
	}
	var raw syscall.RawConn
	var err error
	switch nc := nc.(type) {
	case *net.TCPConn:
		raw, err = nc.SyscallConn()
	case *net.UnixConn:
		raw, err = nc.SyscallConn()
	default:
		return false
	}
	if err != nil {
		return false
	}
	fd, err := duplicate(raw)
	if err != nil {
		return false // out of descriptors: as it is, then
	}
	l := (*looped)(c)
	if err := d.group.Join(&c.place.conn, l, fd); err != nil {
		_ = syscall.Close(fd)
		return false
	}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.place.peer = peerOf(a)
	}
	c.tr, c.looped = l, true
	nc.Close()
	return true
}

// startLoop has the loop look after c from now on. It reads nothing yet.
func (c *Socket) startLoop() {
	if err := c.place.conn.Start(); err != nil {
		c.end(lost(err))
	}
}

// startReading has the loop read c, since OnOpen has returned.
func (c *Socket) startReading() {
	c.flags.clear(opening)
	c.tr.attend()
}

// Attend looks after what others have changed.
func (l *looped) Attend() {
	s := (*Socket)(l)
	p := &s.place
	if !p.started {
		p.started = true
		l.start()
	}
	s.mu.Lock()
	ended, writing, limited, ending := s.ended, s.flushing, s.limited, s.finish != finishNone
	linger := s.finish == finishLinger && !s.flushing && !s.blocked && s.out.empty()
	s.mu.Unlock()
	switch {
	case ended && !writing:
		l.leave()
		return
	case ended:
		return // who writes calls again
	case !p.opened && !s.flags.has(opening):
		p.opened = true
		if s.input != nil {
			l.parse() // what came with the request
		}
		p.unread = true
	}
	if limited && !p.closing && s.set.closeTimeout < never {
		p.closing = true
		p.keepalive.due = p.conn.Loop().Now() + s.set.closeTimeout
		l.schedule()
	}
	if linger && !p.shut {
		p.shut = true
		p.conn.Shutdown()
		l.stop()
		p.unread = true
	}
	if p.unread && (p.shut || !p.stopped && p.opened && !s.flags.has(paused|halted)) {
		p.unread = false
		p.conn.Again()
	}
	if ending {
		l.tell()
	}
}

// start begins to look after the peer.
func (l *looped) start() {
	s := (*Socket)(l)
	now := s.place.conn.Loop().Now()
	s.place.keepalive = keepalive{due: now + s.set.pingInterval, idleSince: now}
	l.schedule()
}

// Drain implements eventloop.Handler. The server closes its connections itself.
func (l *looped) Drain() {}

// Flush implements eventloop.Handler.
func (l *looped) Flush() {
	s := (*Socket)(l)
	s.mu.Lock()
	s.flushLocked()
}

// Expire looks at what is due.
func (l *looped) Expire() {
	s := (*Socket)(l)
	now := s.place.conn.Loop().Now()
	if s.place.closing && now >= s.place.keepalive.due {
		s.closeTimedOut()
		return
	}
	if s.place.closing || s.tick(&s.place.keepalive, now) {
		l.schedule()
	}
}

// schedule sets the timer.
func (l *looped) schedule() {
	s := (*Socket)(l)
	conn := &s.place.conn
	if s.place.closing {
		conn.SetTimer(s.place.keepalive.due)
		return
	}
	if s.set.pingInterval == 0 && s.set.idleTimeout == 0 {
		return
	}
	now := conn.Loop().Now()
	next := s.nextTick(&s.place.keepalive, now)
	// Rounded up, so that a loop of many idle connections wakes up for many at once.
	coarse := max(next/16, 1)
	at := now + next
	if late := at % coarse; late > 0 {
		at += coarse - late
	}
	conn.SetTimer(at)
}

// leave closes the connection, and has OnClose called.
func (l *looped) leave() {
	s := (*Socket)(l)
	if !s.place.left {
		s.place.left = true
		if s.input != nil {
			s.dropInput()
			s.input = nil
		}
		s.place.conn.Close()
		s.hub().leave(s)
		s.halve()
	}
	l.tell()
}

// tell has OnClose called, once, when OnOpen has returned: the peer may take its time to see that the connection has failed.
func (l *looped) tell() {
	s := (*Socket)(l)
	if !s.place.over && !s.flags.has(opening) {
		s.place.over = true
		s.hub().leave(s)
		l.closed()
	}
}

func (l *looped) tryWrite(head, tail []byte) (int, error) {
	n, errno := l.place.conn.Write(head, tail)
	switch errno {
	case 0:
		return n, nil
	case syscall.EAGAIN:
		return 0, nil
	}
	return 0, os.NewSyscallError("write", errno)
}

func (l *looped) pongLater(payload []byte) {
	s := (*Socket)(l)
	l.queue(item{kind: itemPing, payload: append([]byte(nil), payload...)}).bytes += frame.MaxControlPayload
	s.postpone = true
}

func (l *looped) flushLater(c *core) { l.local().late.add(c) }

func (l *looped) local() *loopLocal { return l.place.conn.Loop().Local.(*loopLocal) }

func (l *looped) watchRoom() { l.place.conn.WatchRoom() }

func (l *looped) attend() { l.place.conn.Attend() }

func (l *looped) yield() { l.place.conn.Loop().Yield() }

func (l *looped) close(bool) error {
	l.attend()
	return nil
}

func (l *looped) addr(peer bool) net.Addr {
	if peer {
		p := l.place.peer // a copy, since the address refers to it
		if a := p.addr(); a != nil {
			return a
		}
		return nil
	}
	s := (*Socket)(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil // the descriptor may be somebody else's
	}
	return localAddr(s.place.conn.Fd())
}

func localAddr(fd int) net.Addr {
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return nil
	}
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return &net.TCPAddr{IP: append(net.IP(nil), sa.Addr[:]...), Port: sa.Port}
	case *syscall.SockaddrInet6:
		return &net.TCPAddr{IP: append(net.IP(nil), sa.Addr[:]...), Port: sa.Port}
	case *syscall.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: "unix"}
	}
	return nil
}

// What a transport does for those who wait for it, nobody asks of a loop's.

func (l *looped) conn() net.Conn                                     { return nil }
func (l *looped) read([]byte, bool) ([]byte, *[readSize]byte, error) { panic("ws: the loop reads") }
func (l *looped) write([]byte) error                                 { panic("ws: the loop writes") }
func (l *looped) resume()                                            {}
func (l *looped) interrupt()                                         {}
func (l *looped) closeWrite()                                        {}
