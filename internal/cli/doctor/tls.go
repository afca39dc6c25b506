package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Security is the data of the check tls.
type Security struct {
	Version      string        `json:"version"`
	Cipher       string        `json:"cipher"`
	ALPN         string        `json:"alpn"`  // agreed on, where h2 and http/1.1 were offered
	HTTP1        bool          `json:"http1"` // http/1.1 alone is agreed on as well
	Certificates []Certificate `json:"certificates"`
	Verified     bool          `json:"verified"`
	Took         Duration      `json:"handshake_ms"`
}

// Certificate is one of those that the server sends.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
}

const (
	maxNames   = 100
	soonExpiry = 14 * 24 * time.Hour
)

// checkTLS agrees on TLS with anybody first, to see who it is, and then says what is wrong with that.
func checkTLS(ctx context.Context, e *examination) Result {
	data := new(Security)
	state, took, err := e.handshake(ctx, "h2", "http/1.1")
	if err != nil {
		return tlsFailed(ctx, err)
	}
	data.Version, data.Cipher, data.ALPN = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), state.NegotiatedProtocol
	data.Took = Duration(took)
	for _, c := range state.PeerCertificates {
		data.Certificates = append(data.Certificates, certificate(c))
	}
	if data.ALPN == "h2" {
		alone, _, err := e.handshake(ctx, "http/1.1")
		data.HTTP1 = err == nil && alone.NegotiatedProtocol != "h2"
	} else {
		data.HTTP1 = true
	}
	wrong := e.verify(state.PeerCertificates)
	data.Verified = wrong == nil
	leaf := state.PeerCertificates[0]
	left := time.Until(leaf.NotAfter)
	summary := fmt.Sprintf("%s, %s, certificate of %s by %s until %s", data.Version, alpn(data.ALPN), leafName(leaf), issuer(leaf),
		leaf.NotAfter.UTC().Format(time.DateOnly))
	switch {
	case wrong != nil && e.t.TLS.InsecureSkipVerify:
		return warn(data, "--insecure takes it; browsers do not. "+certificateAdvice(wrong, state.PeerCertificates), "%s; %s", summary, certificateError(wrong))
	case wrong != nil:
		return unreachable(data, certificateAdvice(wrong, state.PeerCertificates), "%s; %s", summary, certificateError(wrong))
	case !data.HTTP1:
		return warn(data, "WebSockets mostly come over HTTP/1.1: let the server offer http/1.1 by ALPN beside h2.", "%s; http/1.1 is not spoken", summary)
	case state.Version < tls.VersionTLS12:
		return warn(data, "Browsers refuse what is older than TLS 1.2: update what speaks TLS here.", "%s", summary)
	case left < soonExpiry:
		return warn(data, "Renew it: with ACME that should have happened by now (docs/tls.md).", "%s; it expires in %d days", summary, int(left.Hours()/24))
	}
	return ok(data, "%s; %s", summary, Duration(took))
}

