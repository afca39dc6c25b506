package certificates_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/certificates"
	"baro.dev/internal/testkit"
)

// logged is a log, line by line.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) log() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// lines takes those that were written since the last time.
func (l *logged) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSpace(l.text.String())
	l.text.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// wantLines wants just these lines, by parts of each.
func (l *logged) want(t *testing.T, lines ...[]string) {
	t.Helper()
	got := l.lines()
	if len(got) != len(lines) {
		t.Errorf("%d lines, want %d:\n%s", len(got), len(lines), strings.Join(got, "\n"))
		return
	}
	for i, parts := range lines {
		for _, part := range parts {
			if !strings.Contains(got[i], part) {
				t.Errorf("line %d is %s\nand has no %q", i, got[i], part)
			}
		}
	}
}

// place is a directory with a certificate, its key, and who trusts them.
type place struct {
	dir, cert, key string
	ca             *testkit.Authority
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{dir: t.TempDir(), ca: testkit.NewAuthority(t, "servers")}
	p.cert, p.key = p.dir+"/cert.pem", p.dir+"/key.pem"
	return p
}

// put writes files, whose time is that of the test's clock.
func (p *place) put(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
}

func (p *place) issue(t *testing.T, name string, change func(*x509.Certificate)) (cert, key []byte) {
	t.Helper()
	return p.ca.Issue(t, name, func(c *x509.Certificate) {
		c.DNSNames = []string{name}
		if change != nil {
			change(c)
		}
	})
}

// replace puts a certificate for a name in place of what is there.
func (p *place) replace(t *testing.T, name string) {
	t.Helper()
	cert, key := p.issue(t, name, nil)
	p.put(t, p.cert, cert)
	p.put(t, p.key, key)
}

// keep makes a keeper and starts it; it ends with the test, in a bubble before its end.
func keep(t *testing.T, config certificates.Config) *certificates.Keeper {
	t.Helper()
	k, err := certificates.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Start(&net.TCPAddr{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// roomy is an end of a pipe that takes what is written at once, as a socket does.
type roomy struct {
	net.Conn
	out  chan []byte
	done chan struct{}
	once sync.Once
}

func pipe() (near, far net.Conn) {
	a, b := net.Pipe()
	return newRoomy(a), newRoomy(b)
}

func newRoomy(c net.Conn) *roomy {
	r := &roomy{Conn: c, out: make(chan []byte, 100), done: make(chan struct{})}
	go func() {
		defer c.Close()
		for {
			select {
			case b := <-r.out:
				if _, err := c.Write(b); err != nil {
					return
				}
			case <-r.done:
				if len(r.out) == 0 {
					return
				}
			}
		}
	}()
	return r
}

func (r *roomy) Write(p []byte) (int, error) {
	r.out <- bytes.Clone(p)
	return len(p), nil
}

func (r *roomy) Close() error {
	r.once.Do(func() { close(r.done) })
	return nil
}

// shake does a handshake over a pipe, and gives what the client sees of it; what the server says is wrong otherwise comes second.
func shake(t *testing.T, k *certificates.Keeper, config *tls.Config) (tls.ConnectionState, error, error) {
	t.Helper()
	near, far := pipe()
	defer near.Close()
	served := make(chan error, 1)
	go func() {
		defer far.Close()
		c := tls.Server(far, k.TLSConfig())
		err := c.HandshakeContext(t.Context())
		if err == nil {
			_, err = c.Write([]byte("!"))
		}
		served <- err
	}()
	c := tls.Client(near, config)
	err := c.HandshakeContext(t.Context())
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 1)) // also the session ticket, and alerts
	}
	near.Close()
	return c.ConnectionState(), err, <-served
}

// shown is the name of the certificate that a client gets.
func shown(t *testing.T, k *certificates.Keeper, ca *testkit.Authority, name string) string {
	t.Helper()
	state, err, _ := shake(t, k, &tls.Config{RootCAs: ca.Pool(), ServerName: name, InsecureSkipVerify: name == ""})
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].Subject.CommonName
}
