package exit

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

// Unanswered reports whether err, of a connection that could not be made, says that nobody could be reached (Unreachable): it is of the network, of TLS or
// of a time that was over, and not of what a server has said (Refused).
func Unanswered(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, context.DeadlineExceeded, http.ErrSchemeMismatch} {
		if errors.Is(err, end) {
			return true
		}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if strings.Contains(err.Error(), "http2: client conn could not be established") { // which has ended before it began; there is no other way to tell
		return true
	}
	var timeout interface{ Timeout() bool } // as those of package net have
	return errors.As(err, &timeout)
}
