package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"time"
)

// authorities are those whose certificates clients may show.
type authorities struct {
	config Clients
	log    *slog.Logger
	watched[trust]
}

// trust is what the files say at a moment.
type trust struct {
	list    []*x509.Certificate
	roots   *x509.CertPool
	revoked map[string]bool // by keyOf
	lists   []*x509.RevocationList
}

// newAuthorities reads the files. nil: clients are not asked for certificates.
func newAuthorities(config Clients, log *slog.Logger) (*authorities, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.CA == "" {
		return nil, nil
	}
	a := &authorities{config: config, log: log}
	files := []string{config.CA}
	if config.CRL != "" {
		files = append(files, config.CRL)
	}
	a.watched = watched[trust]{what: "authorities of clients", files: files, load: a.read, used: a.use, log: log}
	a.seen, a.again = stamps(files), true
	first, err := a.read()
	if err != nil {
		return nil, fmt.Errorf("authorities of clients: %w", err)
	}
	a.current.Store(first)
	return a, nil
}

func (a *authorities) use(was, is *trust) {
	if !was.equal(is) {
		a.log.Info("authorities of clients replaced", "authorities", len(is.list), "revoked", len(is.revoked))
		a.warn()
	}
}

// equal says whether nothing has changed.
func (t *trust) equal(o *trust) bool {
	if len(t.list) != len(o.list) || len(t.lists) != len(o.lists) {
		return false
	}
	for i := range t.list {
		if !t.list[i].Equal(o.list[i]) {
			return false
		}
	}
	for i := range t.lists {
		if !bytes.Equal(t.lists[i].Raw, o.lists[i].Raw) {
			return false
		}
	}
	return true
}

// warn tells of lists that another one should have followed. What they say is believed still.
func (a *authorities) warn() {
	for _, l := range a.current.Load().lists {
		if !l.NextUpdate.IsZero() && time.Now().After(l.NextUpdate) {
			a.log.Warn("the list of revoked certificates is out of date", "issuer", clip(l.Issuer.String()), "due", moment(l.NextUpdate))
		}
	}
}

func (a *authorities) read() (*trust, error) {
	t := &trust{roots: x509.NewCertPool(), revoked: map[string]bool{}}
	text, err := readFile(a.config.CA, maxFileBytes)
	if err != nil {
		return nil, err
	}
	if err := t.trustAll(text); err != nil {
		return nil, fmt.Errorf("%s: %w", a.config.CA, err)
	}
	if a.config.CRL == "" {
		return t, nil
	}
	if text, err = readFile(a.config.CRL, maxListBytes); err != nil {
		return nil, err
	}
	if err := t.revokeAll(text); err != nil {
		return nil, fmt.Errorf("%s: %w", a.config.CRL, err)
	}
	return t, nil
}

// trustAll takes the authorities of a PEM file.
func (t *trust) trustAll(text []byte) error {
	valid := false
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("there is a %q among the certificates", clip(block.Type))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		if !c.IsCA {
			return fmt.Errorf("%s is the certificate of no authority", clip(c.Subject.String()))
		}
		t.list = append(t.list, c)
		t.roots.AddCert(c)
		valid = valid || time.Now().Before(c.NotAfter)
	}
	switch {
	case len(t.list) == 0:
		return errors.New("there is no certificate (PEM) in it")
	case !valid:
		return fmt.Errorf("%s: %w, at %s", clip(t.list[0].Subject.String()), ErrExpired, moment(t.list[0].NotAfter))
	}
	return nil
}

// revokeAll takes the lists of a file: each is of an authority that is trusted.
func (t *trust) revokeAll(text []byte) error {
	if block, _ := pem.Decode(text); block == nil {
		return t.revoke(text)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			return fmt.Errorf("there is a %q among the lists of revoked certificates", clip(block.Type))
		}
		if err := t.revoke(block.Bytes); err != nil {
			return err
		}
	}
	return nil
}

func (t *trust) revoke(der []byte) error {
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	for _, e := range l.Extensions {
		if e.Critical { // it is of a part only, or a change to another list (RFC 5280 section 5.2)
			return fmt.Errorf("the list of %s is not a whole one: it has the critical extension %s", clip(l.Issuer.String()), e.Id)
		}
	}
	if err := t.signed(l); err != nil {
		return fmt.Errorf("the list of %s: %w", clip(l.Issuer.String()), err)
	}
	t.lists = append(t.lists, l)
	for _, e := range l.RevokedCertificateEntries {
		t.revoked[keyOf(l.RawIssuer, e.SerialNumber)] = true
	}
	return nil
}

// signed says whether a list is of an authority that is trusted.
func (t *trust) signed(l *x509.RevocationList) error {
	err := errors.New("its authority is not among those of clients")
	for _, c := range t.list {
		if bytes.Equal(c.RawSubject, l.RawIssuer) {
			if err = l.CheckSignatureFrom(c); err == nil {
				return nil
			}
		}
	}
	return err
}

// keyOf is what a certificate is revoked by.
func keyOf(issuer []byte, serial *big.Int) string { return serial.Text(62) + " " + string(issuer) }
