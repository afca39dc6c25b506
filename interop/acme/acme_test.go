package acme_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"baro.dev/internal/certificates"
	"baro.dev/internal/server"
	"baro.dev/internal/testkit"
)

// logged is a log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// running is a server, and how to reach it.
type running struct {
	*server.Server
	address string
	log     *logged
	d       *directory
}

// start runs a server that has its certificates issued by d, until the test ends or it is closed.
func start(t *testing.T, d *directory, change func(*server.Config)) *running {
	t.Helper()
	r := &running{log: new(logged), d: d}
	config := server.Config{
		Listen: "127.0.0.1:0", Dev: true,
		ACME: certificates.ACME{
			Domains: []string{d.name}, Email: "admin@" + d.name, Directory: d.url, CA: d.file, Storage: storage(t),
			Retry: 100 * time.Millisecond, Check: 100 * time.Millisecond,
		},
		Log: slog.New(slog.NewTextHandler(r.log, nil)),
	}
	if change != nil {
		change(&config)
	}
	var err error
	if r.Server, err = server.New(config); err != nil {
		t.Fatal(err)
	}
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(r.URLs()[0])
	if err != nil {
		t.Fatal(err)
	}
	r.address = "127.0.0.1:" + u.Port()
	d.tls.to.Store(&r.address)
	served := make(chan error, 1)
	go func() { served <- r.Serve() }()
	t.Cleanup(func() {
		r.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	return r
}

// shown is the certificate that a client gets who asks for a name, and trusts the directory.
func (r *running) shown(t *testing.T, name string) (*x509.Certificate, error) {
	t.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: r.d.roots, ServerName: name}}
	c, err := dialer.DialContext(t.Context(), "tcp", r.address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// wait waits for a certificate of a name that is as wanted; nil: any.
func (r *running) wait(t *testing.T, name string, wanted func(*x509.Certificate) bool) *x509.Certificate {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		c, err := r.shown(t, name)
		if err == nil && (wanted == nil || wanted(c)) {
			return c
		}
		if time.Since(begun) > testkit.Patience {
			t.Fatalf("no certificate: %v", err)
		}
	}
}

func (r *running) logs(t *testing.T, parts ...string) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		for line := range strings.SplitSeq(r.log.String(), "\n") {
			all := true
			for _, part := range parts {
				all = all && strings.Contains(line, part)
			}
			if all {
				return
			}
		}
		if time.Since(begun) > testkit.Patience {
			t.Fatalf("the log has no line with %q", parts)
		}
	}
}

// get asks for /livez, over TCP or over QUIC.
func get(ctx context.Context, transport http.RoundTripper, name string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+name+"/livez", nil)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Transport: transport, Timeout: testkit.Patience}).Do(q)
	if err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	return response, err
}

// Certificates are issued, for TCP and QUIC; another server with the same storage needs no order, and no directory.
func TestIssued(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, 90*24*3600, false)
	away := d.serve(t)
	kept := storage(t)
	change := func(c *server.Config) {
		c.ACME.Storage, c.ACME.Domains = kept, []string{strings.ToUpper(d.name), "b." + d.name}
	}
	r := start(t, d, change)
	a, b := r.wait(t, d.name, nil), r.wait(t, "b."+d.name, nil)
	r.logs(t, "level=INFO", `msg="TLS certificate"`, "names="+d.name, "expires=")
	r.logs(t, "names=b."+d.name)
	if nobody, err := r.shown(t, "c."+d.name); err == nil {
		t.Errorf("a name that is not ours is shown %s", nobody.Subject)
	}

	overTCP := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, r.address)
		},
		TLSClientConfig: &tls.Config{RootCAs: d.roots}, ForceAttemptHTTP2: true,
	}
	defer overTCP.CloseIdleConnections()
	overUDP := &http3.Transport{
		Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, r.address, t, q)
		},
		TLSClientConfig: &tls.Config{RootCAs: d.roots},
	}
	defer overUDP.Close()
	for major, transport := range map[int]http.RoundTripper{2: overTCP, 3: overUDP} {
		response, err := get(t.Context(), transport, d.name)
		if err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor != major {
			t.Fatalf("HTTP/%d: %+v, %v", major, response, err)
		}
		if !response.TLS.PeerCertificates[0].Equal(a) {
			t.Errorf("HTTP/%d shows %s", major, response.TLS.PeerCertificates[0].Subject)
		}
	}
	if n := d.orders.Load(); n != 2 {
		t.Errorf("%d orders", n)
	}
	r.Close()

	away()
	again := start(t, d, change)
	if c := again.wait(t, d.name, nil); !c.Equal(a) {
		t.Error("it has another certificate")
	}
	if c := again.wait(t, "b."+d.name, nil); !c.Equal(b) {
		t.Error("it has another certificate")
	}
	if n := d.orders.Load(); n != 2 {
		t.Errorf("%d orders after a restart", n)
	}
	if strings.Contains(again.log.String(), "level=ERROR") {
		t.Error("it complains")
	}
}

