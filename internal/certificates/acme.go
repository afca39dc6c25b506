package certificates

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// ACME is how certificates are issued (RFC 8555). A zero field means what is said with it.
type ACME struct {
	Domains   []string // the names, each with a certificate of its own. None: there is no ACME
	Email     string   // whom the authority writes to. ""
	Directory string   // the URL of the authority. That of Let's Encrypt
	CA        string   // a PEM file of who vouches for the directory's own certificate. Whom the system trusts
	Storage   string   // the directory that certificates, keys and the account are kept in. Needed
	// HTTPListen is the TCP address that the challenges of HTTP are answered on, ":80" as the world sees it; everything else is
	// sent on to https there. "": there is only the challenge of TLS-ALPN, on the port of TLS, which the world sees as 443.
	HTTPListen string

	Retry time.Duration // the first pause after a directory could not be reached, which doubles up to 5 minutes. 5 s
	Check time.Duration // how often it is looked which certificates are to be renewed. 10 min
}

// Validate says whether the settings make sense.
func (a *ACME) Validate() error {
	if len(a.Domains) == 0 {
		if a.Email != "" || a.Directory != "" || a.CA != "" || a.Storage != "" || a.HTTPListen != "" {
			return errors.New("ACME: which domains certificates are for, is not said")
		}
		return nil
	}
	for _, name := range a.Domains {
		if err := validDomain(name); err != nil {
			return fmt.Errorf("ACME: domain %q: %w", name, err)
		}
	}
	if a.Storage == "" {
		return errors.New("ACME: there is no directory to keep certificates in")
	}
	if a.Directory != "" {
		if u, err := url.Parse(a.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("ACME: directory %q: it must be an https URL", a.Directory)
		}
	}
	if a.HTTPListen != "" {
		if _, _, err := net.SplitHostPort(a.HTTPListen); err != nil {
			return fmt.Errorf("ACME: the address for HTTP: %w", err)
		}
	}
	return nil
}

func validDomain(name string) error {
	if _, err := netip.ParseAddr(name); err == nil {
		return errors.New("it is an address, not a name")
	}
	if strings.HasPrefix(name, "*.") {
		return errors.New("a certificate for all names takes a challenge by DNS, which there is not: name each")
	}
	if len(name) > 253 {
		return errors.New("it is too long")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("it is not the name of a host")
		}
		for _, c := range label {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
				return errors.New("it is not the name of a host; names in other scripts are written with xn--")
			}
		}
	}
	return nil
}

// directoryRoots are who vouches for the directory. nil: whom the system trusts.
func (a *ACME) directoryRoots() (*x509.CertPool, error) {
	if a.CA == "" {
		return nil, nil
	}
	text, err := readFile(a.CA, maxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("ACME: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ACME: %s: there is no certificate (PEM) in it", a.CA)
	}
	return pool, nil
}
