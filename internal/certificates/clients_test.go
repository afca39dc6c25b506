package certificates_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/auth"
	"baro.dev/internal/certificates"
	"baro.dev/internal/testkit"
)

// devices is a place whose clients show certificates.
type devices struct {
	*place
	authority *testkit.Authority
	config    certificates.Config
	log       logged
	k         *certificates.Keeper

	mu      sync.Mutex
	refused []string
}

func newDevices(t *testing.T, change func(*certificates.Clients)) *devices {
	t.Helper()
	d := &devices{place: newPlace(t), authority: testkit.NewAuthority(t, "devices")}
	d.replace(t, "a.test")
	d.put(t, d.dir+"/devices.pem", d.authority.PEM)
	d.config = certificates.Config{Cert: d.cert, Key: d.key, Interval: 20 * time.Second, Log: d.log.log()}
	d.config.Clients = certificates.Clients{CA: d.dir + "/devices.pem", Auth: certificates.Require, Valid: auth.ValidateUser}
	if change != nil {
		change(&d.config.Clients)
	}
	d.begin(t)
	return d
}

func (d *devices) begin(t *testing.T) {
	t.Helper()
	d.k = keep(t, d.config)
	d.k.OnRefused(func(reason, why string, who ...slog.Attr) {
		d.mu.Lock()
		defer d.mu.Unlock()
		line := reason + ": " + why
		for _, a := range who {
			line += " " + a.String()
		}
		d.refused = append(d.refused, line)
	})
	d.log.lines()
}

// client is one that shows a certificate; without one it has none.
func (d *devices) client(t *testing.T, pair ...[]byte) *tls.Config {
	t.Helper()
	c := &tls.Config{RootCAs: d.ca.Pool(), ServerName: "a.test"}
	if len(pair) == 2 {
		cert, err := tls.X509KeyPair(pair[0], pair[1])
		if err != nil {
			t.Fatal(err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil } // whatever the server wants
	}
	return c
}

// take takes what was refused since the last time.
func (d *devices) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.refused
	d.refused = nil
	return list
}

func pairOf(cert, key []byte) [][]byte { return [][]byte{cert, key} }

// Who may not come in is told to the operator, with the reason.
func TestClientRefused(t *testing.T) {
	foreign := testkit.NewAuthority(t, "foreign")
	twin := testkit.NewAuthority(t, "devices") // the same name, but not the same
	d := newDevices(t, nil)
	usage := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	over := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	early := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }
	selfSigned, selfKey, _ := testkit.Certificate(t)
	own, err := tls.LoadX509KeyPair(selfSigned, selfKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		pair [][]byte
		why  error
		who  string
	}{
		"none":          {nil, certificates.ErrNoCertificate, "remote=pipe"},
		"foreign":       {pairOf(foreign.Issue(t, "door", nil)), certificates.ErrForeign, "subject=CN=door issuer=CN=foreign serial=3e9"},
		"of the twin":   {pairOf(twin.Issue(t, "door", nil)), certificates.ErrForeign, "subject=CN=door issuer=CN=devices"},
		"expired":       {pairOf(d.authority.Issue(t, "door", over)), certificates.ErrExpired, "subject=CN=door"},
		"not yet valid": {pairOf(d.authority.Issue(t, "door", early)), certificates.ErrNotYet, "subject=CN=door"},
		"of a server":   {pairOf(d.authority.Issue(t, "door", usage)), certificates.ErrUsage, "subject=CN=door"},
		"nameless":      {pairOf(d.authority.Issue(t, "", nil)), certificates.ErrName, "serial="},
		"bad name":      {pairOf(d.authority.Issue(t, "a\nlevel=ERROR", nil)), certificates.ErrName, "issuer=CN=devices"},
		"long name":     {pairOf(d.authority.Issue(t, strings.Repeat("x", 300), nil)), certificates.ErrName, "issuer=CN=devices"},
		"the server's":  {pairOf(d.issue(t, "a.test", nil)), certificates.ErrForeign, "issuer=CN=servers"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				config := d.client(t, test.pair...)
				config.MaxVersion = version
				_, err, served := shake(t, d.k, config)
				if err == nil || !errors.Is(served, test.why) {
					t.Errorf("%s: the client %v, the server %v", tls.VersionName(version), err, served)
				}
				got := d.take()
				if len(got) != 1 || !strings.HasPrefix(got[0], "client_certificate: "+test.why.Error()) || !strings.Contains(got[0], test.who) {
					t.Errorf("told is %q", got)
				}
			}
		})
	}
	config := d.client(t)
	config.Certificates = []tls.Certificate{own}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	if _, err, served := shake(t, d.k, config); err == nil || !errors.Is(served, certificates.ErrForeign) {
		t.Errorf("signed by itself: the client %v, the server %v", err, served)
	}
	d.take()
	state, err, served := shake(t, d.k, d.client(t, pairOf(d.authority.Issue(t, "door", nil))...))
	if err != nil || served != nil {
		t.Errorf("a good one: %v, %v", err, served)
	}
	if got := d.take(); got != nil {
		t.Errorf("told of a good one: %q", got)
	}
	_ = state
}

