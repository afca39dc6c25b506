// Package cors answers cross-origin requests as the npm package cors does for the official server, and tells which of them
// may be served at all.
//
// It follows the Fetch standard, section 3.3 (https://fetch.spec.whatwg.org/#http-cors-protocol).
package cors

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options say which pages of other origins may use the server, and what browsers are told about it. The zero value, or
// nil, allows none and says nothing.
//
// They may be used concurrently, and must not be changed once they are in use.
type Options struct {
	// Origins are the origins that may use the server: scheme://host or scheme://host:port, as browsers send them.
	// Schemes and hosts match in any case, and a default port equals an absent one. Besides:
	//
	//   - https://*.example.com allows every host below example.com, at any depth, but not example.com;
	//   - http://localhost:* allows every port;
	//   - null allows sandboxed documents and files, all of them: whoever they come from;
	//   - "*" allows every origin.
	Origins []string
	// AllowOrigin allows origins besides. It is called with the Origin header as it came, for every request that
	// Origins do not allow, and must be safe for concurrent use. A regular expression goes here as its MatchString:
	// anchor it at both ends.
	AllowOrigin func(origin string) bool
	// Reflect answers an origin that only "*" allows with its own name instead of "*", as the npm package does for origin:
	// true. Together with Credentials every page on the web can then use the server as whoever looks at that page.
	Reflect bool
	// Methods are what pages may use (methods). nil: GET, HEAD, PUT, PATCH, POST, DELETE.
	Methods []string
	// AllowedHeaders are the request headers that pages may set (allowedHeaders). nil: whatever they ask for.
	AllowedHeaders []string
	// ExposedHeaders are the headers of answers that pages may read (exposedHeaders).
	ExposedHeaders []string
	// Credentials lets pages send cookies along (credentials). Browsers take it together with the origin's own name
	// only, never with "*".
	Credentials bool
	// MaxAge is how long browsers may keep the answer to a preflight, in whole seconds (maxAge). 0: their own default;
	// negative: not at all.
	MaxAge time.Duration
	// OptionsSuccessStatus is the status of the answer to a preflight (optionsSuccessStatus). 0: 204.
	OptionsSuccessStatus int
}

// Enabled tells whether the options allow anything. If not, nothing is said about origins, and OPTIONS is a method like
// others.
func (o *Options) Enabled() bool {
	return o != nil && (len(o.Origins) > 0 || o.AllowOrigin != nil)
}

// Validate tells whether the options mean something: the error names the first origin, method, header or status that cannot.
func (o *Options) Validate() error {
	if o == nil {
		return nil
	}
	for _, entry := range o.Origins {
		if err := validateEntry(entry); err != nil {
			return fmt.Errorf("cors: allowed origin %q: %w", entry, err)
		}
	}
	for _, list := range []struct {
		name   string
		tokens []string
	}{{"method", o.Methods}, {"allowed header", o.AllowedHeaders}, {"exposed header", o.ExposedHeaders}} {
		for _, token := range list.tokens {
			if !isToken(token) {
				return fmt.Errorf("cors: %s %q: not a name", list.name, token)
			}
		}
	}
	if s := o.OptionsSuccessStatus; s != 0 && (s < 200 || s > 299) {
		return fmt.Errorf("cors: status %d is no success", s)
	}
	if !o.Enabled() && (o.Reflect || o.Credentials || o.Methods != nil || o.AllowedHeaders != nil || o.ExposedHeaders != nil || o.MaxAge != 0) {
		return errors.New("cors: no origin is allowed")
	}
	return nil
}

// Handle sets the headers of the answer to r that are about its origin, and answers r itself if it is a preflight, as
// any OPTIONS request is taken for one: then done is true. Nothing has been written otherwise.
//
// An origin that is not allowed gets an answer without its name in it, and the browser keeps it from the page. Whether r
// is to be served is for [Options.Allowed] to say.
func (o *Options) Handle(w http.ResponseWriter, r *http.Request) (done bool) {
	if !o.Enabled() {
		return false
	}
	h := w.Header()
	o.SetHeaders(h, r)
	if r.Method != http.MethodOptions {
		return false
	}
	h.Set("Access-Control-Allow-Methods", o.methods())
	o.setAllowedHeaders(h, r)
	if o.MaxAge != 0 {
		h.Set("Access-Control-Max-Age", strconv.FormatInt(int64(max(o.MaxAge, 0)/time.Second), 10))
	}
	status := o.OptionsSuccessStatus
	if status == 0 {
		status = http.StatusNoContent
	}
	// Some browsers wait for a body without it. net/http leaves it out of a 204, as RFC 9110 8.6 demands.
	h.Set("Content-Length", "0")
	w.WriteHeader(status)
	return true
}

// SetHeaders adds to h, the header of an answer to r, what is about the origin of r.
func (o *Options) SetHeaders(h http.Header, r *http.Request) {
	if !o.Enabled() {
		return
	}
	name, varies := o.allowOrigin(r.Header.Get("Origin"))
	if name != "" {
		h.Set("Access-Control-Allow-Origin", name)
	}
	if varies {
		addVary(h, "Origin")
	}
	if o.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if len(o.ExposedHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(o.ExposedHeaders, ","))
	}
}

// allowOrigin returns what the answer to origin says is allowed, nothing if that is none, and whether another origin might
// be told something else.
func (o *Options) allowOrigin(origin string) (name string, varies bool) {
	if !o.Reflect && o.any() {
		return "*", false
	}
	if origin != "" && o.listed(origin) {
		return origin, true
	}
	return "", true
}

func (o *Options) methods() string {
	if o.Methods == nil {
		return "GET,HEAD,PUT,PATCH,POST,DELETE"
	}
	return strings.Join(o.Methods, ",")
}

func (o *Options) setAllowedHeaders(h http.Header, r *http.Request) {
	headers := strings.Join(o.AllowedHeaders, ",")
	if o.AllowedHeaders == nil {
		headers = strings.Join(r.Header["Access-Control-Request-Headers"], ", ")
		addVary(h, "Access-Control-Request-Headers")
	}
	if headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
}

// addVary adds name to the one Vary header, if it is not there (RFC 9110 12.5.5).
func addVary(h http.Header, name string) {
	have := h["Vary"]
	for _, line := range have {
		for item := range strings.SplitSeq(line, ",") {
			if item = strings.TrimSpace(item); item == "*" || strings.EqualFold(item, name) {
				return
			}
		}
	}
	h["Vary"] = []string{strings.Join(append(slices.Clip(have), name), ", ")}
}

// isToken follows RFC 9110 5.6.2.
func isToken(s string) bool {
	const characters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return s != "" && strings.Trim(s, characters) == ""
}