// handshake connects, and agrees on TLS without looking at the certificate.
func (e *examination) handshake(ctx context.Context, protocols ...string) (*tls.ConnectionState, time.Duration, error) {
	conn, err := e.connect(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	config := e.t.TLS.Clone()
	config.InsecureSkipVerify = true // it is verified later, to say all that is wrong
	config.VerifyPeerCertificate, config.VerifyConnection = nil, nil
	config.MinVersion = tls.VersionTLS10 // to say so
	config.NextProtos = protocols
	if config.ServerName == "" {
		config.ServerName = e.url.Hostname()
	}
	over := tls.Client(conn, config)
	start := time.Now()
	if err := over.HandshakeContext(ctx); err != nil {
		return nil, 0, err
	}
	took := time.Since(start)
	state := over.ConnectionState()
	if len(state.PeerCertificates) == 0 {
		return nil, 0, errors.New("the server has shown no certificate")
	}
	return &state, took, nil
}

// verify says what is wrong with certificates.
func (e *examination) verify(chain []*x509.Certificate) error {
	o := x509.VerifyOptions{Roots: e.t.TLS.RootCAs, DNSName: e.t.TLS.ServerName, Intermediates: x509.NewCertPool()}
	if o.DNSName == "" {
		o.DNSName = e.url.Hostname()
	}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}

// tlsFailed says why there is no TLS.
func tlsFailed(ctx context.Context, err error) Result {
	if plain, isPlain := errors.AsType[tls.RecordHeaderError](err); isPlain {
		if bytes.HasPrefix(plain.RecordHeader[:], []byte("HTTP/")) {
			return unreachable(nil, "This port speaks http: use that scheme (ws for WebSocket), or the port of https.", "the server answers in plain HTTP, not TLS")
		}
		return unreachable(nil, "This is not the port of https.", "the server does not speak TLS")
	}
	op, isOp := errors.AsType[*net.OpError](err)
	alert := ""
	if isOp && op.Op == "remote error" {
		alert = op.Err.Error()
	}
	switch {
	case wantsCertificate(err):
		return refused(nil, certificateWanted, "%s", alert)
	case strings.Contains(alert, "unrecognized name"):
		return unreachable(nil, "Whoever speaks TLS here does not know this host: --server-name names another.", "%s", alert)
	case alert != "":
		return unreachable(nil, "Server and client cannot agree on TLS: see its versions, ciphers and curves; or it wants a certificate of the client (--cert).", "%s", alert)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return unreachable(nil, "Does this port speak TLS, and does it know this host?", "the server closes the connection during the handshake of TLS")
	case ctx.Err() != nil:
		return unreachable(nil, "Something takes connections and does not answer: a balancer without a server, or a port that does not speak TLS.",
			"the handshake of TLS does not end")
	}
	if isOp {
		err = op.Err
	}
	return unreachable(nil, "Does this port speak TLS?", "no TLS: %v", err)
}

const certificateWanted = "The server wants a certificate of the client: --cert and --key (docs/tls.md)."

// wantsCertificate says whether the server has ended a connection because the client has no certificate, or not the right one. With TLS 1.3 it
// does so after the handshake.
func wantsCertificate(err error) bool {
	op, isOp := errors.AsType[*net.OpError](err)
	if !isOp || op.Op != "remote error" {
		return false
	}
	alert := op.Err.Error()
	return strings.Contains(alert, "certificate required") || strings.Contains(alert, "bad certificate") || strings.Contains(alert, "unknown certificate authority")
}

// certificateError says in short what is wrong.
func certificateError(err error) string {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, isHost := errors.AsType[x509.HostnameError](err)
	_, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case isInvalid && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return "it is not valid before " + invalid.Cert.NotBefore.UTC().Format(time.DateTime)
	case isInvalid && invalid.Reason == x509.Expired:
		return "it has expired"
	case isHost:
		return "it is for another name"
	case isUnknown:
		return "nobody trusted vouches for it"
	}
	return strings.TrimPrefix(err.Error(), "x509: ")
}

// certificateAdvice says what can be done about it.
func certificateAdvice(err error, chain []*x509.Certificate) string {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, isHost := errors.AsType[x509.HostnameError](err)
	leaf := chain[0]
	switch {
	case isInvalid && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return "Is the clock of this machine right?"
	case isInvalid && invalid.Reason == x509.Expired:
		return "Renew it, and have the server read it: a proxy may need a reload (docs/tls.md)."
	case isHost:
		return "It is for " + strings.Join(shorten(names(leaf), 8), ", ") + ": use one of these names, or a certificate that has this one."
	case bytes.Equal(leaf.RawIssuer, leaf.RawSubject):
		return "It is signed by itself: get one from an authority (docs/tls.md, ACME), or trust it with --ca."
	case len(chain) == 1:
		return "The server sends the certificate alone, without those that lead to an authority: give it the full chain (fullchain.pem)."
	}
	return "If the authority is your own, give it with --ca."
}

func certificate(c *x509.Certificate) Certificate {
	all := names(c)
	return Certificate{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: all[:min(len(all), maxNames)],
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
	}
}

// names are those that a certificate is for.
func names(c *x509.Certificate) []string {
	all := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

func leafName(c *x509.Certificate) string {
	all := names(c)
	if len(all) > 0 {
		return strings.Join(shorten(all, 2), ", ")
	}
	return name(c.Subject.CommonName, c.Subject.Organization)
}

func issuer(c *x509.Certificate) string {
	if bytes.Equal(c.RawIssuer, c.RawSubject) {
		return "itself"
	}
	return name(c.Issuer.CommonName, c.Issuer.Organization)
}

func name(common string, organization []string) string {
	if common == "" && len(organization) > 0 {
		common = organization[0]
	}
	if common == "" {
		return "nobody"
	}
	return common
}

func alpn(protocol string) string {
	if protocol == "" {
		return "no ALPN"
	}
	return "ALPN " + protocol
}
