package bridge

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/ws"
)

// HalfClose is the subprotocol of two bridges that meet: bytes as in "binary", and an empty message is the end of what one side sends,
// as a FIN is for TCP. WebSocket itself has no such thing.
const HalfClose = "stream.baro.dev"

// Sizes, in bytes.
const (
	smallRead = 2 << 10   // what a stream that is mostly silent keeps
	largeRead = 64 << 10  // what is read at once of one that is not
	maxQueued = 256 << 10 // what waits for a slow WebSocket; then the stream waits
)

// drainTime is how long the rest of a stream is read, and dropped, whose other side has closed in good order: closing it with bytes
// unread would reset it, and what it was sent last would be lost (RFC 1122 section 4.2.2.13).
const drainTime = 5 * time.Second

// closeTime is how long the end of a connection may take: what is queued leaves first, to a peer that may be slow.
const closeTime = 30 * time.Second

// stream is the side that is no WebSocket: *net.TCPConn, *net.UnixConn, or *stdio.
type stream interface {
	io.ReadWriteCloser
	CloseWrite() error
	SetReadDeadline(time.Time) error
}

// streamError is an error of that side.
type streamError struct{ error }

func (e streamError) Unwrap() error { return e.error }

// ErrIdle is why a connection ended over which nothing came for too long.
var ErrIdle = errors.New("nothing came for too long")

// pair is a WebSocket and a stream that are one connection. One goroutine carries bytes each way; run owns both ends.
//
// Neither reads more before the other has taken what there is, so that the slower of the two sets the pace.
type pair struct {
	ws     *ws.Conn
	stream stream
	halves bool // HalfClose was agreed on
	client bool // the stream is who began: its end may be the end of a question that is yet to be answered
	idle   time.Duration
	linger time.Duration

	sent, received atomic.Int64 // bytes, to and from the WebSocket
	last           atomic.Int64 // when something came, since began
	began          time.Time
}

// ending is how a pair ends.
type ending struct {
	code   ws.StatusCode
	reason string
	err    error // nil: in good order
}

// run carries bytes until both sides are done, one fails, or ctx is done, and closes both. Nothing of it is left afterwards, except who waits
// for standard input and output.
func (p *pair) run(ctx context.Context) error {
	p.began = time.Now()
	up, down := make(chan error, 1), make(chan error, 1)
	inside, cancel := context.WithCancel(ctx)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { up <- p.up(inside) })
	both.Go(func() { down <- p.down(inside) })
	w := watch{pair: p, up: up, down: down, limit: p.idle}
	end := w.wait(ctx)

	closing, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer stop()
	release := context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, stop) })
	defer release()
	if end.code == 0 {
		reset(p.stream)
	} else if err := p.ws.Close(closing, end.code, end.reason); err != nil && end.err == nil {
		end.err = err
	}
	p.ws.CloseNow()
	if end.err != nil {
		reset(p.stream) // what was sent may not be all there was: no orderly end
	} else {
		p.stream.Close()
	}
	if _, ok := p.stream.(*stdio); !ok {
		both.Wait()
	}
	return end.err
}

// reset closes a stream such that its peer sees an error.
func reset(s stream) {
	if tcp, ok := s.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	s.Close()
}

func (p *pair) touch() { p.last.Store(int64(time.Since(p.began))) }

var largeBuffers = sync.Pool{New: func() any { return new([largeRead]byte) }}

// up carries bytes from the stream to the WebSocket. When that takes no more it goes on reading, so that the peer of the stream can end in
// good order; it returns what the stream, or else the WebSocket, has ended with.
func (p *pair) up(ctx context.Context) error {
	var over error // of the WebSocket
	small := make([]byte, smallRead)
	var large *[largeRead]byte
	defer func() {
		if large != nil {
			largeBuffers.Put(large)
		}
	}()
	for {
		buf := small
		if large != nil {
			buf = large[:]
		}
		n, err := p.stream.Read(buf)
		if n > 0 && over == nil {
			p.touch()
			p.sent.Add(int64(n))
			over = p.ws.Write(ctx, ws.Binary, buf[:n])
		}
		switch {
		case err == io.EOF && over == nil && p.halves:
			return p.ws.Write(ctx, ws.Binary, nil)
		case err == io.EOF || err != nil && over != nil:
			return over
		case err != nil:
			return streamError{err}
		}
		switch {
		case large == nil && n == len(small):
			large = largeBuffers.Get().(*[largeRead]byte)
		case large != nil && n <= len(small):
			largeBuffers.Put(large)
			large = nil
		}
	}
}

