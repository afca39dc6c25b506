// Package webclient has what the clients of several protocols share: where a server is, and how requests get there.
package webclient

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Base reads the URL of a server. Its scheme becomes http or https, for which ws and wss stand, too. The error has no password in it.
func Base(rawURL string) (*url.URL, error) {
	base, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	switch base.Scheme {
	case "http", "ws":
		base.Scheme = "http"
	case "https", "wss":
		base.Scheme = "https"
	default:
		return nil, fmt.Errorf("%s: the scheme must be http, https, ws or wss", base.Redacted())
	}
	if base.Host == "" {
		return nil, fmt.Errorf("%s has no host", base.Redacted())
	}
	return base, nil
}

// EnvironmentProxy is the proxy for a URL by the rules of [http.ProxyFromEnvironment].
func EnvironmentProxy(u *url.URL) (*url.URL, error) {
	return http.ProxyFromEnvironment(&http.Request{URL: u})
}

// A Route is how a server is reached.
type Route struct {
	TLS         *tls.Config                                                       // it is cloned
	Proxy       func(*url.URL) (*url.URL, error)                                  // for a URL; nil for none
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error) // to the host or its proxy; nil: a net.Dialer does
	Timeout     time.Duration                                                     // of the TLS handshake
}

// Transport is for requests by HTTP/1.1 or HTTP/2 that ask for no other protocol.
type Transport struct{ *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(r)
	return Unswitched(resp), err
}

// Unswitched takes the body from a 101 that nobody has asked for: it would be all that comes on the connection from then on, and end with no
// context.
func Unswitched(resp *http.Response) *http.Response {
	if resp != nil && resp.StatusCode == http.StatusSwitchingProtocols {
		_ = resp.Body.Close()
		resp.Body = http.NoBody
	}
	return resp
}

// Transport leads requests by the route.
func (r Route) Transport() Transport {
	return Transport{&http.Transport{
		Proxy:                  func(q *http.Request) (*url.URL, error) { return r.Proxy(q.URL) },
		DialContext:            r.DialContext,
		TLSClientConfig:        r.TLS.Clone(),
		TLSHandshakeTimeout:    r.Timeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}}
}
