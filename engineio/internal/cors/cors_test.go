package cors

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func answer(t *testing.T, o *Options, method string, requestHeader map[string]string, vary ...string) (h http.Header, status int, done bool) {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:4660/socket.io/?EIO=4&transport=polling", nil)
	for name, value := range requestHeader {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	if vary != nil {
		w.Header()["Vary"] = vary
	}
	done = o.Handle(w, r)
	return w.Header(), w.Code, done
}

func TestHandle(t *testing.T) {
	const (
		allowOrigin  = "Access-Control-Allow-Origin"
		allowMethods = "Access-Control-Allow-Methods"
		allowHeaders = "Access-Control-Allow-Headers"
		credentials  = "Access-Control-Allow-Credentials"
		maxAge       = "Access-Control-Max-Age"
		expose       = "Access-Control-Expose-Headers"
		allMethods   = "GET,HEAD,PUT,PATCH,POST,DELETE"
		asked        = "Access-Control-Request-Headers"
	)
	type fields = map[string]string
	captured := &Options{Origins: []string{"http://a.example"}, Credentials: true}
	for _, test := range []struct {
		name    string
		options *Options
		method  string
		request fields
		status  int // 0: not answered
		want    fields
	}{
		{"captured: no origin", captured, "GET", nil, 0, fields{"Vary": "Origin", credentials: "true"}},
		{"captured: allowed", captured, "GET", fields{"Origin": "http://a.example"}, 0,
			fields{allowOrigin: "http://a.example", "Vary": "Origin", credentials: "true"}},
		{"captured: not allowed", captured, "GET", fields{"Origin": "http://b.example"}, 0, fields{"Vary": "Origin", credentials: "true"}},
		{"captured: preflight", captured, "OPTIONS",
			fields{"Origin": "http://a.example", "Access-Control-Request-Method": "POST", asked: "content-type"}, 204,
			fields{allowOrigin: "http://a.example", "Vary": "Origin, Access-Control-Request-Headers", credentials: "true",
				allowMethods: allMethods, allowHeaders: "content-type"}},
		{"preflight, not allowed", captured, "OPTIONS", fields{"Origin": "http://b.example"}, 204,
			fields{"Vary": "Origin, Access-Control-Request-Headers", credentials: "true", allowMethods: allMethods}},

		{"none", nil, "OPTIONS", fields{"Origin": "http://a.example"}, 0, fields{}},
		{"zero", &Options{}, "OPTIONS", fields{"Origin": "http://a.example"}, 0, fields{}},
		{"zero, GET", &Options{Credentials: true}, "GET", fields{"Origin": "http://a.example"}, 0, fields{}},

		{"all", &Options{Origins: []string{"*"}}, "GET", fields{"Origin": "http://a.example"}, 0, fields{allowOrigin: "*"}},
		{"all, no origin", &Options{Origins: []string{"*"}}, "GET", nil, 0, fields{allowOrigin: "*"}},
		{"all with credentials is not the origin's own name", &Options{Origins: []string{"*"}, Credentials: true}, "GET",
			fields{"Origin": "http://a.example"}, 0, fields{allowOrigin: "*", credentials: "true"}},
		{"all, reflected", &Options{Origins: []string{"*"}, Credentials: true, Reflect: true}, "GET", fields{"Origin": "http://a.example"}, 0,
			fields{allowOrigin: "http://a.example", "Vary": "Origin", credentials: "true"}},
		{"all, reflected, no origin", &Options{Origins: []string{"*"}, Reflect: true}, "GET", nil, 0, fields{"Vary": "Origin"}},
		{"reflecting allows nothing more", &Options{Origins: []string{"http://a.example"}, Reflect: true}, "GET",
			fields{"Origin": "http://b.example"}, 0, fields{"Vary": "Origin"}},

		{"function", &Options{AllowOrigin: regexp.MustCompile(`^https://[a-z]+\.example$`).MatchString}, "GET",
			fields{"Origin": "https://b.example"}, 0, fields{allowOrigin: "https://b.example", "Vary": "Origin"}},
		{"function says no", &Options{AllowOrigin: regexp.MustCompile(`^https://[a-z]+\.example$`).MatchString}, "GET",
			fields{"Origin": "https://b.example.evil.com"}, 0, fields{"Vary": "Origin"}},

		{"everything said", &Options{Origins: []string{"http://a.example"}, Methods: []string{"GET", "POST"}, AllowedHeaders: []string{"x-a", "x-b"},
			ExposedHeaders: []string{"x-c", "x-d"}, MaxAge: 90*time.Second + time.Millisecond, OptionsSuccessStatus: 200}, "OPTIONS",
			fields{"Origin": "http://a.example", asked: "x-e"}, 200,
			fields{allowOrigin: "http://a.example", "Vary": "Origin", allowMethods: "GET,POST", allowHeaders: "x-a,x-b", expose: "x-c,x-d", maxAge: "90"}},
		{"exposed headers on other answers", &Options{Origins: []string{"*"}, ExposedHeaders: []string{"x-c", "x-d"}, MaxAge: time.Hour}, "POST", nil, 0,
			fields{allowOrigin: "*", expose: "x-c,x-d"}},
		{"no age", &Options{Origins: []string{"*"}, MaxAge: -1}, "OPTIONS", nil, 204,
			fields{allowOrigin: "*", allowMethods: allMethods, maxAge: "0", "Vary": asked}},
		{"no header", &Options{Origins: []string{"*"}, AllowedHeaders: []string{}}, "OPTIONS", fields{asked: "x-e"}, 204,
			fields{allowOrigin: "*", allowMethods: allMethods}},
	} {
		h, status, done := answer(t, test.options, test.method, test.request)
		if done != (test.status != 0) || done && status != test.status {
			t.Errorf("%s: done %v, status %d", test.name, done, status)
		}
		want := http.Header{}
		for name, value := range test.want {
			want.Set(name, value)
		}
		if done {
			want.Set("Content-Length", "0")
		}
		if !maps.EqualFunc(h, want, slices.Equal) {
			t.Errorf("%s:\n%v, want\n%v", test.name, h, want)
		}
		if err := test.options.Validate(); err != nil && test.name != "zero, GET" {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// What net/http makes of a preflight's answer: no body, and a connection that lives on.
func TestPreflightOnTheWire(t *testing.T) {
	for _, status := range []int{0, 200} {
		o := &Options{Origins: []string{"*"}, OptionsSuccessStatus: status}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.Handle(w, r) }))
		r, err := http.NewRequest("OPTIONS", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.ContentLength != 0 || answer.Close || answer.TransferEncoding != nil {
			t.Errorf("%v", answer)
		}
		server.Close()
	}
}

// RFC 9110 12.5.5: a name is in Vary once, and "*" says it all.
func TestVary(t *testing.T) {
	o := &Options{Origins: []string{"http://a.example"}}
	for _, test := range []struct {
		have []string
		want string
	}{
		{nil, "Origin"},
		{[]string{"Accept-Encoding"}, "Accept-Encoding, Origin"},
		{[]string{"Accept", "Cookie"}, "Accept, Cookie, Origin"},
		{[]string{"Accept, origin"}, "Accept, origin"},
		{[]string{"*"}, "*"},
		{[]string{"X-Origin"}, "X-Origin, Origin"},
	} {
		h, _, _ := answer(t, o, "GET", nil, test.have...)
		if got := strings.Join(h["Vary"], "|"); got != test.want {
			t.Errorf("%q: %q, want %q", test.have, got, test.want)
		}
	}
}
