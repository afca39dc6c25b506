package certificates

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"
)

// ErrExpired and ErrNotYet are why a certificate is not taken for another one.
var (
	ErrExpired = errors.New("it has expired")
	ErrNotYet  = errors.New("it is not valid yet")
)

// pair is a certificate in files, and its key.
type pair struct {
	cert, key string
	log       *slog.Logger
	watched[tls.Certificate]
}

// newPair reads the files. One that has expired is taken at first, for there is no better one.
func newPair(cert, key string, log *slog.Logger) (*pair, error) {
	p := &pair{cert: cert, key: key, log: log}
	p.watched = watched[tls.Certificate]{
		what: "TLS certificate", files: []string{cert, key}, load: p.read, used: p.use, log: log,
	}
	p.seen, p.again = stamps(p.files), true
	c, err := p.read()
	if c == nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	p.current.Store(c)
	return p, nil
}

// read gives the certificate with the error, if its dates are all that is wrong.
func (p *pair) read() (*tls.Certificate, error) {
	cert, err := readFile(p.cert, maxFileBytes)
	if err != nil {
		return nil, err
	}
	key, err := readFile(p.key, maxFileBytes)
	if err != nil {
		return nil, err
	}
	c, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %s", p.cert, p.key, strings.TrimPrefix(err.Error(), "tls: "))
	}
	switch now := time.Now(); {
	case now.After(c.Leaf.NotAfter):
		return &c, fmt.Errorf("%s: %w, at %s", p.cert, ErrExpired, moment(c.Leaf.NotAfter))
	case now.Before(c.Leaf.NotBefore):
		return &c, fmt.Errorf("%s: %w, but from %s on", p.cert, ErrNotYet, moment(c.Leaf.NotBefore))
	}
	return &c, nil
}

func (p *pair) use(was, is *tls.Certificate) {
	if !bytes.Equal(was.Leaf.Raw, is.Leaf.Raw) {
		p.log.Info("TLS certificate replaced", about(is.Leaf)...)
	}
}

func (p *pair) start(net.Addr) error {
	p.log.Info("TLS certificate", about(p.current.Load().Leaf)...)
	return nil
}

func (p *pair) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return p.current.Load(), nil
}

func (p *pair) leaves() []*x509.Certificate { return []*x509.Certificate{p.current.Load().Leaf} }

func (p *pair) close() {}

// about is what the log says of a certificate.
func about(leaf *x509.Certificate) []any {
	return []any{"names", names(leaf), "expires", moment(leaf.NotAfter), "issuer", clip(leaf.Issuer.String())}
}

// names are those that a certificate is for.
func names(leaf *x509.Certificate) string {
	list := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		list = append(list, leaf.Subject.String())
	}
	return clip(strings.Join(list, ","))
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

const maxClipped = 300

// clip bounds what somebody else wrote.
func clip(s string) string {
	if len(s) > maxClipped {
		return strings.ToValidUTF8(s[:maxClipped], "") + "…"
	}
	return s
}
