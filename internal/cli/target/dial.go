package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/webclient"
)

func (o *Options) tls(t *Target) error {
	t.TLS = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         o.ServerName,
		InsecureSkipVerify: o.Insecure, // asked for, by a flag that says what it means
	}
	if o.CAFile != "" {
		text, err := os.ReadFile(o.CAFile)
		if err != nil {
			return fmt.Errorf("--ca: %w", err)
		}
		t.TLS.RootCAs = x509.NewCertPool()
		if !t.TLS.RootCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("--ca %s has no certificate in PEM form", o.CAFile)
		}
	}
	if o.CertificateFile == "" {
		if o.KeyFile != "" {
			return exit.With(exit.Usage, errors.New("--key is given without --cert"))
		}
		return nil
	}
	key := o.KeyFile
	if key == "" {
		key = o.CertificateFile
	}
	certificate, err := tls.LoadX509KeyPair(o.CertificateFile, key)
	if err != nil {
		return fmt.Errorf("--cert and --key: %w", err)
	}
	t.TLS.Certificates = []tls.Certificate{certificate}
	return nil
}

func (o *Options) proxy(t *Target) error {
	switch o.Proxy {
	case "":
		t.Proxy = webclient.EnvironmentProxy
	case "none":
		t.Proxy = func(*url.URL) (*url.URL, error) { return nil, nil }
	default:
		raw := o.Proxy
		if !strings.Contains(raw, "://") {
			raw = "http://" + raw
		}
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" {
			return exit.With(exit.Usage, errors.New("--proxy is no URL"))
		}
		if !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
			return exit.With(exit.Usage, fmt.Errorf("--proxy: the scheme %q is not one of http, https, socks5, socks5h", u.Scheme))
		}
		t.Proxy = func(*url.URL) (*url.URL, error) { return u, nil }
	}
	return nil
}

// dialling has --resolve and --unix say where a host is. A unix socket is never reached by a proxy.
func (o *Options) dialling(t *Target) error {
	var d net.Dialer
	if o.Unix != "" {
		if len(o.Resolve) > 0 {
			return exit.With(exit.Usage, errors.New("--unix and --resolve cannot be used together"))
		}
		path := o.Unix
		t.Proxy = func(*url.URL) (*url.URL, error) { return nil, nil }
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) }
		return nil
	}
	addresses := map[string]string{}
	for _, entry := range o.Resolve {
		from, to, err := resolveEntry(entry)
		if err != nil {
			return exit.With(exit.Usage, fmt.Errorf("--resolve %q: %w", entry, err))
		}
		addresses[from] = to
	}
	t.address = func(addr string) string {
		if to, ok := addresses[strings.ToLower(addr)]; ok {
			return to
		}
		return addr
	}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network != "unix" {
			addr = t.address(addr)
		}
		return d.DialContext(ctx, network, addr)
	}
	return nil
}

// resolveEntry reads host:port:address, as curl has it; an IPv6 address may be in brackets.
func resolveEntry(entry string) (from, to string, err error) {
	host, rest, ok := strings.Cut(entry, ":")
	if strings.HasPrefix(entry, "[") {
		host, rest, ok = strings.Cut(entry[1:], "]:")
	}
	port, address, more := strings.Cut(rest, ":")
	if !ok || !more || host == "" {
		return "", "", errors.New("it must be host:port:address")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("%q is no port", port)
	}
	ip, err := netip.ParseAddr(strings.Trim(address, "[]"))
	if err != nil {
		return "", "", fmt.Errorf("%q is no IP address", address)
	}
	return strings.ToLower(net.JoinHostPort(host, port)), net.JoinHostPort(ip.String(), port), nil
}
