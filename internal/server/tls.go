package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"baro.dev/internal/auth"
	"baro.dev/internal/certificates"
	"baro.dev/internal/clients"
)

// What a client is told whose certificate was good when it connected.
var (
	errRevoked            = clients.ErrCredentials.With("the client's certificate was revoked")
	errCertificateExpired = clients.ErrExpired.With("the client's certificate has expired")
)

// A PlainHTTPError is what [Server.Listen] returns if the address for challenges over plain HTTP cannot be had.
type PlainHTTPError = certificates.ListenError

// speaksTLS says whether clients reach the server over TLS.
func (c *Config) speaksTLS() bool { return c.TLSCert != "" || len(c.ACME.Domains) > 0 }

func (c *Config) validateTLS() error {
	a := c.acme()
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("a TLS certificate and its key are given together or not at all")
	case c.TLSCert != "" && len(a.Domains) > 0:
		return errors.New("a TLS certificate is in a file, or issued by ACME: there can be one of them")
	case len(a.Domains) > 0 && a.Storage == "":
		return errors.New("ACME: where certificates are kept is not said: there is neither a directory for them nor one for messages")
	case !c.speaksTLS() && c.TLSClients.CA != "":
		return errors.New("clients can show certificates over TLS only, and the server has none")
	}
	return errors.Join(a.Validate(), c.TLSClients.Validate())
}

// acme is what is configured, with the directory that it is kept in.
func (c *Config) acme() certificates.ACME {
	a := c.ACME
	if a.Storage == "" && c.Data != "" && len(a.Domains) > 0 {
		a.Storage = filepath.Join(c.Data, "acme")
	}
	return a
}

// knowsCertificates says whether there are clients of whom their certificates say who they are.
func (c *Config) knowsCertificates() bool {
	return c.TLSClients.CA != "" && c.TLSClients.User != certificates.Nameless
}

// newCertificates reads what there is in files. nil: there is no TLS.
func (c *Config) newCertificates() (*certificates.Keeper, error) {
	if !c.speaksTLS() {
		return nil, nil
	}
	whose := c.TLSClients
	whose.Valid = auth.ValidateUser
	return certificates.New(certificates.Config{
		Cert: c.TLSCert, Key: c.TLSKey, ACME: c.acme(), Clients: whose, MaxHandshakes: c.MaxHandshakes, Log: c.Log,
	})
}

// refusedTLS tells that a handshake was refused, of which nothing else does.
func (s *Server) refusedTLS(reason, why string, who ...slog.Attr) {
	s.metrics.Refused(reason)
	s.teller.tell(context.Background(), reason, "refused", append([]slog.Attr{slog.String("reason", reason), slog.String("why", cutTold(why))}, who...)...)
}

// known is who a client's certificate says it is.
type known struct {
	user  string // "": nobody in particular
	until time.Time
	err   error // one that [clients.ErrorOf] knows: it is not good any more
}

// certificateKey is the key of a known in the context of clients of Socket.IO.
type certificateKey struct{}

// certified says who the certificate of a request's connection says the client is.
func (s *Server) certified(r *http.Request) (k known) {
	if s.certificates == nil {
		return known{}
	}
	var err error
	switch k.user, k.until, err = s.certificates.User(r.TLS); {
	case errors.Is(err, certificates.ErrExpired):
		k.err = errCertificateExpired
	case err != nil:
		k.err = errRevoked
	}
	return k
}

// withCertificate is for [socketio.Options.Context].
func (s *Server) withCertificate(r *http.Request) context.Context {
	ctx := context.Background()
	if k := s.certified(r); k != (known{}) {
		ctx = context.WithValue(ctx, certificateKey{}, k)
	}
	return ctx
}
