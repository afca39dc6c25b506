package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
)

// Mutual TLS, for each protocol, also through a proxy, and over HTTP/2: with a certificate that the server takes, with that of somebody else, and with none.
func TestClientCertificates(t *testing.T) {
	authority, stranger := testkit.NewAuthority(t, "here"), testkit.NewAuthority(t, "elsewhere")
	names := func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"far.example"}
	}
	own, err := tls.X509KeyPair(authority.Issue(t, "server", names))
	if err != nil {
		t.Fatal(err)
	}
	s := protocols(t)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority.Pool()}
	s.StartTLS()
	host := s.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(host)

	dir := t.TempDir()
	certificate, key := authority.Issue(t, "kim", nil)
	other, otherKey := stranger.Issue(t, "kim", nil)
	ca := testkit.WriteFile(t, dir, "ca.pem", authority.PEM)
	cert, keyFile := testkit.WriteFile(t, dir, "cert.pem", certificate), testkit.WriteFile(t, dir, "key.pem", key)
	both := testkit.WriteFile(t, dir, "both.pem", append(certificate, key...))
	strange := testkit.WriteFile(t, dir, "other.pem", append(other, otherKey...))
	proxy := testkit.NewProxy(t, "kim", "s3cret")
	via := "http://kim:s3cret@" + proxy.Addr

	check := func(args []string, want string, code int) {
		t.Helper()
		out, notes, got := piping(t, "", append(args, "--ca", ca)...)
		if strings.TrimSpace(out) != strings.TrimSpace(want) || got != code {
			t.Errorf("%q: %q, %q (%d)", args, out, notes, got)
		}
	}
	for want, args := range sessions("tls", host) {
		check(append(args, "--cert", cert, "--key", keyFile), want, exit.OK)
		check(append(args, "--cert", both), want, exit.OK)
		check(append(args, "--cert", strange), "", exit.Unreachable)
		check(args, "", exit.Unreachable)
	}
	for want, args := range sessions("tls", "far.example:"+port) {
		check(append(args, "--cert", both, "--proxy", via), want, exit.OK)
		check(append(args, "--cert", both, "--proxy", proxy.Addr), "", exit.Refused)
	}
	check([]string{"wss://" + host, "-m", "ping", "-n", "1", "--http", "2", "--cert", both}, "ping", exit.OK)
	check([]string{"https://" + host + "/events", "-n", "1", "--http", "2", "--cert", both}, "ping", exit.OK)
	check([]string{"wss://" + host, "--http", "2"}, "", exit.Unreachable)
}
