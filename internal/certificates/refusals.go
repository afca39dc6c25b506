package certificates

import (
	"crypto/x509"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// refusals tells which clients' certificates were refused, a line each, unless they are many.
type refusals struct {
	log    *slog.Logger
	bound  *rate.Limiter
	untold atomic.Int64
}

func newRefusals(log *slog.Logger) *refusals {
	return &refusals{log: log, bound: rate.NewLimiter(rate.Every(time.Second), 20)}
}

// tell says why. leaf is nil where the client has shown none; its words are not to be trusted.
func (r *refusals) tell(c net.Conn, leaf *x509.Certificate, why error) {
	if !r.bound.Allow() {
		r.untold.Add(1)
		return
	}
	about := []any{"remote", c.RemoteAddr().String(), "error", why.Error()}
	if leaf != nil {
		about = append(about, "subject", clip(leaf.Subject.String()), "issuer", clip(leaf.Issuer.String()), "serial", leaf.SerialNumber.Text(16))
	}
	if n := r.untold.Swap(0); n > 0 {
		about = append(about, "untold", n)
	}
	r.log.Warn("client certificate refused", about...)
}
