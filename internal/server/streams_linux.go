package server

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"baro.dev/internal/eventloop"
)

// streams are the streams that go over plain TCP connections, by HTTP/1.1, when their clients have caught up: few event loops drive
// them. A stream holds no goroutine and no buffer, and what is published in quick succession leaves in one write.
type streams struct {
	server *Server
	group  *eventloop.Group

	mu     sync.Mutex
	open   map[*loopStream]struct{}
	ending ending // of all, those to come too
}

func newStreams(s *Server) *streams {
	loops := max(1, runtime.GOMAXPROCS(0)/2)
	return &streams{
		server: s,
		group:  eventloop.NewGroup(loops, eventloop.NewEpoll, func(l *eventloop.Loop) { l.Local = new([][]byte) }),
		open:   map[*loopStream]struct{}{},
	}
}

// ending is how a stream is to end.
type ending byte

const (
	endNot   ending = iota
	endWhole        // with what waits, and the end of the answer
	endLeave        // the same, and first when to come back
	endCut
)

// loopStream is a stream on its event loop.
type loopStream struct {
	conn    eventloop.Conn
	streams *streams
	queue   *queue
	gone    func() // called once, at the end

	mu     sync.Mutex
	ending ending

	// The loop's.
	started bool
	blocked bool // unsent waits for room
	last    bool // what was written last is the end
	closed  bool
	unsent  []byte        // what the kernel has not taken
	left    int           // how much the client had not acknowledged when its time began
	due     time.Duration // when it must have taken a piece of that; or else of the next heartbeat
}

// takes says whether the stream that answers a request is one for take. Its connection has no other request after it.
func (k *streams) takes(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.ProtoMinor > 0 && connectionOf(r.Context()).plain
}

// take goes on with a stream, whose answer has begun and is in chunks, if it can be had: then the handler of the request returns,
// and gone is called when the stream is over.
func (k *streams) take(w http.ResponseWriter, r *http.Request, who *follower, q *queue, gone func()) bool {
	if !k.takes(r) {
		return false
	}
	nc, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	defer nc.Close() // the loop has a descriptor of its own
	l := &loopStream{streams: k, queue: q, gone: gone}
	fd, err := duplicate(nc)
	if err != nil {
		gone()
		return true
	}
	if err := k.group.Join(&l.conn, l, fd); err != nil {
		_ = syscall.Close(fd)
		gone()
		return true
	}
	k.mu.Lock()
	k.open[l] = struct{}{}
	how := k.ending
	k.mu.Unlock()
	if l.conn.Start() != nil {
		l.end(endCut)
	}
	q.wakes(l)
	who.wakes(l)
	if k.server.draining.Err() != nil {
		how = max(how, endLeave)
	}
	if how != endNot {
		l.end(how)
	}
	return true
}

// duplicate gives a descriptor of the connection that remains when that is closed.
func duplicate(nc net.Conn) (fd int, err error) {
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		return -1, err
	}
	failed := raw.Control(func(own uintptr) {
		n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, own, syscall.F_DUPFD_CLOEXEC, 0)
		if fd = int(n); errno != 0 {
			err = errno
		}
	})
	if failed != nil {
		return -1, failed
	}
	return fd, err
}

// shutdown has all clients come back later. Those that come to this afterwards find out by themselves.
func (k *streams) shutdown(context.Context) {
	k.endAll(endLeave)
	k.group.Close()
}

// closeNow cuts the clients off.
func (k *streams) closeNow() {
	k.endAll(endCut)
	k.group.Close()
}

func (k *streams) endAll(how ending) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ending = max(k.ending, how)
	for l := range k.open {
		l.end(how)
	}
}

// waiting is how many bytes wait for all streams.
func (k *streams) waiting() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for l := range k.open {
		n += l.queue.waiting()
	}
	return n
}

// end has the stream end soon. Any goroutine may call it.
func (l *loopStream) end(how ending) {
	l.mu.Lock()
	l.ending = max(l.ending, how)
	l.mu.Unlock()
	l.conn.Attend()
}

// wake has the stream look at its queue.
func (l *loopStream) wake() { l.conn.Attend() }

// release has the stream end well.
func (l *loopStream) release(leaving bool) {
	if leaving {
		l.end(endLeave)
		return
	}
	l.end(endWhole)
}

// cut has the stream cut: its client is too slow.
func (l *loopStream) cut() {
	l.streams.server.slow(l.queue.client)
	l.end(endCut)
}

