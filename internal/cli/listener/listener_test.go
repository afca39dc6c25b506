package listener_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/cli/listener"
	"baro.dev/internal/neterr"
	"baro.dev/internal/testkit"
)

func TestAddress(t *testing.T) {
	for text, want := range map[string]listener.Address{
		"8080":           {Network: "tcp", Addr: "127.0.0.1:8080"},
		":8080":          {Network: "tcp", Addr: ":8080"},
		"localhost:0":    {Network: "tcp", Addr: "localhost:0"},
		"[::1]:80":       {Network: "tcp", Addr: "[::1]:80"},
		"unix:/run/a":    {Network: "unix", Addr: "/run/a"},
		"unix:///run/a":  {Network: "unix", Addr: "/run/a"},
		"unix:relative":  {Network: "unix", Addr: "relative"},
		"localhost":      {},
		"":               {},
		"a:b":            {},
		"a:65536":        {},
		"::1:80":         {},
		"unix:":          {},
		"http://a:80/":   {},
		"127.0.0.1:80:1": {},
	} {
		if got, err := listener.ParseAddress(text); got != want || (err == nil) != (want.Network != "") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// A socket that was left behind is replaced; one that somebody answers at, and what is no socket, is not.
func TestUnix(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("sockets have no modes")
	}
	path := filepath.Join(t.TempDir(), "s")
	a, err := listener.ParseAddress("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := a.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if _, err := a.Open(t.Context()); !errors.Is(err, neterr.ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if l, err = a.Open(t.Context()); err != nil {
		t.Fatalf("one that was left behind: %v", err)
	}
	l.Close()
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Open(t.Context()); err == nil {
		t.Error("a file is replaced")
	}
	if text, err := os.ReadFile(path); string(text) != "mine" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestGuard(t *testing.T) {
	g, err := listener.NewGuard([]string{"https://example.com", "https://*.apps.example:8443", "http://dev.example:*"})
	if err != nil {
		t.Fatal(err)
	}
	g.Loopback, g.Names = true, []string{"box"}
	for _, c := range []struct {
		host, origin string
		want         error
	}{
		{"127.0.0.1:80", "", nil},
		{"127.0.0.1:80", "http://127.0.0.1:80", nil},
		{"127.0.0.1:80", "http://127.0.0.1", nil},
		{"127.0.0.1:8080", "http://127.0.0.1:8081", listener.ErrOrigin},
		{"127.0.0.1", "http://localhost", listener.ErrOrigin},
		{"[::1]:80", "http://[::1]:80", nil},
		{"::1", "", nil},
		{"localhost:1", "http://LOCALHOST:1", nil},
		{"a.localhost:1", "http://a.localhost:1", nil},
		{"localhost.evil.example", "", listener.ErrHost},
		{"evil.example:80", "http://evil.example:80", listener.ErrHost},
		{"127.0.0.1.evil.example", "", listener.ErrHost},
		{"127.1", "", listener.ErrHost},
		{"0x7f000001", "", listener.ErrHost},
		{"", "", listener.ErrHost},
		{"box:1", "http://box:1", nil},
		{"box:1", "https://evil.example", listener.ErrOrigin},
		{"example.com", "https://example.com", nil},
		{"example.com", "https://example.com.evil.example", listener.ErrOrigin},
		{"evilexample.com", "https://example.com", listener.ErrHost},
		{"127.0.0.1", "https://example.com", nil},
		{"127.0.0.1", "http://example.com", listener.ErrOrigin},
		{"a.b.apps.example:8443", "https://a.b.apps.example:8443", nil},
		{"apps.example", "", listener.ErrHost},
		{"xapps.example", "", listener.ErrHost},
		{"dev.example:5", "http://dev.example:5", nil},
		{"127.0.0.1", "null", listener.ErrOrigin},
		{"127.0.0.1", "file://", listener.ErrOrigin},
		{"127.0.0.1", "http://user@127.0.0.1", listener.ErrOrigin},
		{"127.0.0.1", "http://127.0.0.1/", listener.ErrOrigin},
	} {
		r := &http.Request{Host: c.host, Header: http.Header{}}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if err := g.Check(r); !errors.Is(err, c.want) {
			t.Errorf("Host %q, Origin %q: %v, want %v", c.host, c.origin, err, c.want)
		}
	}
	two := &http.Request{Host: "127.0.0.1", Header: http.Header{"Origin": {"http://127.0.0.1", "https://evil.example"}}}
	if err := g.Check(two); !errors.Is(err, listener.ErrOrigin) {
		t.Errorf("two origins: %v", err)
	}
	for _, text := range []string{"", "example.com", "https://", "https://a/b", "https://*", "ws://a", "null"} {
		if _, err := listener.NewGuard([]string{text}); err == nil {
			t.Errorf("%q is an origin", text)
		}
	}
}

// The certificate that was made is for this machine, and its hash is what was said.
func TestSelfMade(t *testing.T) {
	config, hash, err := listener.TLS{SelfMade: true}.Config("box", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
	if err != nil || sha256.Sum256(cert.Raw) != hash {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "box", "192.0.2.1"} {
		if err := cert.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if valid := cert.NotAfter.Sub(cert.NotBefore); valid.Hours() > 14*24 {
		t.Errorf("it is valid for %v", valid)
	}
	for _, wrong := range []listener.TLS{{KeyFile: "a"}, {CertificateFile: "none"}, {SelfMade: true, CertificateFile: "a"}} {
		if _, _, err := wrong.Config(); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
	if none, _, err := (listener.TLS{}).Config(); none != nil || err != nil {
		t.Error(none, err)
	}
	l, err := listener.Address{Network: "tcp", Addr: "127.0.0.1:0"}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !listener.Loopback(l.Addr()) {
		t.Error("127.0.0.1 is not this machine")
	}
	go func() {
		if c, err := l.Accept(); err == nil {
			_ = tls.Server(c, config).HandshakeContext(context.Background())
			c.Close()
		}
	}()
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func FuzzGuard(f *testing.F) {
	f.Add("127.0.0.1:80", "http://127.0.0.1:80")
	f.Add("evil.example", "http://evil.example")
	f.Add("[::1]", "https://example.com")
	f.Fuzz(func(t *testing.T, host, from string) {
		g, err := listener.NewGuard([]string{"https://example.com"})
		if err != nil {
			t.Fatal(err)
		}
		g.Loopback = true
		r := &http.Request{Host: host, Header: http.Header{"Origin": {from}}}
		if g.Check(r) == nil && strings.Contains(from, "evil") && !strings.Contains(strings.Join(g.Names, " "), "evil") && !strings.Contains(from, ".localhost") {
			t.Errorf("Host %q, Origin %q is let in", host, from)
		}
	})
}

// A certificate that is renewed is shown by the next handshake; one that is half written is not.
func TestRenewed(t *testing.T) {
	authority, dir := testkit.NewAuthority(t, "authority"), t.TempDir()
	shown := func(config *tls.Config) string {
		t.Helper()
		c, err := config.GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	put := func(text []byte, age time.Duration) string {
		name := testkit.WriteFile(t, dir, "both.pem", text)
		if err := os.Chtimes(name, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
		return name
	}
	both := func(name string) []byte {
		cert, key := authority.Issue(t, name, nil)
		return append(cert, key...)
	}
	config, _, err := listener.TLS{CertificateFile: put(both("old"), time.Hour)}.Config()
	if err != nil {
		t.Fatal(err)
	}
	if got := shown(config); got != "old" {
		t.Error(got)
	}
	renewed := both("new")
	put(renewed[:len(renewed)/2], time.Minute)
	if got := shown(config); got != "old" {
		t.Error(got)
	}
	put(renewed, 0)
	if got := shown(config); got != "new" {
		t.Error(got)
	}
}
