package engineio

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"baro.dev/engineio/internal/frame"
	"baro.dev/engineio/internal/payload"
	"baro.dev/internal/crew"
	"baro.dev/ws"
)

// streamLink is a stream as a link. One goroutine reads from it, for as long as there is a stream; another one writes to it,
// while something waits to be written.
type streamLink struct {
	stream io.ReadWriteCloser
	remote net.Addr
	crew   *crew.Crew
	limit  int            // of bytes that may wait
	format payload.Format // does not change once there is a session
	frames frame.Reader   // of the goroutine that reads
	done   chan struct{}  // closed with the stream

	mu      sync.Mutex
	readers sync.Cond // told when paused or gone change
	out     []byte    // frames that wait
	leaving int       // bytes that are being written
	writing bool      // somebody writes
	paused  bool
	closing bool // nothing is sent any more
	gone    bool // the stream has been closed
	why     error
	timer   *time.Timer // of the closing
}

// streamCloseTimeout is how long what has been sent may take to leave a stream that is being closed.
const streamCloseTimeout = 5 * time.Second

func newStreamLink(e *Server, stream io.ReadWriteCloser, remote net.Addr) *streamLink {
	l := &streamLink{
		stream: stream,
		remote: remote,
		crew:   &e.crew,
		limit:  e.set.MaxBuffered,
		frames: frame.Reader{R: stream, Max: e.set.MaxHTTPBufferSize},
		done:   make(chan struct{}),
	}
	l.readers.L = &l.mu
	return l
}

// next reads a message, which is lent until the next call.
func (l *streamLink) next() (ws.Message, error) {
	l.mu.Lock()
	for l.paused && !l.gone {
		l.readers.Wait()
	}
	l.mu.Unlock()
	binary, data, err := l.frames.Next()
	if err == nil && !binary && !utf8.Valid(data) {
		err = fmt.Errorf("%w: text that is not UTF-8", ErrFrame)
	}
	return ws.Message{Type: messageType(binary), Data: data}, err
}

// serve reads what is for s, until the stream ends.
func (l *streamLink) serve(s *Session) {
	for {
		m, err := l.next()
		if err != nil {
			l.lost(s, err)
			return
		}
		s.frame(nil, m)
	}
}

// lost ends s, whose stream cannot be read any more.
func (l *streamLink) lost(s *Session, err error) {
	l.mu.Lock()
	cause := l.why
	l.mu.Unlock()
	why := &CloseError{TransportClose, err}
	switch {
	case errors.Is(cause, ErrBufferFull):
		why = &CloseError{TransportError, cause}
	case cause != nil:
		why.Err = cause
	case err == io.EOF:
		why.Err = nil
	case errors.Is(err, ErrFrame):
		why.Reason = ParseError
	}
	s.finish(why)
	if why.Reason == ParseError {
		s.server.set.Logger.Debug("session breaks the protocol", "remote", s.addr, "error", why)
	}
	l.close()
}

func (l *streamLink) send(p payload.Packet, _ bool) error {
	l.mu.Lock()
	if err := l.admit(frame.Length(l.format, p), p.Type); err != nil {
		return err
	}
	l.out = frame.Append(l.out, l.format, p)
	l.write()
	l.mu.Unlock()
	return nil
}

func (l *streamLink) sendAll(messages []Message) error {
	size := 0
	for i := range messages {
		size += frame.Length(l.format, messages[i].packet())
	}
	l.mu.Lock()
	if err := l.admit(size, payload.Message); err != nil {
		return err
	}
	for i := range messages {
		l.out = frame.Append(l.out, l.format, messages[i].packet())
	}
	l.write()
	l.mu.Unlock()
	return nil
}

func (l *streamLink) sendPrepared(p *Prepared) error {
	all := p.stream(l.format)
	l.mu.Lock()
	if err := l.admit(len(all), payload.Message); err != nil {
		return err
	}
	l.out = append(l.out, all...)
	l.write()
	l.mu.Unlock()
	return nil
}

// admit says whether as many bytes more may wait. If not, it unlocks mu.
func (l *streamLink) admit(size int, t payload.Type) error {
	switch {
	case l.closing:
		l.mu.Unlock()
		return ErrClosed
	case t == payload.Message && l.waiting()+size > l.limit:
		l.mu.Unlock()
		l.fail(ErrBufferFull)
		return ErrBufferFull
	}
	return nil
}

// waiting is how many bytes wait. mu is held.
func (l *streamLink) waiting() int { return len(l.out) + l.leaving }

// write has somebody write what waits. mu is held.
func (l *streamLink) write() {
	if !l.writing && len(l.out) > 0 {
		l.writing = true
		l.crew.Handle(l)
	}
}

// Work writes what waits. It is for the server's crew.
func (l *streamLink) Work() {
	var spare []byte
	for {
		l.mu.Lock()
		b := l.out
		l.out, l.leaving = spare, len(b)
		if len(b) == 0 {
			l.out, l.writing = nil, false
			closing := l.closing
			l.mu.Unlock()
			if closing {
				l.end()
			}
			return
		}
		l.mu.Unlock()
		if _, err := l.stream.Write(b); err != nil {
			l.fail(err)
		}
		spare = nil
		if cap(b) <= frame.KeepBuffer {
			spare = b[:0]
		}
	}
}

// close implements link.
func (l *streamLink) close() {
	l.mu.Lock()
	l.closing = true
	writing := l.writing
	if writing && l.timer == nil && !l.gone {
		l.timer = time.AfterFunc(streamCloseTimeout, l.cut)
	}
	l.mu.Unlock()
	if !writing {
		l.end()
	}
}

// cut implements link.
func (l *streamLink) cut() { l.fail(nil) }

// fail cuts the stream for a reason.
func (l *streamLink) fail(why error) {
	l.mu.Lock()
	if !l.closing {
		l.why = why
	}
	l.closing = true
	l.out = nil
	l.mu.Unlock()
	l.end()
}

// end closes the stream, once.
func (l *streamLink) end() {
	l.mu.Lock()
	if l.gone {
		l.mu.Unlock()
		return
	}
	l.gone = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.readers.Broadcast()
	l.mu.Unlock()
	_ = l.stream.Close()
	close(l.done)
}

func (l *streamLink) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = true
}

func (l *streamLink) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = false
	l.readers.Broadcast()
}

func (l *streamLink) buffered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting()
}

// What is sent while somebody writes leaves together anyway.
func (l *streamLink) cork()   {}
func (l *streamLink) uncork() {}

func (l *streamLink) yield()         {}
func (l *streamLink) name() string   { return WebTransport }
func (l *streamLink) addr() net.Addr { return l.remote }

// stream returns the messages as frames of a format.
func (p *Prepared) stream(format payload.Format) []byte {
	s := &p.streams[format]
	s.once.Do(func() {
		for i := range p.messages {
			s.all = frame.Append(s.all, format, p.messages[i].packet())
		}
	})
	return s.all
}
