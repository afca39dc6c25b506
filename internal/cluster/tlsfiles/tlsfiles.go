// Package tlsfiles makes TLS configurations of the files that a connection between machines is set up with.
package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// Files are PEM files. The zero Files are none.
type Files struct {
	Cert, Key string // that is shown to others; both or neither
	CA        string // whose certificates are believed; "": whom the system trusts
}

// Given says whether there are any.
func (f Files) Given() bool { return f != Files{} }

// Check says what is wrong with them.
func (f Files) Check() error {
	if !f.Given() {
		return nil
	}
	_, err := f.Client()
	return err
}

// Client is for whoever dials. The certificate is read again when its file has changed; the authority is not: see [Files.Authority].
func (f Files) Client() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		pool, err := f.pool()
		if err != nil {
			return nil, err
		}
		c.RootCAs = pool
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("a certificate needs its key, and a key its certificate")
	}
	if f.Cert != "" {
		k := &keeper{files: f}
		if _, err := k.get(); err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return k.get() }
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.get() }
	}
	return c, nil
}

// Mutual is for those who listen and dial alike, and show each other certificates of one authority.
func (f Files) Mutual() (*tls.Config, error) {
	c, err := f.Client()
	if err != nil {
		return nil, err
	}
	if f.Cert == "" || f.CA == "" {
		return nil, errors.New("nodes show each other certificates: a certificate, its key, and the authority that has signed those of all are needed")
	}
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, c.RootCAs
	return c, nil
}

// Authority is when the file of the authority was changed last; zero: there is none, or it is not there at the moment.
func (f Files) Authority() time.Time {
	if info, err := os.Stat(f.CA); err == nil {
		return info.ModTime()
	}
	return time.Time{}
}

func (f Files) pool() (*x509.CertPool, error) {
	text, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: there is no certificate in it", f.CA)
	}
	return pool, nil
}

// keeper has a certificate that may be replaced on the disk. One that cannot be read leaves the one before.
type keeper struct {
	files Files

	mu   sync.Mutex
	seen [2]time.Time
	cert *tls.Certificate
}

func (k *keeper) get() (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var now [2]time.Time
	for i, name := range []string{k.files.Cert, k.files.Key} {
		if info, err := os.Stat(name); err == nil {
			now[i] = info.ModTime()
		}
	}
	if k.cert != nil && slices.Equal(now[:], k.seen[:]) {
		return k.cert, nil
	}
	cert, err := tls.LoadX509KeyPair(k.files.Cert, k.files.Key)
	if err != nil && k.cert != nil {
		return k.cert, nil
	}
	if err != nil {
		return nil, err
	}
	k.cert, k.seen = &cert, now
	return k.cert, nil
}
