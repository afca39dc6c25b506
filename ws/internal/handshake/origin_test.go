package handshake

import (
	"net/http"
	"testing"
)

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
		{"no list", nil, []string{"https://self.example"}, true},
		{"no list, no origin", nil, nil, true},
		{"no list, empty", nil, []string{""}, false},
		{"no list, another host", nil, []string{"https://evil.com"}, false},
		{"no list, another port", nil, []string{"https://self.example:8443"}, false},
		{"no list, other scheme", nil, []string{"app://self.example"}, false},
		{"no list, null", nil, []string{"null"}, false},
		{"no list, two lines", nil, []string{"https://self.example", "https://self.example"}, false},
		{"empty list is none", []string{}, []string{"https://self.example"}, true},

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
		{"empty", list, []string{""}, false},
		{"a list", list, []string{"https://good.com, https://good.com"}, false},
		{"two lines", list, []string{"https://good.com", "https://good.com"}, false},

		{"any", []string{"*"}, []string{"https://evil.com"}, true},
		{"any, null", []string{"*"}, []string{"null"}, true},
		{"any, two lines", []string{"*"}, []string{"https://a.com", "https://b.com"}, false},
		{"null listed", []string{"null"}, []string{"null"}, true},
		{"null in other case", []string{"null"}, []string{"NULL"}, false},
		{"file listed", []string{"file://"}, []string{"file://"}, true},

		// Malformed entries allow nothing, not even the same text.
		{"any among others", []string{"*", "https://good.com"}, []string{"https://evil.com"}, false},
		{"wildcard", []string{"https://*.good.com"}, []string{"https://a.good.com"}, false},
		{"wildcard itself", []string{"https://*.good.com"}, []string{"https://*.good.com"}, false},
		{"path", []string{"https://good.com/"}, []string{"https://good.com/"}, false},
		{"WebSocket", []string{"wss://good.com"}, []string{"wss://good.com"}, false},
		{"empty entry", []string{""}, []string{""}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{Host: "self.example", Header: http.Header{"Origin": tt.origin}}
			checkOrigin(t, r, tt.allowed, tt.ok)
		})
	}
}
