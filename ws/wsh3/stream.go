package wsh3

import (
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// stream is the client's end of a stream. One goroutine at a time reads, one at a time writes.
type stream struct {
	str     *http3.RequestStream
	release func()
	writing sync.Mutex // held while the stream is written to
}

func (s *stream) Read(p []byte) (int, error) { return s.str.Read(p) }

func (s *stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.str.Write(p)
}

// CloseWrite ends the client's direction.
func (s *stream) CloseWrite() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.str.Close()
}

// Close ends both directions. What has been written still arrives, unless a Write had to be broken off.
func (s *stream) Close() error {
	defer s.release()
	s.str.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	if !s.writing.TryLock() {
		s.str.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		return nil
	}
	defer s.writing.Unlock()
	return s.str.Close()
}

// abort ends both directions of a stream that is of no use.
func abort(str *http3.RequestStream) {
	str.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	str.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
}
