package dialer

import (
	"errors"
	"fmt"
	"net/http"
)

// Phase is the step of Dial that failed.
type Phase string

// The phases, in the words in which an Error begins.
const (
	PhaseProxy  Phase = "find the proxy for"
	PhaseDial   Phase = "connect to"
	PhaseTunnel Phase = "tunnel through"
	PhaseTLS    Phase = "TLS handshake with"
)

var (
	// ErrInvalidURL is why ParseURL refused.
	ErrInvalidURL = errors.New("invalid WebSocket URL")

	// ErrRedirect is why Redirect refused: not a place that a WebSocket client goes to.
	ErrRedirect = errors.New("redirect refused")

	// ErrInsecureRedirect is an ErrRedirect: from TLS down to plaintext.
	ErrInsecureRedirect = fmt.Errorf("%w: from TLS to plaintext", ErrRedirect)

	// ErrProxyAnswer means that what answered CONNECT does not speak HTTP. What it sent is not quoted: it may echo the
	// credentials.
	ErrProxyAnswer = errors.New("malformed answer to CONNECT")

	// ErrProxyHeaderTooLarge means that the answer to CONNECT did not end within MaxHeaderBytes.
	ErrProxyHeaderTooLarge = errors.New("answer to CONNECT is too large")
)

// Error is a failure of Dial. It matches, through Err, what failed: context.Canceled, *net.OpError,
// *tls.CertificateVerificationError, *ProxyError and so on.
type Error struct {
	Phase Phase
	Addr  string // host:port, path of the socket or scheme://host:port of the proxy; never credentials
	Err   error
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Phase, e.Addr, e.Err) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Timeout says whether the failure was a timeout.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// ProxyError is a proxy's refusal to tunnel.
type ProxyError struct {
	StatusCode int
	Header     http.Header // as the proxy sent it, Proxy-Authenticate for example; not to be trusted
}

// Error names the status by its registered text: the proxy's own reason phrase may hold anything.
func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy answered %d %s", e.StatusCode, http.StatusText(e.StatusCode))
}
