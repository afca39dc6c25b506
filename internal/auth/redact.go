package auth

import (
	"net/url"
	"strings"
)

const redacted = "REDACTED"

// Redact makes a URL, or what should be one, fit for a log: the values of parameters that carry secrets, whatever looks like a
// token or an API key, and a password before the host are replaced. The rest is as it was.
func Redact(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		// A parameter ends where another begins; the path is one without a name.
		end := i + strings.IndexAny(text[i:]+"&", "?&;#")
		b.WriteString(redactPart(text[i:end], i == 0))
		if end < len(text) {
			b.WriteByte(text[end])
		}
		i = end + 1
	}
	return b.String()
}

func redactPart(part string, first bool) string {
	if first {
		return redactPath(part)
	}
	name, value, ok := strings.Cut(part, "=")
	switch {
	case !ok && looksSecret(name):
		return redacted
	case ok && value != "" && (carriesSecret(name) || looksSecret(value)):
		return name + "=" + redacted
	}
	return part
}

// redactPath takes what is before the query.
func redactPath(path string) string {
	if scheme, rest, ok := strings.Cut(path, "://"); ok {
		host, after, slash := strings.Cut(rest, "/")
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			if user, _, ok := strings.Cut(host[:at], ":"); ok {
				host = user + ":" + redacted + host[at:]
			}
		}
		path = scheme + "://" + host
		if slash {
			path += "/" + after
		}
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if looksSecret(s) {
			segments[i] = redacted
		}
	}
	return strings.Join(segments, "/")
}

// carriesSecret knows the names of parameters, however they are encoded.
func carriesSecret(name string) bool {
	switch n := strings.ToLower(unescape(name)); n {
	case "access_token", "token", "auth", "authorization", "jwt", "id_token", "refresh_token", "api_key", "apikey", "x-api-key", "key", "secret", "client_secret", "password":
		return true
	}
	return false
}

// looksSecret knows a token by how JSON begins in base64url, and an API key by its prefix.
func looksSecret(value string) bool {
	v := unescape(value)
	return strings.HasPrefix(v, "eyJ") && strings.Count(v, ".") >= 2 || IsKey(v) && len(v) > 30 ||
		strings.HasPrefix(strings.ToLower(v), "bearer ")
}

// unescape decodes what is encoded, and what is encoded twice, as far as it can be.
func unescape(s string) string {
	for range 3 {
		u, err := url.QueryUnescape(s)
		if err != nil || u == s {
			break
		}
		s = u
	}
	return s
}
