package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// ErrReset is the error of a stream that ended otherwise than by Close of the other side: a piece was lost, its node went or does not
// know it any more, or the bus was away.
var ErrReset = errors.New("cluster: the stream was reset")

const (
	minWindow = 4 << 10
	maxWindow = 1 << 20
	maxPiece  = 16 << 10
	// keptBuffer is how large a buffer may be that an idle stream keeps.
	keptBuffer = 1 << 10
)

// Addr is the address of a stream's end: a node.
type Addr struct{ Node string }

// Network is "cluster".
func (Addr) Network() string { return "cluster" }

func (a Addr) String() string { return a.Node }

// streamKey names a stream on one node: who dialed it numbered it.
type streamKey struct {
	peer   string
	number uint64
	dialed bool // by this node
}

// stream is one end. What is sent is numbered, so that a loss is noticed with the next piece or the next audit; no more is on its way
// than the other side has room for.
type stream struct {
	table *streams
	key   streamKey
	local string // the id of this node

	writing sync.Mutex // held by Write, so that what one writes stays together

	mu      sync.Mutex
	changed sync.Cond // anything below
	open    bool
	closed  bool  // by this side
	ended   bool  // by the other side
	err     error // it was reset

	buffer    []byte
	read      int    // of buffer
	received  uint64 // bytes in all
	consumed  uint64 // bytes in all
	announced uint64 // what of consumed the other side has been told
	came      uint64 // number of the last piece

	number uint64 // of the last piece that was sent
	sent   uint64 // bytes in all
	room   uint64 // how much may have been sent
	window uint64 // of the other side

	auditedNumber, auditedConsumed uint64

	readDeadline, writeDeadline deadline
}

var _ net.Conn = (*stream)(nil)

func newStream(t *streams, key streamKey, local string) *stream {
	st := &stream{table: t, key: key, local: local}
	st.changed.L = &st.mu
	return st
}

// A deadline wakes who waits. It is guarded by stream.mu.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) set(at time.Time, st *stream) {
	d.at = at
	if d.timer != nil {
		d.timer.Stop()
	}
	if wait := time.Until(at); !at.IsZero() && wait > 0 {
		if d.timer == nil {
			d.timer = time.AfterFunc(wait, st.wake)
		} else {
			d.timer.Reset(wait)
		}
	}
	st.changed.Broadcast()
}

// wake has those look who wait. Whoever is about to wait holds mu, and does.
func (st *stream) wake() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.changed.Broadcast()
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// Read implements net.Conn.
func (st *stream) Read(p []byte) (int, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := st.readable(len(p) > 0); err != nil {
		return 0, err
	}
	n := copy(p, st.buffer[st.read:])
	st.read += n
	if st.read == len(st.buffer) {
		st.read = 0
		st.buffer = st.buffer[:0]
		if cap(st.buffer) > keptBuffer {
			st.buffer = nil
		}
	}
	st.taken(n)
	return n, nil
}

// WriteTo implements io.WriterTo: while nothing comes it has no buffer.
func (st *stream) WriteTo(w io.Writer) (written int64, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for {
		switch err := st.readable(true); {
		case err == io.EOF:
			return written, nil
		case err != nil:
			return written, err
		}
		data := st.buffer[st.read:]
		st.buffer, st.read = nil, 0
		st.mu.Unlock()
		n, err := w.Write(data)
		st.mu.Lock()
		written += int64(n)
		if err != nil {
			return written, err
		}
		st.taken(n)
	}
}

// readable waits until there is something to be read, if that is wanted. st.mu is held.
func (st *stream) readable(wait bool) error {
	for {
		switch {
		case st.closed:
			return st.opError("read", net.ErrClosed)
		case st.readDeadline.passed():
			return st.opError("read", os.ErrDeadlineExceeded)
		case !wait || st.read < len(st.buffer):
			return nil
		case st.ended:
			return io.EOF
		case st.err != nil:
			return st.opError("read", st.err)
		}
		st.changed.Wait()
	}
}