// Attend implements [eventloop.Handler].
func (l *loopStream) Attend() {
	if l.closed {
		return
	}
	if !l.started {
		l.started = true
		l.silent()
	}
	l.mu.Lock()
	how := l.ending
	l.mu.Unlock()
	if how == endCut {
		l.close()
		return
	}
	if l.blocked || l.last {
		return
	}
	spare := l.conn.Loop().Local.(*[][]byte) // of whichever stream was written before
	parts, whole := l.queue.take(*spare)
	*spare = nil
	defer func() { *spare = parts }()
	if !whole {
		l.close()
		return
	}
	switch how {
	case endLeave:
		parts = append(parts, l.queue.format.leave(l.streams.server.returnAfter()))
		l.last = true
	case endWhole:
		l.last = true
	}
	l.write(parts)
}

// write sends parts as one chunk (RFC 9112 section 7.1).
func (l *loopStream) write(parts [][]byte) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	b := l.conn.Loop().Buffer[:0]
	if size > 0 {
		b = strconv.AppendInt(b, int64(size), 16)
		b = append(b, "\r\n"...)
		for _, p := range parts {
			b = append(b, p...)
		}
		b = append(b, "\r\n"...)
	}
	if l.last {
		b = append(b, "0\r\n\r\n"...)
	}
	if len(b) == 0 {
		return
	}
	n, errno := l.conn.Write(b, nil)
	switch {
	case errno == syscall.EAGAIN:
		n = 0
	case errno != 0:
		l.close()
		return
	}
	if n == len(b) {
		l.written()
		return
	}
	l.unsent = slices.Clone(b[n:])
	l.blocked = true
	l.wait(l.unacknowledged())
	l.conn.WatchRoom()
}

// unacknowledged is how much the client has not acknowledged of what it is to get. The kernel says that there is room only when
// there is much of it: a slow client may take piece after piece before.
func (l *loopStream) unacknowledged() int {
	sent, err := unix.IoctlGetInt(l.conn.Fd(), unix.SIOCOUTQ)
	if err != nil {
		sent = 0
	}
	return sent + len(l.unsent)
}

// wait begins the time in which the client is to take a piece of what is left.
func (l *loopStream) wait(left int) {
	l.left = left
	l.due = l.conn.Loop().Now() + l.streams.server.config.WriteTimeout
	l.conn.SetTimer(l.due)
}

// written is called when nothing waits to be sent any more.
func (l *loopStream) written() {
	l.queue.left()
	if l.last {
		l.close()
		return
	}
	l.silent()
}

// silent begins the time after which there is a heartbeat.
func (l *loopStream) silent() {
	l.due = l.conn.Loop().Now() + l.streams.server.config.Heartbeat
	l.conn.SetTimer(l.due)
}

// Ready implements [eventloop.Handler]. What the client says is of no interest, but that it has gone is.
func (l *loopStream) Ready(readable, hungUp, writable bool) {
	if writable && l.blocked {
		n, errno := l.conn.Write(l.unsent, nil)
		switch {
		case errno != 0 && errno != syscall.EAGAIN:
			l.close()
			return
		case errno == 0:
			l.unsent = l.unsent[n:]
		}
		if len(l.unsent) == 0 {
			l.unsent, l.blocked = nil, false
			if l.written(); !l.closed {
				l.Attend()
			}
		}
	}
	if l.closed || !readable && !hungUp {
		return
	}
	switch n, errno := l.conn.Read(l.conn.Loop().Buffer); {
	case errno == syscall.EAGAIN:
	case errno != 0 || n == 0:
		l.close()
	default:
		l.conn.Again()
	}
}

// Expire implements [eventloop.Handler].
func (l *loopStream) Expire() {
	switch {
	case l.conn.Loop().Now() < l.due:
		l.conn.SetTimer(l.due)
	case l.blocked:
		if left := l.unacknowledged(); left <= l.left-pieceBytes {
			l.wait(left)
		} else {
			l.close() // too slow
		}
	default:
		l.write([][]byte{l.queue.format.heartbeat})
	}
}

// The rest of [eventloop.Handler] is not asked for.

func (l *loopStream) Drain() {}
func (l *loopStream) Flush() {}

// close closes the connection, on the loop.
func (l *loopStream) close() {
	if l.closed {
		return
	}
	l.closed = true
	l.unsent = nil
	l.conn.Close()
	k := l.streams
	k.mu.Lock()
	delete(k.open, l)
	k.mu.Unlock()
	l.gone()
}
