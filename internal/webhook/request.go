package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A target is where requests go, and how they are signed. It is not changed once it is made.
type target struct {
	url    string
	name   string // the URL as a log may show it
	keys   keys
	header http.Header
	client *http.Client
}

// newTarget checks what a configuration says.
func newTarget(link string, secrets []string, headers map[string]string, transport http.RoundTripper) (*target, error) {
	u, err := url.Parse(link)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("a URL must be http:// or https:// and name a host") // url.Parse would repeat its passwords
	}
	name := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && isMetadata(a) {
		return nil, fmt.Errorf("%s: link-local addresses, where clouds have their metadata, are refused", name)
	}
	keys, err := parseSecrets(secrets)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t := &target{url: link, name: name, keys: keys, header: http.Header{}}
	t.header.Set("User-Agent", "Baro")
	t.header.Set("Content-Type", "application/json")
	for h, value := range headers {
		if err := checkHeader(h, value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		t.header.Set(h, value)
	}
	t.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return t, nil
}

// checkHeader refuses what is no header, and those that are not the operator's to set.
func checkHeader(name, value string) error {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz" // RFC 9110 section 5.6.2
	if name == "" || strings.Trim(strings.ToLower(name), token) != "" {
		return fmt.Errorf("%q is not the name of a header", name)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return fmt.Errorf("the header %q has a control character in its value", name)
	}
	switch h := textproto.CanonicalMIMEHeaderKey(name); h {
	case HeaderID, HeaderTimestamp, HeaderSignature, "Content-Type", "Content-Length", "Transfer-Encoding", "Connection",
		"Host", "Upgrade", "Trailer", "Te", "Expect":
		return fmt.Errorf("the header %q is not to be set", h)
	}
	return nil
}

// post makes one request. The response's body is to be closed by the caller.
func (t *target) post(ctx context.Context, id string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return nil, withoutURL(err)
	}
	now := time.Now().Unix()
	r.Header = t.header.Clone()
	r.Header.Set(HeaderID, id)
	r.Header.Set(HeaderTimestamp, strconv.FormatInt(now, 10))
	r.Header.Set(HeaderSignature, t.keys.sign(id, now, body))
	response, err := t.client.Do(r)
	return response, withoutURL(err)
}

// withoutURL takes the URL, which may have secrets in it, out of an error.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
