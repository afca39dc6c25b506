package cors

import (
	"strings"
	"testing"
)

func TestSameOrigin(t *testing.T) {
	var nobody *Options
	for _, test := range []struct {
		origin, host string
		want         bool
	}{
		{"", "example.com", true}, // not a browser, or the same origin
		{"http://example.com", "example.com", true},
		{"https://example.com", "example.com", true},
		{"HTTP://Example.COM", "example.com", true},
		{"http://example.com", "EXAMPLE.com", true},
		{"http://example.com", "example.com:80", true},
		{"http://example.com:80", "example.com", true},
		{"https://example.com", "example.com:443", true},
		{"http://localhost:3000", "localhost:3000", true},
		{"http://[::1]:3000", "[::1]:3000", true},
		{"http://127.0.0.1", "127.0.0.1", true},

		{"http://example.com:8080", "example.com", false},
		{"http://example.com", "example.com:8080", false},
		{"http://example.com", "example.com:443", false},
		{"https://example.com", "example.com:80", false},
		{"http://localhost:3000", "127.0.0.1:3000", false},
		{"null", "null", false},
		{"file://", "example.com", false},
		{"chrome-extension://example.com", "example.com", false},
		{"https://example.com.evil.com", "example.com", false},
		{"https://evilexample.com", "example.com", false},
		{"https://example.com@evil.com", "example.com", false},
		{"https://evil.com@example.com", "example.com", false},
		{"https://example.com/", "example.com", false},
		{"https://example.com.", "example.com", false},
		{"https://example.com:", "example.com", false},
		{"https://example.com:0443", "example.com", false},
		{"https://example.com:99999", "example.com:99999", false},
		{"https://example.com https://evil.com", "example.com", false},
		{"https://example.com", "", false},
		{"https://", "", false},
		{"://example.com", "example.com", false},
		{"example.com", "example.com", false},
		{"http://\u212Aelvin.com", "kelvin.com", false}, // U+212A, the Kelvin sign
	} {
		for _, o := range []*Options{nobody, {}, {Origins: []string{"https://other.example"}}, {Credentials: true}} {
			if got := o.Allowed(test.origin, test.host); got != test.want {
				t.Errorf("%q of %q: %v", test.origin, test.host, got)
			}
		}
	}
}

func TestListedOrigin(t *testing.T) {
	for _, test := range []struct {
		entry      string
		allowed    []string
		notAllowed []string
	}{
		{"https://good.com",
			[]string{"https://good.com", "https://GOOD.com", "HTTPS://good.com", "https://good.com:443"},
			[]string{"http://good.com", "https://good.com:8443", "https://www.good.com", "https://good.com.evil.com", "https://evilgood.com",
				"https://good.com@evil.com", "https://good.co", "https://good.com/", "https://good.com.", "https://good.com:443x", "null", "good.com",
				"https://goodXcom", "https://good.com\x00", "https://good.com, https://good.com"}},
		{"http://localhost:3000", []string{"http://localhost:3000"}, []string{"http://localhost", "http://localhost:3001", "https://localhost:3000"}},
		{"https://*.good.com",
			[]string{"https://www.good.com", "https://a.b.good.com", "https://WWW.good.com:443"},
			[]string{"https://good.com", "https://.good.com", "https://evilgood.com", "https://www.good.com.evil.com", "https://www.good.com:8443",
				"http://www.good.com", "https://evil.com/.good.com", "https://evil.com#.good.com", "https://evil.com?.good.com", "https://evil@www.good.com",
				"https://evil.com\\.good.com", "https://*.good.com"}},
		{"http://localhost:*",
			[]string{"http://localhost", "http://localhost:80", "http://localhost:3000"},
			[]string{"https://localhost", "http://localhost:", "http://localhost:*", "http://localhost.evil.com:3000", "http://localhost:3000@evil.com"}},
		{"http://*.good.com:*", []string{"http://a.good.com:81"}, []string{"http://good.com:81"}},
		{"http://[::1]:*", []string{"http://[::1]:81"}, []string{"http://[::2]:81"}},
		{"app://good", []string{"app://good"}, []string{"http://good"}},
		{"null", []string{"null"}, []string{"NULL", "http://null"}},
		{"*", []string{"null", "http://evil.com", "file://", "anything"}, nil},
	} {
		o := &Options{Origins: []string{"https://first.example", test.entry}}
		if err := o.Validate(); err != nil {
			t.Errorf("%q: %v", test.entry, err)
		}
		for _, origin := range test.allowed {
			if !o.Allowed(origin, "server.example") {
				t.Errorf("%q does not allow %q", test.entry, origin)
			}
		}
		for _, origin := range test.notAllowed {
			if o.Allowed(origin, "server.example") {
				t.Errorf("%q allows %q", test.entry, origin)
			}
		}
	}
}

