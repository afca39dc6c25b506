package origin_test

import (
	"strings"
	"testing"

	"baro.dev/internal/origin"
)

// same is what the callers do with a header Origin and a header Host.
func same(value, host string) bool {
	o, err := origin.Parse(value)
	return err == nil && o.Same(host)
}

func TestSame(t *testing.T) {
	for _, test := range []struct {
		name, host, origin string
		want               bool
	}{
		{"same", "good.com", "https://good.com", true},
		{"behind a TLS proxy", "good.com", "http://good.com", true},
		{"upper case", "Good.com", "HTTPS://gOOD.COM", true},
		{"default port of https", "good.com:443", "https://good.com", true},
		{"default port of http", "good.com:80", "http://good.com", true},
		{"default port in the origin", "good.com", "https://good.com:443", true},
		{"same port", "good.com:8443", "https://good.com:8443", true},
		{"port of http for https", "good.com:80", "https://good.com", false},
		{"port of https for http", "good.com:443", "http://good.com", false},
		{"port mismatch", "good.com:8443", "https://good.com:8444", false},
		{"port only in the host", "good.com:8443", "https://good.com", false},
		{"port only in the origin", "good.com", "https://good.com:8443", false},
		{"another host", "good.com", "https://evil.com", false},
		{"another name of the host", "127.0.0.1:3000", "http://localhost:3000", false},
		{"subdomain", "good.com", "https://a.good.com", false},
		{"parent domain", "a.good.com", "https://good.com", false},
		{"good as a prefix", "good.com", "https://good.com.evil.com", false},
		{"good as a suffix", "good.com", "https://evilgood.com", false},
		{"userinfo", "good.com", "https://good.com@evil.com", false},
		{"userinfo and good host", "good.com", "https://evil@good.com", false},
		{"userinfo with password", "good.com", "https://good.com:443@evil.com", false},
		{"null", "good.com", "null", false},
		{"null as a host", "null", "null", false},
		{"file", "good.com", "file://", false},
		{"empty", "good.com", "", false},
		{"star", "good.com", "*", false},
		{"two in a line", "good.com", "https://good.com https://good.com", false},
		{"a list", "good.com", "https://good.com, https://evil.com", false},
		{"slash", "good.com", "https://good.com/", false},
		{"path", "good.com", "https://evil.com/good.com", false},
		{"query", "good.com", "https://good.com?x", false},
		{"fragment", "good.com", "https://good.com#x", false},
		{"backslash", "good.com", `https://good.com\.evil.com`, false},
		{"no scheme", "good.com", "good.com", false},
		{"slashes without a scheme", "good.com", "//good.com", false},
		{"empty scheme", "good.com", "://good.com", false},
		{"scheme of digits", "good.com", "1https://good.com", false},
		{"scheme without slashes", "good.com", "https:good.com", false},
		{"other scheme", "good.com", "chrome-extension://good.com", false},
		{"wss", "good.com", "wss://good.com", false},
		{"empty port", "good.com", "https://good.com:", false},
		{"port 0", "good.com:0", "https://good.com:0", false},
		{"port 65535", "good.com:65535", "https://good.com:65535", true},
		{"port 65536", "good.com:65536", "https://good.com:65536", false},
		{"port with leading zero", "good.com", "https://good.com:0443", false},
		{"port with sign", "good.com", "https://good.com:+443", false},
		{"no host", "", "https://", false},
		{"no Host header", "", "https://good.com", false},
		{"malformed Host header", "good.com:x", "https://good.com", false},
		{"dot at the beginning", ".good.com", "https://.good.com", false},
		{"trailing dot in the origin", "good.com", "https://good.com.", false},
		{"trailing dot in the host", "good.com.", "https://good.com", false},
		{"trailing dot in both", "good.com.", "https://good.com.", true},
		{"punycode", "xn--bcher-kva.example", "https://XN--BCHER-KVA.example", true},
		{"international name", "b\u00fccher.example", "https://b\u00fccher.example", false},
		{"Cyrillic letter", "good.com", "https://g\u043eod.com", false},
		{"Kelvin sign", "k.com", "https://\u212a.com", false},
		{"percent-encoded", "good.com", "https://good%2ecom", false},
		{"NUL", "good.com", "https://good.com\x00", false},
		{"IPv4", "127.0.0.1:8000", "http://127.0.0.1:8000", true},
		{"IPv6", "[::1]:8000", "http://[::1]:8000", true},
		{"IPv6 default port", "[2001:db8::1]", "https://[2001:DB8::1]:443", true},
		{"IPv6 written differently", "[2001:db8:0:0::1]", "https://[2001:db8::1]", true},
		{"IPv6 another", "[::1]", "https://[::2]", false},
		{"IPv6 zone", "[fe80::1%25lo]", "http://[fe80::1%25lo]", false},
		{"IPv6 unclosed", "[::1", "http://[::1", false},
		{"IPv6 followed by text", "[::1]", "http://[::1]evil.com", false},
		{"IPv4 in brackets", "[127.0.0.1]", "http://[127.0.0.1]", false},
		{"IPv6 without brackets", "::1", "http://::1", false},
		{"64 KB", "good.com", "https://" + strings.Repeat("a.", 32<<10), false},
	} {
		if got := same(test.origin, test.host); got != test.want {
			t.Errorf("%s: %.80q of %q: %v", test.name, test.origin, test.host, got)
		}
	}
}