// down carries the data of messages, text or binary, from the WebSocket to the stream, and returns nil at the end of a half.
func (p *pair) down(ctx context.Context) error {
	for {
		_, r, err := p.ws.Reader(ctx)
		if err != nil {
			return err
		}
		empty, err := p.message(r)
		if err != nil {
			return err
		}
		if empty && p.halves {
			if err := p.stream.CloseWrite(); err != nil {
				return streamError{err}
			}
			return nil
		}
	}
}

func (p *pair) message(r io.Reader) (empty bool, err error) {
	buf := largeBuffers.Get().(*[largeRead]byte)
	defer largeBuffers.Put(buf)
	empty = true
	for {
		n, err := r.Read(buf[:])
		if n > 0 {
			empty = false
			p.touch()
			p.received.Add(int64(n))
			if _, err := p.stream.Write(buf[:n]); err != nil {
				return false, streamError{err}
			}
		}
		if err == io.EOF {
			return empty, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// watch waits for the end of a pair. A direction that has ended is nil.
type watch struct {
	*pair
	up, down <-chan error
	limit    time.Duration // of silence; 0: none
	ended    error         // with which a direction has ended while the other goes on
}

func (w *watch) wait(ctx context.Context) ending {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if w.limit > 0 {
			timer.Reset(w.limit - (time.Since(w.began) - time.Duration(w.last.Load())))
		}
		var over <-chan struct{}
		if w.down == nil && w.ended == nil {
			over = w.ws.Context().Done() // nobody reads it any more
		}
		select {
		case err := <-w.up:
			w.up = nil
			if end, ok := w.upEnded(err); ok {
				return end
			}
		case err := <-w.down:
			w.down = nil
			if end, ok := w.downEnded(err); ok {
				return end
			}
		case <-over:
			if end, ok := w.downEnded(w.ws.Err()); ok {
				return end
			}
		case <-timer.C:
			if w.limit > 0 && time.Since(w.began)-time.Duration(w.last.Load()) >= w.limit {
				if w.up == nil { // nothing more is going to be said
					return ending{ws.StatusNormalClosure, "", nil}
				}
				return ending{ws.StatusGoingAway, "idle for too long", ErrIdle}
			}
		case <-ctx.Done():
			return ending{ws.StatusGoingAway, "", context.Cause(ctx)}
		}
	}
}

// upEnded says whether that is the end: the stream has no more to say, or fails, or the WebSocket takes no more.
func (w *watch) upEnded(err error) (ending, bool) {
	_, ofStream := errors.AsType[streamError](err)
	switch {
	case w.ended != nil && err == nil:
		return ending{ws.StatusNormalClosure, "", nil}, true
	case w.ended != nil:
		return together(w.ended), true
	case ofStream:
		return ending{ws.StatusInternalError, "the connection behind this one broke", err}, true
	case err != nil && w.down == nil:
		return together(w.ws.Err()), true
	case err != nil: // the other direction says why
		return ending{}, false
	case w.down == nil || !w.halves && (!w.client || w.linger == 0):
		return ending{ws.StatusNormalClosure, "", nil}, true
	case !w.halves:
		w.touch()
		if w.limit == 0 || w.linger < w.limit {
			w.limit = w.linger
		}
	}
	return ending{}, false
}

// downEnded says whether that is the end: the WebSocket has no more to say, or has ended, or the stream takes no more.
func (w *watch) downEnded(err error) (ending, bool) {
	_, ofStream := errors.AsType[streamError](err)
	_, terminal := w.stream.(*stdio) // whose input may never end by itself
	switch {
	case err == nil: // a half
		return ending{ws.StatusNormalClosure, "", nil}, w.up == nil || terminal
	case !ofStream && !orderly(err):
		return ending{0, "", err}, true
	case w.up == nil || terminal:
		return together(err), true
	}
	// In good order: the stream ends its half now. Or it takes no more, and what it has said until then may say why.
	w.ended = err
	if !ofStream {
		_ = w.stream.CloseWrite()
	}
	_ = w.stream.SetReadDeadline(time.Now().Add(drainTime))
	return ending{}, false
}

// together is the end of two directions, of which one ended with err.
func together(err error) ending {
	if _, ok := errors.AsType[streamError](err); ok {
		return ending{ws.StatusInternalError, "the connection behind this one broke", err}
	}
	if !orderly(err) {
		return ending{0, "", err}
	}
	return ending{ws.StatusNormalClosure, "", nil}
}

// orderly tells whether a WebSocket has ended as it should: by its peer, with nothing wrong.
func orderly(err error) bool {
	e, ok := errors.AsType[*ws.CloseError](err)
	return ok && e.Remote && (e.Code == ws.StatusNormalClosure || e.Code == ws.StatusGoingAway || e.Code == ws.StatusNoStatus)
}
