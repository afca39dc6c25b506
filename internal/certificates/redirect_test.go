package certificates

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// Only requests for our own domains are sent on, and nowhere else than to these.
func TestRedirect(t *testing.T) {
	h := redirect([]string{"example.com"}, ":8443")
	for _, test := range []struct {
		method, host, uri string
		status            int
		location          string
	}{
		{"GET", "example.com", "/a?b=c", http.StatusPermanentRedirect, "https://example.com:8443/a?b=c"},
		{"HEAD", "EXAMPLE.com:80", "/", http.StatusPermanentRedirect, "https://example.com:8443/"},
		{"GET", "evil.example", "/", http.StatusNotFound, ""},
		{"POST", "example.com", "/", http.StatusForbidden, ""},
		{"GET", "example.com", "http:.evil.example/", http.StatusNotFound, ""},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(test.method, "/", nil)
		var err error
		if r.URL, err = url.ParseRequestURI(test.uri); err != nil { // as net/http does
			t.Fatal(err)
		}
		r.Host = test.host
		h.ServeHTTP(w, r)
		if w.Code != test.status || w.Header().Get("Location") != test.location {
			t.Errorf("%s %s of %s: %d, %q", test.method, test.uri, test.host, w.Code, w.Header().Get("Location"))
		}
	}
}
