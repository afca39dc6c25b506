package target

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"baro.dev/internal/cli/exit"
)

// A Target is a URL, with all that connecting to it takes. It is not changed once made, and may be shared.
type Target struct {
	// URL is without a user and a fragment. Its scheme is one of ws, wss, http, https and ws+unix.
	URL *url.URL
	// Header is sent with each request; it has what Token gave when the target was made. Clone it before changing it.
	Header http.Header
	// TLS is for wss and https: what it has is set whether or not the URL's scheme needs it. Clone it before changing it.
	TLS *tls.Config
	// Proxy returns the proxy for a URL of scheme http or https; nil for none.
	Proxy func(*url.URL) (*url.URL, error)
	// DialContext connects to a host or proxy.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Timeout bounds connecting, to the end of the handshake.
	Timeout time.Duration
	// Token reads the token again, from its file if it has one; nil: there is none.
	Token func(ctx context.Context) (string, error)

	address func(string) string // where a host and port is, by --resolve; nil: at the end of a unix socket
}

// Address is the host and port to connect to for addr: what --resolve says. It is for what DialContext cannot do, UDP. false: everything
// is at the end of a unix socket.
func (t *Target) Address(addr string) (string, bool) {
	if t.address == nil {
		return "", false
	}
	return t.address(addr), true
}

// maxSecret is how long a file of a token may be.
const maxSecret = 1 << 20

// Target is where rawURL and the options say. A URL without a scheme, such as localhost:8000/c/demo or :8000, is one of http. The error is
// one of usage, or of a file that cannot be read.
func (o *Options) Target(rawURL string) (*Target, error) {
	u, err := parse(rawURL)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	t := &Target{URL: u, Header: http.Header{}, Timeout: o.Timeout}
	if t.Timeout == 0 {
		t.Timeout = DefaultTimeout
	}
	if t.Timeout < 0 {
		return nil, exit.With(exit.Usage, fmt.Errorf("--connect-timeout is %s: it must be more than 0", o.Timeout))
	}
	for _, step := range []func(*Target) error{o.headers, o.authorization, o.tls, o.proxy, o.dialling} {
		if err := step(t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

var schemes = []string{"ws", "wss", "http", "https", "ws+unix"}

// parse reads a URL, of which the scheme and the host may be missing as people leave them out.
func parse(raw string) (*url.URL, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return nil, errors.New("the URL is empty")
	}
	if !strings.Contains(raw, "://") {
		if strings.HasPrefix(raw, ":") || strings.HasPrefix(raw, "/") {
			raw = "localhost" + raw
		}
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // a URL may have a password: it is not repeated
		}
		return nil, fmt.Errorf("the URL cannot be read: %w", err)
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case !slices.Contains(schemes, u.Scheme):
		return nil, fmt.Errorf("the URL's scheme is %q: it must be one of %s", u.Scheme, strings.Join(schemes, ", "))
	case u.Host == "" && u.Scheme != "ws+unix":
		return nil, fmt.Errorf("the URL %s has no host", u.Redacted())
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

func (o *Options) headers(t *Target) error {
	for _, line := range o.Headers {
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok:
			return exit.With(exit.Usage, fmt.Errorf("--header %q has no colon: it must be 'Name: value'", line))
		case !httpguts.ValidHeaderFieldName(name):
			return exit.With(exit.Usage, fmt.Errorf("--header %q: %q cannot be the name of a header", line, name))
		case !httpguts.ValidHeaderFieldValue(value):
			return exit.With(exit.Usage, fmt.Errorf("--header %s: the value has characters that a header cannot have", name))
		}
		t.Header.Add(name, value)
	}
	for _, cookie := range o.Cookies {
		if name, _, ok := strings.Cut(cookie, "="); !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(cookie) {
			return exit.With(exit.Usage, fmt.Errorf("--cookie %q: it must be name=value", cookie))
		}
	}
	if cookies := append(t.Header.Values("Cookie"), o.Cookies...); len(cookies) > 0 {
		t.Header.Set("Cookie", strings.Join(cookies, "; "))
	}
	if o.Origin != "" {
		if !httpguts.ValidHeaderFieldValue(o.Origin) {
			return exit.With(exit.Usage, fmt.Errorf("--origin %q has characters that a header cannot have", o.Origin))
		}
		t.Header.Set("Origin", o.Origin)
	}
	return nil
}

// authorization takes the one way there is to say as whom: a token, a name and password, or those of the URL.
func (o *Options) authorization(t *Target) error {
	var ways []string
	if t.Header.Get("Authorization") != "" {
		ways = append(ways, "--header Authorization")
	}
	if o.Token != "" {
		ways = append(ways, "--token")
	}
	if o.TokenFile != "" {
		ways = append(ways, "--token-file")
	}
	if o.Basic != "" {
		ways = append(ways, "--basic")
	}
	user := t.URL.User
	if user != nil {
		ways = append(ways, "the URL's user")
		t.URL.User = nil
	}
	if len(ways) > 1 {
		return exit.With(exit.Usage, fmt.Errorf("%s are given, and only one of them can be", strings.Join(ways, " and ")))
	}
	switch {
	case o.TokenFile != "":
		name := o.TokenFile
		t.Token = func(context.Context) (string, error) { return readToken(name) }
	case o.Token != "":
		token := o.Token
		t.Token = func(context.Context) (string, error) { return token, nil }
	case o.Basic != "":
		if !strings.Contains(o.Basic, ":") {
			return exit.With(exit.Usage, errors.New("--basic has no colon: it must be name:password"))
		}
		t.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(o.Basic)))
	case user != nil:
		password, _ := user.Password()
		t.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if t.Token == nil {
		return nil
	}
	token, err := t.Token(context.Background())
	if err != nil {
		return err
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return exit.With(exit.Usage, errors.New("the token has characters that no token has, such as spaces"))
	}
	t.Header.Set("Authorization", "Bearer "+token)
	return nil
}

func readToken(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	switch token := strings.TrimSpace(string(text)); {
	case err != nil:
		return "", fmt.Errorf("--token-file: %w", err)
	case len(text) > maxSecret:
		return "", fmt.Errorf("--token-file %s is larger than 1 MiB: that is no token", name)
	case token == "":
		return "", fmt.Errorf("--token-file %s is empty", name)
	default:
		return token, nil
	}
}
