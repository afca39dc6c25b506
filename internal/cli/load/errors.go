package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
)

// A CloseError is a close frame of the server.
type CloseError struct {
	Code   int // 1005: there was none
	Reason string
}

func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("closed by the server with %d", e.Code)
	}
	return fmt.Sprintf("closed by the server with %d: %q", e.Code, e.Reason)
}

// A StatusError is an answer of a server that refuses what it was asked for.
type StatusError struct {
	Status int
	Body   string // the beginning of it
}

func (e *StatusError) Error() string { return fmt.Sprintf("HTTP status %d", e.Status) }

// kind is what an error is counted as: with nothing in it that differs from one connection to the next.
func kind(err error) string {
	if e, ok := errors.AsType[*CloseError](err); ok {
		return fmt.Sprintf("closed by the server with %d", e.Code)
	}
	if e, ok := errors.AsType[*StatusError](err); ok {
		return e.Error()
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "name not found"
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "timed out"
	}
	if isTLS(err) {
		return "TLS: " + err.Error()
	}
	for _, known := range []struct {
		errno syscall.Errno
		name  string
	}{
		{syscall.ECONNREFUSED, "connection refused"},
		{syscall.ECONNRESET, "connection reset"},
		{syscall.EPIPE, "connection reset"},
		{syscall.EADDRNOTAVAIL, "no port of this machine left"},
		{syscall.EMFILE, "no descriptor left"},
		{syscall.ENFILE, "no descriptor left"},
		{syscall.EHOSTUNREACH, "no way to the host"},
		{syscall.ENETUNREACH, "no way to the network"},
	} {
		if errors.Is(err, known.errno) {
			return known.name
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		return "closed by the server without a word"
	}
	return err.Error()
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}

// failures counts errors by their kinds. All methods may be called concurrently.
type failures struct {
	mu    sync.Mutex
	kinds map[string]int64
	total int64
	first error
	most  int64  // when there are more, enough is called
	stop  func() // once
}

// maxKinds is how many kinds are told apart.
const maxKinds = 50

func (f *failures) add(err error) { f.addN(err, 1) }

func (f *failures) addN(err error, n int64) {
	if n == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kinds == nil {
		f.kinds = make(map[string]int64)
	}
	k := kind(err)
	if _, ok := f.kinds[k]; !ok && len(f.kinds) >= maxKinds {
		k = "other"
	}
	f.kinds[k] += n
	f.total += n
	if f.first == nil {
		f.first = err
	}
	if f.most >= 0 && f.total > f.most && f.stop != nil {
		stop := f.stop
		f.stop = nil
		stop()
	}
}

func (f *failures) look() (total int64, first error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.total, f.first
}
