package console

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	New().ServeHTTP(w, r)
	return w
}

func TestFiles(t *testing.T) {
	types := map[string]string{
		"/":                      "text/html; charset=utf-8",
		"/console/access.js":     "text/javascript; charset=utf-8",
		"/console/app.js":        "text/javascript; charset=utf-8",
		"/console/card.js":       "text/javascript; charset=utf-8",
		"/console/transports.js": "text/javascript; charset=utf-8",
		"/console/ledger.js":     "text/javascript; charset=utf-8",
		"/console/bytes.js":      "text/javascript; charset=utf-8",
		"/console/style.css":     "text/css; charset=utf-8",
		"/console/icon.svg":      "image/svg+xml",
	}
	c := New()
	if len(c.files) != len(types) {
		t.Errorf("%d files, want %d", len(c.files), len(types))
	}
	for path, want := range types {
		w := get(t, path)
		h := w.Header()
		if w.Code != http.StatusOK || h.Get("Content-Type") != want || !c.Has(path) {
			t.Errorf("%s: status %d, type %q; want %q", path, w.Code, h.Get("Content-Type"), want)
		}
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none';") {
			t.Errorf("%s: the policy is %q", path, h.Get("Content-Security-Policy"))
		}
		again := get(t, path, "If-None-Match", h.Get("ETag"))
		if again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s, when it has not changed: status %d with %d bytes", path, again.Code, again.Body.Len())
		}
	}
	for _, path := range []string{"/console/", "/console/index.html", "/console/../app.js", "/console/app.js/", "/index.html", "/page/app.js"} {
		if w := get(t, path); w.Code != http.StatusNotFound || c.Has(path) {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
}

// The page keeps to its own policy: nothing inline, nothing from elsewhere, and what it asks for is there.
func TestPageKeepsToItsPolicy(t *testing.T) {
	c := New()
	page := string(c.files["/"].body)
	for _, wrong := range []string{"<style", " style=", "javascript:", " onclick", " onload", " onsubmit"} {
		if strings.Contains(page, wrong) {
			t.Errorf("the page has %q", wrong)
		}
	}
	if regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(page) {
		t.Error("the page has a script of its own")
	}
	references := regexp.MustCompile(`(?:href|src)="([^"#]*)"`).FindAllStringSubmatch(page, -1)
	if len(references) < 3 {
		t.Errorf("the page asks for %d files", len(references))
	}
	for _, r := range references {
		if !c.Has(r[1]) {
			t.Errorf("the page asks for %s, which is not there", r[1])
		}
	}
	imports := regexp.MustCompile(`from "\./([^"]*)"`)
	elsewhere := regexp.MustCompile(`https?://[a-z]`)
	for path, f := range c.files {
		for _, i := range imports.FindAllStringSubmatch(string(f.body), -1) {
			if !c.Has("/console/" + i[1]) {
				t.Errorf("%s imports %s, which is not there", path, i[1])
			}
		}
		text := strings.ReplaceAll(string(f.body), "http://www.w3.org/2000/svg", "")
		if found := elsewhere.FindString(text); found != "" {
			t.Errorf("%s refers to elsewhere: %s", path, found)
		}
		if regexp.MustCompile(`innerHTML|insertAdjacentHTML|document\.write|eval\(`).MatchString(text) {
			t.Errorf("%s makes markup or code of text", path)
		}
	}
}
