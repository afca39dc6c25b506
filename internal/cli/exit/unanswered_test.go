package exit_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"baro.dev/internal/cli/exit"
)

func TestUnanswered(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true},
		{fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), true},
		{fmt.Errorf("TLS: %w", &tls.CertificateVerificationError{Err: errors.New("expired")}), true},
		{tls.RecordHeaderError{Msg: "no TLS"}, true},
		{errors.New("malformed HTTP response"), false},
		{errors.New("another Sec-WebSocket-Accept"), false},
	} {
		if got := exit.Unanswered(c.err); got != c.want {
			t.Errorf("%v: %t", c.err, got)
		}
	}
}
