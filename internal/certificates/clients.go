package certificates

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// ClientAuth is whether clients show certificates.
type ClientAuth string

// The three.
const (
	None    ClientAuth = "none"    // they are not asked
	Request ClientAuth = "request" // one that is shown must be right
	Require ClientAuth = "require" // who shows none is refused
)

// ClientUser is what of a client's certificate says which user, or device, it is.
type ClientUser string

// The three.
const (
	CommonName ClientUser = "cn"   // the common name of its subject
	URI        ClientUser = "uri"  // the one URI among its alternative names, as that of SPIFFE
	Nameless   ClientUser = "none" // nothing: it lets the client in, and tokens say who it is
)

// Clients says which certificates clients show. A zero field means what is said with it.
type Clients struct {
	CA   string     // the PEM file of the authorities that issue them
	CRL  string     // a file of lists of what they have revoked, PEM or DER (RFC 5280 section 5). "": none
	Auth ClientAuth // None
	User ClientUser // CommonName
	// Valid says whether there may be a user of a name. nil: any may be.
	Valid func(name string) error
}

// Validate says whether the settings go together.
func (c *Clients) Validate() error {
	switch c.Auth {
	case "", None:
		if c.CA != "" || c.CRL != "" {
			return errors.New("there are authorities of clients' certificates, but no client is asked for one: it is to be requested or required")
		}
	case Request, Require:
		if c.CA == "" {
			return errors.New("which authorities clients' certificates must be of, is not said")
		}
	default:
		return fmt.Errorf("%q: clients' certificates are %s, %s or %s", string(c.Auth), None, Request, Require)
	}
	switch c.User {
	case "", CommonName, URI, Nameless:
		return nil
	}
	return fmt.Errorf("%q: what of a client's certificate says who it is, is %s, %s or %s", string(c.User), CommonName, URI, Nameless)
}

// Why a client's certificate is refused.
var (
	ErrNoCertificate = errors.New("the client has shown no certificate")
	ErrForeign       = errors.New("it is of no authority that clients' certificates are to be of")
	ErrUsage         = errors.New("it is not for clients (its extended key usage)")
	ErrRevoked       = errors.New("it was revoked")
	ErrName          = errors.New("it does not say who the client is")
)

// ask has the client of one handshake asked for its certificate. refused hears why it is not taken. Sessions that are resumed are judged
// again, by what holds now.
func (a *authorities) ask(c *tls.Config, refused func(error, *x509.Certificate)) {
	c.ClientAuth, c.ClientCAs = tls.RequestClientCert, a.current.Load().roots
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			if a.config.Auth == Require {
				refused(ErrNoCertificate, nil)
				return ErrNoCertificate
			}
			return nil
		}
		err := a.judge(s.PeerCertificates)
		if err != nil {
			refused(err, s.PeerCertificates[0])
		}
		return err
	}
}

// judge says why the first certificate of a chain is not taken.
func (a *authorities) judge(chain []*x509.Certificate) error {
	leaf, trust := chain[0], a.current.Load()
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	found, err := leaf.Verify(x509.VerifyOptions{
		Roots: trust.roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return reason(err)
	}
	for _, c := range found[0][:len(found[0])-1] {
		if trust.revoked[keyOf(c.RawIssuer, c.SerialNumber)] {
			return ErrRevoked
		}
	}
	if a.config.User == Nameless {
		return nil
	}
	_, err = a.name(leaf)
	return err
}

// reason says what is wrong in words of our own.
func reason(err error) error {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		switch invalid.Reason {
		case x509.Expired:
			c := invalid.Cert
			if time.Now().Before(c.NotBefore) {
				return fmt.Errorf("%w, but from %s on", ErrNotYet, moment(c.NotBefore))
			}
			return fmt.Errorf("%w, at %s", ErrExpired, moment(c.NotAfter))
		case x509.IncompatibleUsage:
			return ErrUsage
		}
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return ErrForeign
	}
	return err
}

// name is who a certificate says the client is.
func (a *authorities) name(leaf *x509.Certificate) (string, error) {
	name := leaf.Subject.CommonName
	if a.config.User == URI {
		if len(leaf.URIs) != 1 {
			return "", fmt.Errorf("%w: it has %d URIs among its alternative names, not one", ErrName, len(leaf.URIs))
		}
		name = leaf.URIs[0].String()
	} else if name == "" {
		return "", fmt.Errorf("%w: its subject has no common name", ErrName)
	}
	if a.config.Valid != nil {
		if err := a.config.Valid(name); err != nil {
			return "", fmt.Errorf("%w: %w", ErrName, err)
		}
	}
	return name, nil
}

// User is who the certificate says the client is that a connection was made with, and until when. "": it has shown none, or none says it. The
// error is that it was revoked, or has expired, since then. state may be nil.
func (k *Keeper) User(state *tls.ConnectionState) (name string, until time.Time, err error) {
	a := k.clients
	if a == nil || state == nil || len(state.PeerCertificates) == 0 || a.config.User == Nameless {
		return "", time.Time{}, nil
	}
	leaf := state.PeerCertificates[0]
	if a.current.Load().revoked[keyOf(leaf.RawIssuer, leaf.SerialNumber)] {
		return "", time.Time{}, ErrRevoked
	}
	if !time.Now().Before(leaf.NotAfter) {
		return "", time.Time{}, ErrExpired
	}
	name, err = a.name(leaf)
	return name, leaf.NotAfter, err
}
