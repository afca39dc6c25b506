package origin_test

import (
	"strings"
	"testing"

	"baro.dev/internal/origin"
)

func parsePattern(t testing.TB, s string) origin.Pattern {
	t.Helper()
	p, err := origin.ParsePattern(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return p
}

// matches is what the callers do with a header Origin.
func matches(p origin.Pattern, value string) bool {
	o, err := origin.Parse(value)
	return err == nil && p.Matches(o)
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		pattern string
		yes, no []string
	}{
		{"https://good.com",
			[]string{"https://good.com", "https://GOOD.com", "HTTPS://good.com", "https://good.com:443"},
			[]string{"http://good.com", "https://good.com:8443", "https://www.good.com", "https://good.com.evil.com", "https://evilgood.com",
				"https://good.com@evil.com", "https://good.co", "https://good.com/", "https://good.com.", "https://good.com:443x", "null", "good.com",
				"https://goodXcom", "https://good.com\x00", "https://good.com, https://good.com"}},
		{"HTTPS://Good.com:443", []string{"https://good.com"}, []string{"https://good.com:80"}},
		{"http://localhost:3000", []string{"http://localhost:3000"}, []string{"http://localhost", "http://localhost:3001", "https://localhost:3000"}},
		{"https://xn--bcher-kva.example", []string{"https://xn--bcher-kva.example"}, []string{"https://b\u00fccher.example"}},
		{"https://*.good.com",
			[]string{"https://www.good.com", "https://a.b.good.com", "https://WWW.good.com:443"},
			[]string{"https://good.com", "https://.good.com", "https://evilgood.com", "https://www.good.com.evil.com", "https://www.good.com:8443",
				"http://www.good.com", "https://evil.com/.good.com", "https://evil.com#.good.com", "https://evil.com?.good.com", "https://evil@www.good.com",
				"https://evil.com\\.good.com", "https://*.good.com", "https://com", "https://[::1]"}},
		{"http://localhost:*",
			[]string{"http://localhost", "http://localhost:80", "http://localhost:3000"},
			[]string{"https://localhost", "http://localhost:", "http://localhost:*", "http://localhost.evil.com:3000", "http://localhost:3000@evil.com"}},
		{"http://*.good.com:*", []string{"http://a.good.com:81"}, []string{"http://good.com:81"}},
		{"http://[::1]:*", []string{"http://[::1]:81", "http://[0::1]"}, []string{"http://[::2]:81"}},
		{"http://127.0.0.1:*", []string{"http://127.0.0.1:81"}, []string{"http://1.127.0.0.1:81"}},
		{"app://good", []string{"app://good"}, []string{"http://good"}},
		{"app://*.good:*", []string{"app://a.good", "app://a.good:1"}, []string{"app://good"}},
	} {
		p := parsePattern(t, test.pattern)
		for _, value := range test.yes {
			if !matches(p, value) {
				t.Errorf("%q does not match %q", test.pattern, value)
			}
		}
		for _, value := range test.no {
			if matches(p, value) {
				t.Errorf("%q matches %q", test.pattern, value)
			}
		}
	}
}

// Whatever a browser or an attacker puts into Origin, only the same host passes; a pattern lets through what it says, and
// nothing that is no origin, whatever it looks like; and an origin is a pattern of itself.
func FuzzOrigin(f *testing.F) {
	f.Add("https://good.com", "good.com:443")
	f.Add("http://[::1]:80", "[0::1]")
	f.Add("https://good.com@evil.com", "good.com")
	f.Add("https://www.good.com", "good.com")
	f.Add("null", "")
	exact, below, anyPort := parsePattern(f, "https://good.com"), parsePattern(f, "https://*.good.com"), parsePattern(f, "http://localhost:*")
	f.Fuzz(func(t *testing.T, value, host string) {
		o, err := origin.Parse(value)
		p, bad := origin.ParsePattern(value)
		if err != nil {
			if bad == nil && !strings.Contains(value, "*") {
				t.Errorf("%q is a pattern and no origin: %v", value, err)
			}
			return
		}
		if bad != nil || !p.Matches(o) {
			t.Errorf("%q is no pattern of itself: %v", value, bad)
		}
		s := strings.ToLower(value)
		scheme, rest, _ := strings.Cut(s, "://")
		if strings.ContainsAny(rest, "/?#@\\ ,*\x00") {
			t.Errorf("%q is an origin", value)
		}
		trim := func(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, ":80"), ":443") }
		if o.Same(host) && (scheme != "http" && scheme != "https" || trim(rest) != trim(strings.ToLower(host)) && rest[0] != '[') {
			t.Errorf("%q passes at %q", value, host)
		}
		name := strings.TrimSuffix(rest, ":443")
		port, local := strings.CutPrefix(s, "http://localhost")
		for _, test := range []struct {
			pattern origin.Pattern
			want    bool
		}{
			{exact, scheme == "https" && name == "good.com"},
			{below, scheme == "https" && strings.HasSuffix(name, ".good.com")},
			{anyPort, local && (port == "" || port[0] == ':')},
		} {
			if got := test.pattern.Matches(o); got != test.want {
				t.Errorf("%+v and %q: %v", test.pattern, value, got)
			}
		}
	})
}

func TestAllocations(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		if !matches(parsePattern(t, "https://*.example.com"), "https://www.example.com") || !same("http://server.example:80", "server.example") {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