// taken has the other side send more when half of the window is free again. st.mu is held.
func (st *stream) taken(n int) {
	st.consumed += uint64(n)
	if !st.ended && st.err == nil && st.consumed-st.announced >= uint64(st.table.node.o.Window)/2 {
		st.announced = st.consumed
		_ = st.table.send(st.key, typeWindow, binary.BigEndian.AppendUint64(nil, st.consumed)) // an audit tells it if that was lost
	}
}

// Write implements net.Conn. It waits while the other side has no room.
func (st *stream) Write(p []byte) (written int, err error) {
	st.writing.Lock()
	defer st.writing.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	for {
		switch {
		case st.closed:
			return written, st.opError("write", net.ErrClosed)
		case st.writeDeadline.passed():
			return written, st.opError("write", os.ErrDeadlineExceeded)
		case st.ended:
			return written, st.opError("write", io.ErrClosedPipe)
		case st.err != nil:
			return written, st.opError("write", st.err)
		case len(p) == 0:
			return written, nil
		}
		n := min(len(p), st.table.maxPiece, int(min(st.room-st.sent, maxWindow)))
		if n == 0 {
			st.changed.Wait()
			continue
		}
		st.number++
		if err := st.table.sendPiece(st.key, typeData, st.number, p[:n]); err != nil {
			st.fail(err, true)
			continue
		}
		st.sent += uint64(n)
		written += n
		p = p[n:]
	}
}

// Close implements net.Conn. What was written before still arrives.
func (st *stream) Close() error {
	st.mu.Lock()
	if st.closed {
		st.mu.Unlock()
		return nil
	}
	st.closed, st.buffer = true, nil
	if !st.ended && st.err == nil {
		st.number++
		_ = st.table.sendPiece(st.key, typeEnd, st.number, nil)
	}
	st.wakeAll()
	st.mu.Unlock()
	st.table.remove(st.key, st)
	return nil
}

// wakeAll ends whatever waits, and timers. st.mu is held.
func (st *stream) wakeAll() {
	for _, d := range []*deadline{&st.readDeadline, &st.writeDeadline} {
		if d.timer != nil {
			d.timer.Stop()
		}
	}
	st.changed.Broadcast()
}

// fail resets the stream, and tells the other side if it is to. What came before can still be read. st.mu is held.
func (st *stream) fail(err error, tell bool) {
	if st.err != nil || st.closed {
		return
	}
	if tell {
		_ = st.table.send(st.key, typeReset, []byte{resetLost})
	}
	st.err = fmt.Errorf("%w: %w", ErrReset, err)
	st.table.node.count.streamsReset.Add(1)
	st.changed.Broadcast()
}

func (st *stream) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "cluster", Source: st.LocalAddr(), Addr: st.RemoteAddr(), Err: err}
}

// LocalAddr is an [Addr].
func (st *stream) LocalAddr() net.Addr { return Addr{st.local} }

// RemoteAddr is an [Addr].
func (st *stream) RemoteAddr() net.Addr { return Addr{st.key.peer} }

// SetDeadline implements net.Conn.
func (st *stream) SetDeadline(t time.Time) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	return errors.Join(st.setDeadline(&st.readDeadline, t), st.setDeadline(&st.writeDeadline, t))
}

// SetReadDeadline implements net.Conn.
func (st *stream) SetReadDeadline(t time.Time) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.setDeadline(&st.readDeadline, t)
}

// SetWriteDeadline implements net.Conn.
func (st *stream) SetWriteDeadline(t time.Time) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.setDeadline(&st.writeDeadline, t)
}

func (st *stream) setDeadline(d *deadline, t time.Time) error {
	if st.closed {
		return st.opError("set", net.ErrClosed)
	}
	d.set(t, st)
	return nil
}