// Who shows nothing may come where certificates are only requested; who shows a bad one may not.
func TestClientRequest(t *testing.T) {
	d := newDevices(t, func(c *certificates.Clients) { c.Auth = certificates.Request })
	if _, err, _ := shake(t, d.k, d.client(t)); err != nil {
		t.Errorf("without one: %v", err)
	}
	foreign := testkit.NewAuthority(t, "foreign")
	if _, err, _ := shake(t, d.k, d.client(t, pairOf(foreign.Issue(t, "door", nil))...)); err == nil {
		t.Error("a foreign one is taken")
	}
}

// What says who it is, is chosen.
func TestClientUser(t *testing.T) {
	uris := func(list ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			for _, s := range list {
				u, err := url.Parse(s)
				if err != nil {
					t.Fatal(err)
				}
				c.URIs = append(c.URIs, u)
			}
		}
	}
	const id = "spiffe://example.test/door/7"
	for name, test := range map[string]struct {
		field  certificates.ClientUser
		common string
		change func(*x509.Certificate)
		want   string
		bad    bool
	}{
		"common name":        {"", "door 7", uris(id), "door 7", false},
		"common name, said":  {certificates.CommonName, "door 7", nil, "door 7", false},
		"URI":                {certificates.URI, "door 7", uris(id), id, false},
		"no URI":             {certificates.URI, "door 7", nil, "", true},
		"two URIs":           {certificates.URI, "door 7", uris(id, id+"8"), "", true},
		"nothing":            {certificates.Nameless, "door 7", uris(id), "", false},
		"nothing, no name":   {certificates.Nameless, "", nil, "", false},
		"URI, no other name": {certificates.URI, "", uris(id), id, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevices(t, func(c *certificates.Clients) { c.User = test.field })
			cert, key := d.authority.Issue(t, test.common, test.change)
			_, err, served := shake(t, d.k, d.client(t, cert, key))
			if test.bad {
				if !errors.Is(served, certificates.ErrName) {
					t.Errorf("it is let in: %v, %v", err, served)
				}
				return
			}
			if err != nil || served != nil {
				t.Fatal(err, served)
			}
			pair, _ := tls.X509KeyPair(cert, key)
			user, until, err := d.k.User(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{pair.Leaf}})
			if user != test.want || err != nil || user != "" && !until.Equal(pair.Leaf.NotAfter) {
				t.Errorf("it is %q until %v, %v", user, until, err)
			}
		})
	}
	d := newDevices(t, nil)
	for _, state := range []*tls.ConnectionState{nil, {}} {
		if user, _, err := d.k.User(state); user != "" || err != nil {
			t.Errorf("nobody is %q, %v", user, err)
		}
	}
}

