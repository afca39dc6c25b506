package auth

import (
	"net/http"
	"net/url"
	"strings"
)

// TokenOf finds the token of a request: in the header Authorization (RFC 6750 section 2.1), or in the query as access_token
// (section 2.3), for what can set no header: WebSocket and EventSource of a browser. It is not taken from a subprotocol of
// a WebSocket, which a server has to repeat in its answer. Whoever gives it more than once is refused. Without any, or with an
// API key instead, the error is of the kind ErrMissing.
func TokenOf(r *http.Request) (string, error) {
	token, err := bearer(r)
	if err != nil {
		return "", err
	}
	if IsKey(token) {
		token = ""
	}
	values, err := inQuery(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	switch {
	case len(values) > 1 || token != "" && len(values) > 0:
		return "", refuse(ErrMalformed, "the request has more than one token") // RFC 6750 section 2
	case token != "":
		return token, nil
	case len(values) == 1 && values[0] == "":
		return "", refuse(ErrMalformed, "the access_token of the query is empty")
	case len(values) == 1:
		return values[0], nil
	}
	return "", refuse(ErrMissing, "the request has no token")
}

// KeyOf finds the API key of a request: in the header Authorization, as a bearer, or in X-API-Key. Never in the query: a backend
// can set a header. Without any the error is of the kind ErrMissing.
func KeyOf(r *http.Request) (string, error) {
	key, err := bearer(r)
	if err != nil {
		return "", err
	}
	if !IsKey(key) {
		key = ""
	}
	values := r.Header.Values("X-API-Key")
	switch {
	case len(values) > 1 || key != "" && len(values) > 0:
		return "", refuse(ErrMalformed, "the request has more than one API key")
	case key != "":
		return key, nil
	case len(values) == 1:
		return values[0], nil
	}
	return "", refuse(ErrMissing, "the request has no API key")
}

// bearer reads the header Authorization. Other schemes are for others.
func bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) > 1 {
		return "", refuse(ErrMalformed, "the request has more than one header Authorization")
	}
	if len(values) == 0 {
		return "", nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	if token = strings.TrimLeft(token, " "); token == "" || strings.ContainsAny(token, " \t,") {
		return "", refuse(ErrMalformed, "the header Authorization has no token after Bearer")
	}
	return token, nil
}

// inQuery gives the values of access_token. Of the rest of the query, whatever is wrong with it is not its business.
func inQuery(query string) ([]string, error) {
	var values []string
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if n, err := url.QueryUnescape(name); err != nil || n != "access_token" {
			continue
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			return nil, refuse(ErrMalformed, "the access_token of the query is not encoded as it should be")
		}
		values = append(values, v)
	}
	return values, nil
}
