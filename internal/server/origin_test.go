package server

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
)

func TestOrigin(t *testing.T) {
	o, err := newOrigins([]string{"https://good.com", "HTTPS://Port.com:8443", "http://[::1]:3000", "http://defaulted.com:80"}, false)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		host, origin string
		tls          bool
		foreign, ok  bool
	}{
		{"me.com", "", false, false, true}, // not a page, or one of ours
		{"me.com", "http://me.com", false, false, true},
		{"me.com", "https://me.com", false, false, true}, // a proxy took the TLS off
		{"me.com", "https://me.com", true, false, true},
		{"me.com", "http://me.com", true, false, false}, // without TLS anybody can be me.com
		{"me.com:8000", "http://me.com:8000", false, false, true},
		{"ME.com", "http://me.COM", false, false, true},
		{"me.com:80", "http://me.com", false, false, true},
		{"me.com", "http://me.com:80", false, false, true},
		{"me.com:443", "https://me.com", true, false, true},
		{"me.com:8000", "http://me.com", false, false, false},
		{"me.com", "http://me.com:8000", false, false, false},
		{"me.com", "null", false, false, false},
		{"me.com", "file://", false, false, false},
		{"me.com", "chrome-extension://me.com", false, false, false},
		{"me.com", "me.com", false, false, false},
		{"me.com", "*", false, false, false},
		{"me.com", "https://good.com", false, true, true},
		{"me.com", "https://GOOD.com:443", false, true, true},
		{"me.com", "http://good.com", false, false, false},
		{"me.com", "https://good.com:444", false, false, false},
		{"me.com", "https://a.good.com", false, false, false},
		{"me.com", "https://port.com:8443", false, true, true},
		{"me.com", "https://port.com", false, false, false},
		{"me.com", "http://[::1]:3000", false, true, true},
		{"me.com", "http://defaulted.com", false, true, true},
	}
	for _, test := range tests {
		r := &http.Request{Host: test.host, Header: http.Header{}}
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		if test.tls {
			r.TLS = &tls.ConnectionState{}
		}
		foreign, ok := o.check(r)
		if ok != test.ok || (foreign != "") != test.foreign {
			t.Errorf("host %q, origin %q, TLS %v: %q, %v; want foreign %v, %v", test.host, test.origin, test.tls, foreign, ok, test.foreign, test.ok)
		}
	}
	r := &http.Request{Host: "me.com", Header: http.Header{"Origin": {"http://me.com", "http://me.com"}}}
	if _, ok := o.check(r); ok {
		t.Error("two origins are one too many")
	}
}

func TestCrossOrigin(t *testing.T) {
	s := start(t, Config{AllowOrigins: []string{"https://good.com"}})
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PUT"} {
		response, body := request(t, method, s.url("/c/a"), "", "Origin", "https://evil.com", "Access-Control-Request-Method", "POST")
		if response.StatusCode != http.StatusForbidden || response.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s from elsewhere: status %d, %v", method, response.StatusCode, response.Header)
		}
		if method == "POST" {
			wantError(t, response, body, 403, "origin_not_allowed")
		}
	}
	if n := s.Hub().Stats().Channels; n != 0 {
		t.Errorf("%d channels were made by requests that were refused", n)
	}

	response, _ := request(t, "POST", s.url("/c/a"), "x", "Origin", "https://good.com")
	h := response.Header
	if response.StatusCode != http.StatusOK || h.Get("Access-Control-Allow-Origin") != "https://good.com" || !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
		t.Errorf("from the list: status %d, %v", response.StatusCode, h)
	}
	response, _ = request(t, "OPTIONS", s.url("/c/a"), "", "Origin", "https://good.com", "Access-Control-Request-Method", "POST")
	h = response.Header
	if response.StatusCode != http.StatusNoContent || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Last-Event-ID") {
		t.Errorf("preflight: status %d, %v", response.StatusCode, h)
	}
	// An error must be readable as well, and same-origin requests need nothing.
	response, _ = request(t, "GET", s.url("/c/a?after=99"), "", "Origin", "https://good.com")
	if response.StatusCode != http.StatusGone || response.Header.Get("Access-Control-Allow-Origin") != "https://good.com" {
		t.Errorf("an error: status %d, %v", response.StatusCode, response.Header)
	}
	response, _ = request(t, "GET", s.url("/c/a"), "", "Origin", "http://me.com", "Host", "me.com")
	if response.StatusCode != http.StatusOK || response.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("same origin: status %d, %v", response.StatusCode, response.Header)
	}

	dev := start(t, Config{Dev: true, AllowOrigins: []string{"*"}})
	response, _ = request(t, "GET", dev.url("/c/a"), "", "Origin", "null")
	if response.StatusCode != http.StatusOK || response.Header.Get("Access-Control-Allow-Origin") != "null" {
		t.Errorf("dev: status %d, %v", response.StatusCode, response.Header)
	}
}
