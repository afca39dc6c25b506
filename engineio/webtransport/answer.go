package webtransport

import (
	"errors"
	"net/http"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// writer is what an http3.Server gives its handlers.
type writer interface {
	http.ResponseWriter
	http.Flusher
	http3.HTTPStreamer
	http3.Settingser
	FlushError() error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// answer does what net/http does for handlers, and quic-go does not: fields that are about connections of HTTP/1.1 do not leave,
// since clients take an answer with them for malformed (RFC 9114 4.2), and an answer that the client has not accepted in time
// does not end as if it were whole.
type answer struct {
	writer
	begun  bool
	failed bool
}

func (a *answer) WriteHeader(status int) {
	a.begin()
	a.writer.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.begin()
	n, err := a.writer.Write(p)
	a.failed = a.failed || err != nil && !errors.Is(err, http.ErrBodyNotAllowed)
	return n, err
}

func (a *answer) FlushError() error {
	a.begin()
	err := a.writer.FlushError()
	a.failed = a.failed || err != nil
	return err
}

func (a *answer) Flush() { _ = a.FlushError() }

// begin comes before anything leaves.
func (a *answer) begin() {
	if a.begun {
		return
	}
	a.begun = true
	h := a.Header()
	for _, name := range [...]string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
		delete(h, name)
	}
}

// end comes when the handler has returned.
func (a *answer) end() {
	a.begin()
	if a.failed {
		panic(http.ErrAbortHandler)
	}
}

// reject says that a request has not been looked at (RFC 9114 4.1.1). Other than after an answer with 503, a client may send it again
// elsewhere, and an EventSource does.
func reject(w writer) {
	_ = w.SetWriteDeadline(time.Unix(1, 0)) // HTTPStream would send a head
	str := w.HTTPStream()
	str.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
	str.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
}
