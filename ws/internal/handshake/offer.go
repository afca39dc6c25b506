package handshake

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Offer is what a client asks for.
type Offer struct {
	// HTTP is the major version of HTTP the request goes out by: 1, 2 or 3. 0 stands for 1.
	HTTP int
	// Key is a fresh one of [NewKey] for each request. HTTP/1 only.
	Key string
	// Subprotocols in the order of preference.
	Subprotocols []string
	// Deflate offers permessage-deflate. Nil offers nothing.
	Deflate *DeflatePolicy
	// Header holds further headers. Those of the handshake cannot be among them ([ValidateHeader]), except Host, which
	// takes the place of the URL's host and port.
	Header http.Header
}

// Request builds the request that opens a WebSocket at u (RFC 6455 4.1): a GET with an Upgrade header, or an extended
// CONNECT for HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220), the latter as net/http's HTTP/2 and quic-go's http3 want it. The
// caller sets the body of an extended CONNECT.
//
// The scheme of u is ws, wss, http or https. A user name and password in it become an Authorization header, unless
// there is one. A fragment is an error (RFC 6455 3).
func (o *Offer) Request(u *url.URL) (*http.Request, error) {
	target, err := targetURL(u)
	if err != nil {
		return nil, err
	}
	r := &http.Request{URL: target, Host: target.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if err := o.setHeader(r); err != nil {
		return nil, err
	}
	if u.User != nil && r.Header.Get("Authorization") == "" {
		password, _ := u.User.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		r.Header.Set("Authorization", "Basic "+credentials)
	}
	switch o.HTTP {
	case 0, 1:
		if !validKey(o.Key) {
			return nil, fmt.Errorf("websocket handshake: key %s is not 16 bytes in base64", quote(o.Key))
		}
		r.Method = http.MethodGet
		r.Header["Connection"] = []string{"Upgrade"}
		r.Header["Upgrade"] = []string{"websocket"}
		r.Header["Sec-WebSocket-Key"] = []string{o.Key}
	case 2:
		r.Method, r.Proto, r.ProtoMajor, r.ProtoMinor = http.MethodConnect, "HTTP/2.0", 2, 0
		r.Header[":protocol"] = []string{"websocket"}
	case 3:
		r.Method, r.Proto, r.ProtoMajor, r.ProtoMinor = http.MethodConnect, "websocket", 3, 0
	default:
		return nil, fmt.Errorf("websocket handshake: no HTTP/%d", o.HTTP)
	}
	return r, nil
}

// setHeader sets what all versions of HTTP have in common. Names are spelled as in RFC 6455: some servers compare them
// exactly.
func (o *Offer) setHeader(r *http.Request) error {
	if err := ValidateHeader(o.Header); err != nil {
		return err
	}
	if err := ValidateSubprotocols(o.Subprotocols); err != nil {
		return err
	}
	r.Header = make(http.Header, len(o.Header)+6)
	for name, values := range o.Header {
		if name = http.CanonicalHeaderKey(name); name != "Host" {
			r.Header[name] = append(r.Header[name], values...)
			continue
		}
		if len(values) != 1 || !validHost(values[0]) {
			return fmt.Errorf("websocket handshake: header Host: %s is not a host", quoteAll(values))
		}
		r.Host = values[0]
	}
	r.Header["Sec-WebSocket-Version"] = []string{version}
	if len(o.Subprotocols) > 0 {
		r.Header["Sec-WebSocket-Protocol"] = []string{strings.Join(o.Subprotocols, ", ")}
	}
	if o.Deflate != nil {
		if err := o.Deflate.Validate(); err != nil {
			return err
		}
		r.Header["Sec-WebSocket-Extensions"] = []string{OfferDeflate(*o.Deflate)}
	}
	return nil
}

// targetURL returns u as HTTP knows it.
func targetURL(u *url.URL) (*url.URL, error) {
	target := *u
	target.User = nil
	switch strings.ToLower(u.Scheme) {
	case "ws", "http":
		target.Scheme = "http"
	case "wss", "https":
		target.Scheme = "https"
	default:
		return nil, fmt.Errorf("websocket handshake: URL scheme %s is not ws, wss, http or https", quote(u.Scheme))
	}
	switch uri := target.RequestURI(); {
	case u.Opaque != "" || !validHost(u.Host):
		return nil, fmt.Errorf("websocket handshake: URL host %s is not a host", quote(u.Host))
	case u.Fragment != "":
		return nil, fmt.Errorf("websocket handshake: URL with the fragment %s", quote(u.Fragment))
	case strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, fmt.Errorf("websocket handshake: URL path or query %s holds a space or control character", quote(uri))
	}
	return &target, nil
}

// validHost keeps out what could end the host early or start another header. International names pass: net/http
// converts them.
func validHost(s string) bool {
	return s != "" && s[0] != ':' && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune("/\\?#@,", r)
	})
}
