package ws

import (
	"io"
	"net"
	"os"
	"sync"
)

// streamTransport is a stream without deadlines, such as one of HTTP/2: a goroutine of its own waits in each read
// that has to wait, so that the connection's reader can leave and come back.
type streamTransport struct {
	driverless
	rwc io.ReadWriteCloser

	mu          sync.Mutex
	changed     sync.Cond
	reading     bool   // the goroutine is in Read
	got         []byte // what it read, in buf
	buf         *[readSize]byte
	err         error
	interrupted bool

	closeOnce sync.Once
	closeErr  error
}

func newStreamTransport(rwc io.ReadWriteCloser) *streamTransport {
	t := &streamTransport{rwc: rwc}
	t.changed.L = &t.mu
	return t
}

func (t *streamTransport) read(dst []byte, idle bool) ([]byte, *[readSize]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		switch {
		case t.got != nil:
			p, buf := t.got, t.buf
			t.got, t.buf = nil, nil
			if dst == nil {
				return p, buf, nil
			}
			n := copy(dst, p)
			if n < len(p) {
				t.got, t.buf = p[n:], buf
			} else {
				readBuffers.Put(buf)
			}
			return dst[:n], nil, nil
		case t.err != nil:
			return nil, nil, t.err
		case t.interrupted:
			return nil, nil, os.ErrDeadlineExceeded
		case !t.reading:
			t.reading = true
			go t.readOnce(idle)
		}
		t.changed.Wait()
	}
}

func (t *streamTransport) readOnce(idle bool) {
	var n int
	var err error
	var buf *[readSize]byte
	if idle {
		var first [64]byte // so that a stream that waits holds no buffer of the pool
		n, err = readSome(t.rwc, first[:])
		buf = readBuffers.Get().(*[readSize]byte)
		copy(buf[:], first[:n])
	} else {
		buf = readBuffers.Get().(*[readSize]byte)
		n, err = readSome(t.rwc, buf[:])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reading = false
	if err == nil {
		t.got, t.buf = buf[:n], buf
	} else {
		readBuffers.Put(buf)
		t.err = err
	}
	t.changed.Broadcast()
}

func (t *streamTransport) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.interrupted = false
}

func (t *streamTransport) interrupt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.interrupted = true
	t.changed.Broadcast()
}

func (t *streamTransport) tryWrite(head, tail []byte) (int, error) { return 0, nil }

func (t *streamTransport) write(p []byte) error {
	_, err := t.rwc.Write(p)
	return err
}

func (t *streamTransport) closeWrite() { closeWrite(t.rwc) }

func (t *streamTransport) close(bool) error {
	t.closeOnce.Do(func() { t.closeErr = t.rwc.Close() })
	return t.closeErr
}

func (t *streamTransport) addr(peer bool) net.Addr { return connAddr(t.conn(), peer) }

func (t *streamTransport) conn() net.Conn {
	nc, _ := t.rwc.(net.Conn)
	return nc
}