func TestEqual(t *testing.T) {
	for _, test := range []struct {
		origin, another string
		want            bool
	}{
		{"https://good.com", "HTTPS://GOOD.com:443", true},
		{"http://good.com:80", "http://good.com", true},
		{"http://[0:0::1]:3000", "http://[::1]:3000", true},
		{"app://good", "APP://Good", true},
		{"https://good.com", "http://good.com", false},
		{"https://good.com:80", "http://good.com", false},
		{"https://good.com", "https://good.com:8443", false},
		{"https://good.com", "https://good.com.", false},
		{"app://good", "app://good:80", false},
		{"app://good", "http://good", false},
	} {
		a, err := origin.Parse(test.origin)
		if err != nil {
			t.Error(err)
		}
		b, err := origin.Parse(test.another)
		if err != nil {
			t.Error(err)
		}
		if (a == b) != test.want {
			t.Errorf("%+v and %+v: %v", a, b, a == b)
		}
	}
}

// An error says what is wrong, to whoever wrote the list.
func TestErrors(t *testing.T) {
	for s, want := range map[string]string{
		"":                            "must begin",
		"null":                        "must begin",
		"*":                           "must begin",
		"good.com":                    "must begin",
		"*.good.com":                  "must begin",
		" https://good.com":           "must begin",
		"ws://good.com":               "must begin",
		"WSS://good.com":              "must begin",
		"https://":                    "no host",
		"file://":                     "no host",
		"https://*":                   "host must be",
		"https://:80":                 "host must be",
		"https:// good.com":           "host must be",
		"https://.good.com":           "host must be",
		"https://b\u00fccher.example": "host must be",
		"https://[::1":                "host must be",
		"https://*good.com":           "host must be",
		"https://good.com/":           "nothing after",
		"https://good.com/path":       "nothing after",
		"https://user@good.com":       "nothing after",
		"https://a.*.com":             "nothing after",
		"https://good.com:":           "port",
		"https://good.com:0":          "port",
		"https://good.com:99999":      "port",
		"https://good.com:80:80":      "port",
	} {
		if _, err := origin.Parse(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", s, err)
		}
		if _, err := origin.ParsePattern(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q as a pattern: %v", s, err)
		}
	}
	for s, want := range map[string]string{
		"https://*.127.0.0.1":   "below an address",
		"https://*.[::1]":       "below an address",
		"https://good.com:80:*": "port",
		"https://*.*.good.com":  "host must be",
	} {
		if _, err := origin.ParsePattern(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