// The challenge is answered to who shows no certificate, though clients have to show theirs; who does nothing but that is let in nowhere.
func TestIssuedBesideDevices(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, 3600, false)
	d.serve(t)
	devices := testkit.NewAuthority(t, "devices")
	r := start(t, d, func(c *server.Config) {
		c.ACME.Email = ""
		c.TLSClients = certificates.Clients{CA: testkit.WriteFile(t, t.TempDir(), "devices.pem", devices.PEM), Auth: certificates.Require}
	})
	r.logs(t, `msg="TLS certificate"`, "names="+d.name)
	cert, key := devices.Issue(t, "door", nil)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	say := func(config *tls.Config) (string, error) {
		config.RootCAs, config.ServerName = d.roots, d.name
		dialer := &tls.Dialer{Config: config}
		c, err := dialer.DialContext(t.Context(), "tcp", r.address)
		if err != nil {
			return "", err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(testkit.Patience))
		fmt.Fprint(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(c)
		return string(answer), err
	}
	if answer, err := say(&tls.Config{Certificates: []tls.Certificate{pair}}); err != nil || !strings.HasPrefix(answer, "HTTP/1.1 200") {
		t.Errorf("a device: %q, %v", answer, err)
	}
	if answer, err := say(&tls.Config{}); err == nil || answer != "" {
		t.Errorf("without a certificate: %q, %v", answer, err)
	}
	if answer, _ := say(&tls.Config{NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true}); answer != "" {
		t.Errorf("as if it were the directory: %q", answer)
	}
}

// A certificate that expires soon is renewed while the server runs.
func TestRenewed(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, 6, false)
	d.serve(t)
	r := start(t, d, nil)
	first := r.wait(t, d.name, nil)
	second := r.wait(t, d.name, func(c *x509.Certificate) bool { return !c.Equal(first) })
	if !second.NotAfter.After(first.NotAfter) {
		t.Errorf("the second is valid until %v, the first until %v", second.NotAfter, first.NotAfter)
	}
	r.logs(t, "level=INFO", `msg="TLS certificate replaced"`, "names="+d.name)
}

// A server begins without its certificate, says so, and has it when the directory is back.
func TestDirectoryAway(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, 3600, false)
	r := start(t, d, nil)
	r.logs(t, "level=ERROR", "no TLS certificate yet: clients of this domain are refused", "domain="+d.name, "the directory cannot be reached", d.url, "connection refused", "again_in=")
	if _, err := r.shown(t, d.name); err == nil {
		t.Error("there is one")
	}
	d.serve(t)
	r.wait(t, d.name, nil)
}

// What the directory refuses is told in its words, and not asked for again soon.
func TestDirectoryRefuses(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, 3600, true)
	d.serve(t)
	r := start(t, d, nil)
	r.logs(t, "level=ERROR", "no TLS certificate yet", "domain="+d.name, "the directory refuses", "rejectedIdentifier", "again_in=2m0s")
	if n := d.orders.Load(); n > 2 {
		t.Errorf("%d orders", n)
	}
}

// Where TLS cannot be reached as the world sees it, the challenge of HTTP does; everything else is sent on to https.
func TestHTTPChallenge(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, 3600, false)
	d.serve(t)
	plain := testkit.FreeAddress(t)
	d.http.to.Store(&plain)
	r := start(t, d, func(c *server.Config) { c.ACME.HTTPListen = plain })
	nowhere := "127.0.0.1:1"
	d.tls.to.Store(&nowhere)
	r.wait(t, d.name, nil)

	c := &http.Client{Timeout: testkit.Patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, test := range []struct {
		method, host, path string
		status             int
		location           string
	}{
		{"GET", d.name, "/c/news?after=1%2F2", 308, "https://" + d.name + "/c/news?after=1%2F2"},
		{"GET", strings.ToUpper(d.name) + ":8080", "//evil.test/x", 308, "https://" + d.name + "//evil.test/x"},
		{"HEAD", d.name, "/", 308, "https://" + d.name + "/"},
		{"POST", d.name, "/c/news", 403, ""},
		{"GET", "evil.test", "/", 404, ""},
		{"GET", d.name, "/.well-known/acme-challenge/no-such-token", 308, "https://" + d.name + "/.well-known/acme-challenge/no-such-token"},
	} {
		q, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+plain+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = test.host
		response, err := c.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != test.status || response.Header.Get("Location") != test.location {
			t.Errorf("%s %s of %s: %d, %s", test.method, test.path, test.host, response.StatusCode, response.Header.Get("Location"))
		}
	}
}
