package ws

import (
	"io"
	"net"
	"time"
)

// A transport is the stream of bytes under a connection. One goroutine at a time reads, one at a time writes; the
// other methods may be called from anywhere.
type transport interface {
	// read waits for bytes and reads them: into dst, or, if dst is nil, into a buffer that it takes from the pool and
	// that is the caller's from then on. While idle, that is, between frames, it holds no buffer while it waits. At
	// the end of the stream it returns io.EOF, after an interrupt an error that matches os.ErrDeadlineExceeded:
	// nothing is lost then.
	read(dst []byte, idle bool) (p []byte, buf *[readSize]byte, err error)
	// resume lets read wait again after an interrupt.
	resume()
	// interrupt makes a read that waits, and those that come until resume, return at once.
	interrupt()

	// tryWrite writes what it can of head and then tail without waiting.
	tryWrite(head, tail []byte) (n int, err error)
	// write writes p, waiting as long as it takes, until close.
	write(p []byte) error
	// closeWrite tells the peer that nothing more will be written, where the stream can say so.
	closeWrite()
	// close ends the stream, and every read and write that waits. A stream that can say goodbye does so only if
	// gracefully, which may take a moment.
	close(gracefully bool) error

	conn() net.Conn // nil where there is none
	// addr is the address of the peer, or of this side; nil where it is not known.
	addr(peer bool) net.Addr
	// attend has the event loop look after the connection.
	attend()
	// yield has the event loop let other goroutines run soon. Only the loop calls it.
	yield()
	// watchRoom has the event loop call gotRoom when there is room to write, at once if there is.
	watchRoom()
	// flushLater has c.flushSoon called on another goroutine. c.mu is held.
	flushLater(c *core)
	// pongLater has a ping answered when the messages that wait have been handled.
	pongLater(payload []byte)
}

// driverless is a transport that no event loop drives.
type driverless struct{}

func (driverless) attend()            {}
func (driverless) yield()             {}
func (driverless) watchRoom()         {}
func (driverless) pongLater([]byte)   {}
func (driverless) flushLater(c *core) { go c.flushSoon() }

// connAddr is the transport.addr of a connection.
func connAddr(nc net.Conn, peer bool) net.Addr {
	switch {
	case nc == nil:
		return nil
	case peer:
		return nc.RemoteAddr()
	}
	return nc.LocalAddr()
}

// newTransport returns the leanest transport for nc.
func newTransport(nc net.Conn) transport {
	nc = plain(nc)
	if t := newSocket(nc); t != nil {
		return t
	}
	if nc.SetReadDeadline(noDeadline) != nil {
		return newStreamTransport(nc) // it has no deadlines, as tunnels often do not
	}
	return &deadlineTransport{nc: nc}
}

// streamOrSocket returns the leanest transport for rwc.
func streamOrSocket(rwc io.ReadWriteCloser) transport {
	if nc, ok := rwc.(net.Conn); ok {
		return newTransport(nc)
	}
	return newStreamTransport(rwc)
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

var noDeadline time.Time

// deadlineTransport is any net.Conn, such as a *tls.Conn: reads can be interrupted, writes cannot be tried.
type deadlineTransport struct {
	driverless
	nc    net.Conn
	first [64]byte // what an idle connection waits with, so that it need not hold a buffer of the pool
}

func (t *deadlineTransport) read(dst []byte, idle bool) ([]byte, *[readSize]byte, error) {
	var buf *[readSize]byte
	waiting := dst == nil && idle
	switch {
	case dst != nil:
	case idle:
		dst = t.first[:]
	default:
		buf = readBuffers.Get().(*[readSize]byte)
		dst = buf[:]
	}
	n, err := readSome(t.nc, dst)
	if err != nil {
		if buf != nil {
			readBuffers.Put(buf)
		}
		return nil, nil, err
	}
	if waiting { // what is handed out must outlive the next read
		buf = readBuffers.Get().(*[readSize]byte)
		copy(buf[:], t.first[:n])
		dst = buf[:]
	}
	return dst[:n], buf, nil
}

func (t *deadlineTransport) resume()    { t.nc.SetReadDeadline(noDeadline) }
func (t *deadlineTransport) interrupt() { t.nc.SetReadDeadline(past) }

func (t *deadlineTransport) tryWrite(head, tail []byte) (int, error) { return 0, nil }

func (t *deadlineTransport) write(p []byte) error {
	_, err := t.nc.Write(p)
	return err
}

func (t *deadlineTransport) closeWrite()    { closeWrite(t.nc) }
func (t *deadlineTransport) conn() net.Conn { return t.nc }

func (t *deadlineTransport) addr(peer bool) net.Addr { return connAddr(t.nc, peer) }

func (t *deadlineTransport) close(gracefully bool) error {
	if inner, ok := t.nc.(interface{ NetConn() net.Conn }); ok && !gracefully {
		inner.NetConn().Close() // crypto/tls would wait up to 5 s for its close_notify to leave
	}
	return t.nc.Close()
}

func closeWrite(c any) {
	if cw, ok := c.(interface{ CloseWrite() error }); ok {
		_ = cw.CloseWrite()
	}
}

// maxEmptyReads is how many reads in a row may return nothing and no error, as one of a net.Pipe does after an empty
// Write.
const maxEmptyReads = 100

// readSome reads at least a byte, or fails.
func readSome(r io.Reader, p []byte) (n int, err error) {
	for range maxEmptyReads {
		if n, err = r.Read(p); n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}
