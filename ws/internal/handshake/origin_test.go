package handshake

import (
	"net/http"
	"strings"
	"testing"
)

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		name, host, origin string
		ok                 bool
	}{
		{"same", "good.com", "https://good.com", true},
		{"behind a TLS proxy", "good.com", "http://good.com", true},
		{"upper case", "Good.com", "HTTPS://gOOD.COM", true},
		{"default port of https", "good.com:443", "https://good.com", true},
		{"default port of http", "good.com:80", "http://good.com", true},
		{"default port in the origin", "good.com", "https://good.com:443", true},
		{"same port", "good.com:8443", "https://good.com:8443", true},
		{"port of the other scheme", "good.com:80", "https://good.com", false},
		{"port mismatch", "good.com:8443", "https://good.com:8444", false},
		{"port only in the host", "good.com:8443", "https://good.com", false},
		{"port only in the origin", "good.com", "https://good.com:8443", false},
		{"another host", "good.com", "https://evil.com", false},
		{"subdomain", "good.com", "https://a.good.com", false},
		{"parent domain", "a.good.com", "https://good.com", false},
		{"good as a prefix", "good.com", "https://good.com.evil.com", false},
		{"good as a suffix", "good.com", "https://evilgood.com", false},
		{"userinfo", "good.com", "https://good.com@evil.com", false},
		{"userinfo and good host", "good.com", "https://evil@good.com", false},
		{"userinfo with password", "good.com", "https://good.com:443@evil.com", false},
		{"null", "good.com", "null", false},
		{"file", "good.com", "file://", false},
		{"empty", "good.com", "", false},
		{"two in a line", "good.com", "https://good.com https://good.com", false},
		{"a list", "good.com", "https://good.com, https://evil.com", false},
		{"path", "good.com", "https://good.com/", false},
		{"query", "good.com", "https://good.com?x", false},
		{"fragment", "good.com", "https://good.com#x", false},
		{"backslash", "good.com", `https://good.com\.evil.com`, false},
		{"no scheme", "good.com", "good.com", false},
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
		{"empty host", "", "https://", false},
		{"malformed Host header", "good.com:x", "https://good.com", false},
		{"trailing dot in the origin", "good.com", "https://good.com.", false},
		{"trailing dot in the host", "good.com.", "https://good.com", false},
		{"trailing dot in both", "good.com.", "https://good.com.", true},
		{"punycode", "xn--bcher-kva.example", "https://XN--BCHER-KVA.example", true},
		{"international name", "b\u00fccher.example", "https://b\u00fccher.example", false},
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{Host: tt.host, Header: http.Header{"Origin": {tt.origin}}}
			checkOrigin(t, r, nil, tt.ok)
			if !tt.ok {
				// What is refused as its own origin is not allowed by an unrelated list either.
				checkOrigin(t, r, []string{"https://unrelated.example"}, false)
			}
		})
	}
}

func checkOrigin(t *testing.T, r *http.Request, allowed []string, ok bool) {
	t.Helper()
	err := CheckOrigin(r, allowed)
	if ok {
		wantStatus(t, err, 0, "")
	} else {
		wantStatus(t, err, 403, "Origin header: ")
	}
}

func TestAllowedOrigins(t *testing.T) {
	list := []string{"https://good.com", "http://dev.local:8080", "https://xn--bcher-kva.example", "http://[::1]:3000", "app://localhost"}
	tests := []struct {
		name    string
		allowed []string
		origin  []string
		ok      bool
	}{
		{"no origin", list, nil, true},
		{"listed", list, []string{"https://good.com"}, true},
		{"listed, in other case", list, []string{"HTTPS://GOOD.com"}, true},
		{"listed, with default port", list, []string{"https://good.com:443"}, true},
		{"listed with a port", list, []string{"http://dev.local:8080"}, true},
		{"listed, punycode", list, []string{"https://xn--bcher-kva.example"}, true},
		{"listed IPv6", list, []string{"http://[0:0::1]:3000"}, true},
		{"listed, other scheme", list, []string{"app://localhost"}, true},
		{"scheme differs", list, []string{"http://good.com"}, false},
		{"port differs", list, []string{"http://dev.local:8081"}, false},
		{"port absent", list, []string{"http://dev.local"}, false},
		{"prefix", list, []string{"https://good.com.evil.com"}, false},
		{"suffix", list, []string{"https://evilgood.com"}, false},
		{"subdomain", list, []string{"https://a.good.com"}, false},
		{"userinfo", list, []string{"https://good.com@evil.com"}, false},
		{"trailing dot", list, []string{"https://good.com."}, false},
		{"trailing slash", list, []string{"https://good.com/"}, false},
		{"null", list, []string{"null"}, false},
		{"own host, not listed", list, []string{"https://self.example"}, false},
		{"two lines", list, []string{"https://good.com", "https://good.com"}, false},

		{"any", []string{"*"}, []string{"https://evil.com"}, true},
		{"any, null", []string{"*"}, []string{"null"}, true},
		{"any, two lines", []string{"*"}, []string{"https://a.com", "https://b.com"}, false},
		{"null listed", []string{"null"}, []string{"null"}, true},
		{"null in other case", []string{"null"}, []string{"NULL"}, false},
		{"file listed", []string{"file://"}, []string{"file://"}, true},
		{"empty list is none", []string{}, []string{"https://self.example"}, true},

		// Malformed entries allow nothing, not even the same text.
		{"any among others", []string{"*", "https://good.com"}, []string{"https://evil.com"}, false},
		{"wildcard", []string{"https://*.good.com"}, []string{"https://a.good.com"}, false},
		{"wildcard itself", []string{"https://*.good.com"}, []string{"https://*.good.com"}, false},
		{"path", []string{"https://good.com/"}, []string{"https://good.com/"}, false},
		{"empty entry", []string{""}, []string{""}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{Host: "self.example", Header: http.Header{"Origin": tt.origin}}
			checkOrigin(t, r, tt.allowed, tt.ok)
		})
	}
}

func TestValidateOrigins(t *testing.T) {
	valid := [][]string{nil, {"*"}, {"null", "file://", "https://good.com", "http://[::1]:8000", "chrome-extension://abcdef", "HTTPS://Good.com:443"}}
	for _, allowed := range valid {
		if err := ValidateOrigins(allowed); err != nil {
			t.Errorf("%q: %v", allowed, err)
		}
	}
	malformed := []string{
		"", "good.com", "https://", "https://good.com/", "https://good.com/path", "https://*.good.com", "https://user@good.com",
		"https://b\u00fccher.example", "https://good.com:", "https://good.com:99999", "wss://good.com", "ws://good.com", "https://[::1", "NULL", " https://good.com", "https:// good.com", "*.com",
	}
	for _, entry := range malformed {
		if err := ValidateOrigins([]string{"https://fine.example", entry}); err == nil {
			t.Errorf("%q is valid", entry)
		} else if !strings.Contains(err.Error(), quote(entry)) {
			t.Errorf("%q: the error %q does not name it", entry, err)
		}
	}
	if err := ValidateOrigins([]string{"*", "https://good.com"}); err == nil {
		t.Error("* among others is valid")
	}
}
