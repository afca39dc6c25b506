package ws

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"baro.dev/ws/internal/handshake"
)

// acceptStream answers an extended CONNECT (RFC 8441 5, RFC 9220): from then on the stream carries the frames.
func (up *upgraded) acceptStream(w http.ResponseWriter, r *http.Request, o *AcceptOptions) error {
	if err := handshake.ValidateHeader(o.Header); err != nil {
		return refuse(w, r, err)
	}
	h := w.Header()
	for name, values := range o.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	if up.subprotocol != "" {
		h.Set("Sec-WebSocket-Protocol", up.subprotocol)
	}
	if up.extensions != "" {
		h.Set("Sec-WebSocket-Extensions", up.extensions)
	}
	s := &serverStream{w: w, body: r.Body, control: http.NewResponseController(w)}
	s.control.SetReadDeadline(noDeadline)
	s.control.SetWriteDeadline(noDeadline)
	w.WriteHeader(http.StatusOK)
	if err := s.control.Flush(); err != nil {
		return err
	}
	// When the handler has returned, w must not be touched any more.
	s.stop = context.AfterFunc(r.Context(), s.end)
	up.tr = newStreamTransport(s)
	up.addrs = &addrs{remote: textAddr(r.RemoteAddr)}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		up.addrs.local = local
	}
	return nil
}

// follow ends c with the stream of r, whether or not somebody reads or writes.
func (up *upgraded) follow(r *http.Request, c *core) {
	if up.extended {
		context.AfterFunc(r.Context(), c.streamGone)
	}
}

// textAddr is an address that is only known as text.
type textAddr string

func (a textAddr) Network() string { return "tcp" }
func (a textAddr) String() string  { return string(a) }

// serverStream is the server's end of a stream of HTTP/2 or HTTP/3.
type serverStream struct {
	w       http.ResponseWriter
	body    io.ReadCloser
	control *http.ResponseController
	stop    func() bool

	writing sync.Mutex // held while w is used
	once    sync.Once  // of end
	closed  atomic.Bool
}

func (s *serverStream) Read(p []byte) (int, error) { return s.body.Read(p) }

func (s *serverStream) Write(p []byte) (n int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	defer tooLate(&err)
	if s.closed.Load() {
		return 0, net.ErrClosed
	}
	if n, err = s.w.Write(p); err == nil {
		err = s.control.Flush()
	}
	return n, err
}

// Close ends the stream for this side. When it returns, w is not in use any more.
func (s *serverStream) Close() error {
	s.stop()
	s.end()
	return nil
}

// end is Close, and what follows the end of the request's context. It returns when it is done, whoever has called it
// first.
func (s *serverStream) end() {
	s.once.Do(func() {
		s.closed.Store(true)
		if !s.writing.TryLock() {
			_ = s.interruptWrite()
			s.writing.Lock()
		}
		s.writing.Unlock()
		s.body.Close()
	})
}

// interruptWrite makes a write return that waits because the peer has closed its window.
func (s *serverStream) interruptWrite() (err error) {
	defer tooLate(&err)
	return s.control.SetWriteDeadline(past)
}

// tooLate is deferred where w is used: net/http panics if the handler has returned, and the program should not die of a
// handler that left its connection alone.
func tooLate(err *error) {
	if recover() != nil {
		*err = net.ErrClosed
	}
}
