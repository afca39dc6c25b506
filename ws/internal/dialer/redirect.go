package dialer

import (
	"errors"
	"fmt"
	"net/url"
)

// maxLocation is what RFC 9110 4.1 asks everybody to support, 8000 octets. Errors may quote a part of it.
const maxLocation = 8000

// Redirect is where the server's Location leads, and whether that is the same server: same host, same port. Only then may
// Authorization, Cookie and other credentials go along, and next.URL.User keeps those of t. Somebody who follows several
// redirects drops credentials for good at the first that leaves; how many to follow is theirs to say, too.
//
// http leads to ws and https to wss. Refused, with an error that matches ErrRedirect: TLS to plaintext
// (ErrInsecureRedirect), any other scheme, credentials in Location (RFC 9110 4.2.4), and away from a Unix socket, where
// only a path makes sense. A fragment is dropped (RFC 9110 10.2.2 allows it, a WebSocket URL does not).
func (t *Target) Redirect(location string) (next *Target, same bool, err error) {
	next, err = t.follow(location)
	if errors.Is(err, ErrRedirect) {
		return nil, false, err
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrRedirect, err)
	}
	same = next.Network == t.Network && next.Address == t.Address
	if same {
		next.URL.User = t.URL.User
	}
	return next, same, nil
}

func (t *Target) follow(location string) (*Target, error) {
	if location == "" {
		return nil, errors.New("no Location")
	}
	if len(location) > maxLocation {
		return nil, errors.New("the Location is too long")
	}
	ref, err := url.Parse(location)
	if err != nil {
		return nil, withoutURL(location, err)
	}
	if ref.User != nil {
		return nil, errors.New("credentials in Location")
	}
	resolved := t.URL.ResolveReference(ref)
	if ref.Scheme == "" && ref.Host == "" {
		next := *t
		next.URL = &url.URL{Scheme: t.URL.Scheme, Host: t.URL.Host}
		next.setResource(resolved)
		return &next, nil
	}
	if t.Network == "unix" {
		return nil, errors.New("away from a Unix socket")
	}
	next, err := tcpTarget(resolved)
	if err != nil {
		return nil, err
	}
	if t.TLS && !next.TLS {
		return nil, ErrInsecureRedirect
	}
	return next, nil
}
