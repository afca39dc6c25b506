// Package console is the page at / of the stand-alone server: one channel over every transport, side by side, live. It
// is plain HTML, CSS and JavaScript, embedded as it is written; it loads nothing from elsewhere.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"time"
)

//go:embed page
var files embed.FS

// policy has the browser run and load only what this package serves (Content Security Policy Level 3, in which 'self'
// includes WebSockets to the same host).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// A Console has the files of the page by the path that each is served at. It is an [http.Handler] for GET and HEAD.
type Console struct {
	files map[string]file
}

type file struct {
	name string
	body []byte
	tag  string
}

// New makes a console: index.html at /, the other files below /console/.
func New() *Console {
	entries, err := files.ReadDir("page")
	if err != nil {
		panic(err) // they are part of the program
	}
	c := &Console{files: make(map[string]file, len(entries))}
	for _, entry := range entries {
		body, err := files.ReadFile("page/" + entry.Name())
		if err != nil {
			panic(err)
		}
		at := "/console/" + entry.Name()
		if entry.Name() == "index.html" {
			at = "/"
		}
		c.files[at] = file{entry.Name(), body, tagOf(body)}
	}
	return c
}

// tagOf makes an entity tag (RFC 9110 section 8.8.3) of what a file contains.
func tagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// Has says whether there is something at a path.
func (c *Console) Has(path string) bool {
	_, ok := c.files[path]
	return ok
}

func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := c.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mediaTypes[path.Ext(f.name)])
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	// Asked for again each time, and sent only when it has changed.
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.tag)
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.body))
}