// The authorities, and what they have revoked, are read anew; sessions that are resumed are judged by what holds then.
func TestClientReload(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				authority := testkit.NewAuthority(t, "devices")
				d := newDevices(t, func(c *certificates.Clients) {
					c.CRL = c.CA + ".crl"
					testkit.WriteFile(t, "", c.CRL, authority.Revoke(t))
					testkit.WriteFile(t, "", c.CA, authority.PEM)
				})
				crl := d.dir + "/devices.pem.crl"
				door, lamp := pairOf(authority.Issue(t, "door", nil)), pairOf(authority.Issue(t, "lamp", nil))
				client := func(pair [][]byte) *tls.Config {
					c := d.client(t, pair...)
					c.ClientSessionCache, c.MaxVersion = tls.NewLRUClientSessionCache(1), version
					return c
				}
				asDoor, asLamp := client(door), client(lamp)
				come := func(c *tls.Config, resumed bool, want error) {
					t.Helper()
					state, err, served := shake(t, d.k, c)
					if want != nil && (err == nil || !errors.Is(served, want)) {
						t.Errorf("the client %v, the server %v, want %v", err, served, want)
					}
					if want == nil && (err != nil || state.DidResume != resumed) {
						t.Errorf("the client %v, the server %v, resumed %v", err, served, state.DidResume)
					}
				}
				come(asDoor, false, nil)
				come(asLamp, false, nil)
				come(asDoor, true, nil)

				d.put(t, crl, authority.Revoke(t, door[0]))
				time.Sleep(time.Minute)
				d.log.want(t, []string{"authorities of clients replaced", "authorities=1", "revoked=1"})
				come(asDoor, true, certificates.ErrRevoked)
				come(client(door), false, certificates.ErrRevoked)
				come(asLamp, true, nil)
				pair, _ := tls.X509KeyPair(door[0], door[1])
				if _, _, err := d.k.User(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{pair.Leaf}}); !errors.Is(err, certificates.ErrRevoked) {
					t.Errorf("who is connected: %v", err)
				}

				other := testkit.NewAuthority(t, "others")
				for what, text := range map[string][]byte{
					"failed to parse|malformed|asn1": []byte("garbage"),
					"its authority is not among":     other.Revoke(t),
					`there is a \"CERTIFICATE\"`:     other.PEM,
				} {
					d.put(t, crl, text)
					time.Sleep(5 * time.Minute)
					lines := d.log.lines()
					if len(lines) != 1 || !strings.Contains(lines[0], "authorities of clients not replaced") || !containsAny(lines[0], what) {
						t.Errorf("want %s: %q", what, lines)
					}
					come(client(door), false, certificates.ErrRevoked)
				}

				// An authority is replaced by another one, which has revoked nothing.
				d.put(t, d.dir+"/devices.pem", other.PEM)
				d.put(t, crl, other.Revoke(t))
				time.Sleep(time.Minute)
				come(asLamp, true, certificates.ErrForeign)
				come(client(pairOf(other.Issue(t, "door", nil))), false, nil)
				d.log.want(t, []string{"authorities of clients replaced"})
				time.Sleep(49 * time.Hour)
				d.log.want(t, []string{"level=WARN", "the list of revoked certificates is out of date", `issuer="CN=others"`, "due="})
				d.k.Close()
			})
		})
	}
}

func containsAny(s, parts string) bool {
	for part := range strings.SplitSeq(parts, "|") {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// Authorities that are none are told at the start.
func TestAuthoritiesRefused(t *testing.T) {
	p := newPlace(t)
	p.replace(t, "a.test")
	leaf, key := p.issue(t, "leaf", nil)
	other := testkit.NewAuthority(t, "others")
	for want, test := range map[string]struct{ ca, crl []byte }{
		"there is no certificate (PEM) in it":  {[]byte("garbage"), nil},
		"CN=leaf is the certificate of no au":  {leaf, nil},
		"there is a \"PRIVATE KEY\" among the": {append(p.ca.PEM, key...), nil},
		"its authority is not among those of":  {p.ca.PEM, other.Revoke(t)},
	} {
		c := certificates.Clients{CA: testkit.WriteFile(t, p.dir, "ca.pem", test.ca), Auth: certificates.Request}
		if test.crl != nil {
			c.CRL = testkit.WriteFile(t, p.dir, "crl.pem", test.crl)
		}
		_, err := certificates.New(certificates.Config{Cert: p.cert, Key: p.key, Clients: c})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "authorities of clients: ") {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for want, c := range map[string]certificates.Clients{
		"no client is asked for one": {CA: "a"},
		"which authorities":          {Auth: certificates.Require},
		`"always": clients' cert`:    {CA: "a", Auth: "always"},
		`"email": what of a client`:  {CA: "a", Auth: certificates.Request, User: "email"},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
