package webtransport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"
)

// visit is a request for a session of WebTransport. One goroutine serves it.
type visit struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	session *wt.Session
	stream  *stream
}

var errTwice = errors.New("webtransport: the session has been opened already")

// open is an engineio.OpenStream.
func (v *visit) open(ctx context.Context) (io.ReadWriteCloser, error) {
	if v.session != nil {
		return nil, errTwice
	}
	session, err := v.server.wt.Upgrade(v.w, v.r)
	if err != nil {
		http.Error(v.w, err.Error(), http.StatusBadRequest)
		return nil, err
	}
	v.session = session
	go v.refuseUni()
	str, err := session.AcceptStream(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	go v.refuse()
	v.stream = &stream{Stream: str}
	return v.stream, nil
}

// refuse ends further streams: what comes over them would wait for ever.
func (v *visit) refuse() {
	for {
		str, err := v.session.AcceptStream(context.Background())
		if err != nil {
			return // the session has ended
		}
		str.CancelRead(0)
		str.CancelWrite(0)
	}
}

func (v *visit) refuseUni() {
	for {
		str, err := v.session.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		str.CancelRead(0)
	}
}

const (
	// leastLinger and mostLinger bound how long a session outlives its stream. Nothing tells when the client has read what it
	// was sent.
	leastLinger = time.Second
	mostLinger  = 3 * time.Second
)

// end ends the session. With it its stream ends at once, and what is on the way, or has not been read, is lost: it is given
// time.
func (v *visit) end() {
	if v.session == nil {
		return
	}
	if v.stream != nil {
		if last, ok := v.stream.finished(); ok {
			v.linger(last)
		}
	}
	v.goodbye()
	_ = v.session.CloseWithError(0, "")
}

// linger waits for the client to end the session, for a time that begins at start.
func (v *visit) linger(start time.Time) {
	c := v.r.Context().Value(connKey{}).(*conn)
	d := min(v.server.linger+4*c.quic.ConnectionStats().SmoothedRTT, mostLinger)
	timer := time.NewTimer(d - time.Since(start))
	defer timer.Stop()
	select {
	case <-v.session.Context().Done():
	case <-timer.C:
	}
}

// goodbye closes the session without an error (draft-ietf-webtrans-http3, "Session Termination"), and lets the client end its
// side. Session.CloseWithError resets that side at the same time: Chromium looks at the reset first, and takes it for a failure.
func (v *visit) goodbye() {
	if v.session.Context().Err() != nil {
		return
	}
	str := v.w.(http3.HTTPStreamer).HTTPStream()
	if str.TryWriteAll(closeSession) == nil && str.Close() == nil {
		v.linger(time.Now())
	}
}

// closeSession is a WT_CLOSE_SESSION capsule with code 0: its type, its length, the code.
var closeSession = []byte{0x68, 0x43, 4, 0, 0, 0, 0}

// stream is the stream of a session. One goroutine at a time reads, one at a time writes.
type stream struct {
	*wt.Stream
	writing sync.Mutex // held while it is written to

	mu       sync.Mutex
	closed   bool
	complete bool      // all that was written is on its way
	last     time.Time // when something was written last
}

func (s *stream) Write(b []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	n, err := s.Stream.Write(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	return n, err
}

// Close ends the server's direction, and has Read and Write return. The client's is left to the end of the session: browsers take
// it for an error when they are told to stop sending.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	past := time.Unix(1, 0)
	_ = s.SetReadDeadline(past)
	if !s.writing.TryLock() {
		_ = s.SetWriteDeadline(past)
		s.CancelWrite(0)
		return nil
	}
	defer s.writing.Unlock()
	s.complete = true
	return s.Stream.Close()
}

// finished reports whether all that was written is on its way, and since when.
func (s *stream) finished() (last time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, s.complete
}