func TestAllowOrigin(t *testing.T) {
	var asked []string
	o := &Options{Origins: []string{"http://a.example"}, AllowOrigin: func(origin string) bool {
		asked = append(asked, origin)
		return origin == "null"
	}}
	for origin, want := range map[string]bool{"": true, "http://a.example": true, "http://server.example": true, "null": true, "http://b.example": false} {
		if got := o.Allowed(origin, "server.example"); got != want {
			t.Errorf("%q: %v", origin, got)
		}
	}
	if len(asked) != 2 {
		t.Errorf("asked about %q", asked)
	}
}

func TestValidate(t *testing.T) {
	for _, o := range []*Options{
		{Origins: []string{""}}, {Origins: []string{"good.com"}}, {Origins: []string{"https://good.com/"}}, {Origins: []string{"https://"}},
		{Origins: []string{"https://*"}}, {Origins: []string{"https://a.*.com"}}, {Origins: []string{"https://*good.com"}}, {Origins: []string{"*.good.com"}},
		{Origins: []string{"https://good.com:0"}}, {Origins: []string{"https://good.com:80:*"}}, {Origins: []string{"wss://good.com"}},
		{Origins: []string{"https://bücher.example"}}, {Origins: []string{"https://*.127.0.0.1"}}, {Origins: []string{"https://*.[::1]"}},
		{Origins: []string{"*"}, Methods: []string{"GET, POST"}}, {Origins: []string{"*"}, AllowedHeaders: []string{"a\r\nb"}},
		{Origins: []string{"*"}, ExposedHeaders: []string{""}}, {Origins: []string{"*"}, OptionsSuccessStatus: 404},
		{Credentials: true},
	} {
		err := o.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "cors: ") {
			t.Errorf("%+v: %v", *o, err)
		}
		for _, entry := range o.Origins {
			if entry != "" && entry != "*" && (o.Allowed("https://good.com", "x") || o.Allowed(entry, "x") && entry != "wss://good.com") {
				t.Errorf("%q allows something", entry)
			}
		}
	}
	for _, o := range []*Options{nil, {}} {
		if err := o.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// A wildcard or a list never allows what is not an origin, whatever it looks like; the exact entry allows just itself.
func FuzzAllowed(f *testing.F) {
	f.Add("https://www.good.com", "good.com")
	f.Add("https://good.com.evil.com", "good.com:443")
	f.Add("http://[::1]:80", "[::1]")
	f.Add("null", "")
	f.Fuzz(func(t *testing.T, origin, host string) {
		o := &Options{Origins: []string{"https://good.com", "https://*.good.com", "http://localhost:*"}}
		if origin == "" || !o.Allowed(origin, host) || sameOrigin(origin, host) {
			return
		}
		s := strings.ToLower(origin)
		rest, https := strings.CutPrefix(s, "https://")
		switch port, local := strings.CutPrefix(s, "http://localhost"); {
		case local && (port == "" || port[0] == ':' && len(port) <= 6):
		case https && (rest == "good.com" || rest == "good.com:443"):
		case https && (strings.HasSuffix(rest, ".good.com") || strings.HasSuffix(rest, ".good.com:443")) && !strings.ContainsAny(rest, "/@?#\\ ,*"):
		default:
			t.Fatalf("%q is allowed", origin)
		}
	})
}

func TestAllowedAllocates(t *testing.T) {
	o := &Options{Origins: []string{"https://first.example", "https://*.example.com"}}
	if n := testing.AllocsPerRun(100, func() {
		if !o.Allowed("https://www.example.com", "server.example") || !o.Allowed("http://server.example:80", "server.example") {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllowed(b *testing.B) {
	o := &Options{Origins: []string{"https://first.example", "https://second.example", "https://*.example.com"}}
	b.ReportAllocs()
	for b.Loop() {
		if !o.Allowed("https://www.example.com", "server.example") {
			b.Fatal("refused")
		}
	}
}
