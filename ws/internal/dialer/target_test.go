package dialer

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, c := range []struct{ url, network, address, tls, host, resource string }{
		// RFC 6455 3: "The port component is OPTIONAL; the default for "ws" is port 80, while the default for "wss" is port 443."
		{"ws://example.com", "tcp", "example.com:80", "", "example.com", "/"},
		{"wss://example.com", "tcp", "example.com:443", "tls", "example.com", "/"},
		{"http://example.com/a", "tcp", "example.com:80", "", "example.com", "/a"},
		{"https://example.com/a", "tcp", "example.com:443", "tls", "example.com", "/a"},
		{"ws://example.com:80/", "tcp", "example.com:80", "", "example.com", "/"},
		{"ws://example.com:443/", "tcp", "example.com:443", "", "example.com:443", "/"},
		{"wss://example.com:80/", "tcp", "example.com:80", "tls", "example.com:80", "/"},
		{"ws://example.com:0080/", "tcp", "example.com:80", "", "example.com", "/"},
		{"ws://example.com:/", "tcp", "example.com:80", "", "example.com", "/"},
		{"WSS://EXAMPLE.com:65535/A", "tcp", "example.com:65535", "tls", "example.com:65535", "/A"},
		{"ws://a_b.local./", "tcp", "a_b.local.:80", "", "a_b.local.", "/"},
		{"ws://127.0.0.1:9/", "tcp", "127.0.0.1:9", "", "127.0.0.1:9", "/"},
		{"ws://[::1]", "tcp", "[::1]:80", "", "[::1]", "/"},
		{"wss://[2001:DB8:0::1]:8443/x", "tcp", "[2001:db8::1]:8443", "tls", "[2001:db8::1]:8443", "/x"},
		{"ws://[fe80::1%25Eth0]:81/", "tcp", "[fe80::1%Eth0]:81", "", "[fe80::1]:81", "/"},
		{"ws://user:pass@example.com/", "tcp", "example.com:80", "", "example.com", "/"},
		// RFC 6455 3: resource name is the path, "/" if it is empty, then "?" and the query if it is not empty.
		{"ws://h?q=1", "tcp", "h:80", "", "h", "/?q=1"},
		{"ws://h/a%2Fb/%23?x=%23&y=a;b", "tcp", "h:80", "", "h", "/a%2Fb/%23?x=%23&y=a;b"},
		{"ws://h/a b/é\"?a b=é\"<>", "tcp", "h:80", "", "h", "/a%20b/%C3%A9%22?a%20b=%C3%A9%22%3C%3E"},
		{"ws://h/? HTTP/1.0", "tcp", "h:80", "", "h", "/?%20HTTP/1.0"},
		{"ws://h//x/../y", "tcp", "h:80", "", "h", "//x/../y"},
		{"ws://h/?", "tcp", "h:80", "", "h", "/?"},

		{"ws+unix:///run/a.sock", "unix", "/run/a.sock", "", "localhost", "/"},
		{"ws+unix:///run/a.sock:", "unix", "/run/a.sock", "", "localhost", "/"},
		{"ws+unix:///run/a.sock:/chat?x=1", "unix", "/run/a.sock", "", "localhost", "/chat?x=1"},
		{"ws+unix:///run/a.sock:/a:b:c", "unix", "/run/a.sock", "", "localhost", "/a:b:c"},
		{"ws+unix:///run/a.sock?x=1", "unix", "/run/a.sock", "", "localhost", "/?x=1"},
		{"ws+unix:///run/a%3Ab%20c.sock:/p%2Fq", "unix", "/run/a:b c.sock", "", "localhost", "/p%2Fq"},
		{"ws+unix:/run/a.sock:/p", "unix", "/run/a.sock", "", "localhost", "/p"},
		{"wss+unix:///run/a.sock:/p", "unix", "/run/a.sock", "tls", "localhost", "/p"},
	} {
		got, err := ParseURL(c.url)
		if err != nil {
			t.Errorf("%q: %v", c.url, err)
			continue
		}
		scheme := "http"
		if c.tls != "" {
			scheme = "https"
		}
		if got.Network != c.network || got.Address != c.address || got.TLS != (c.tls != "") ||
			got.URL.Scheme != scheme || got.URL.Host != c.host || got.URL.RequestURI() != c.resource {
			t.Errorf("%q: got %+v, URL %+v", c.url, got, got.URL)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, c := range []struct{ url, why string }{
		{"", "scheme"},
		{"example.com", "scheme"},
		{"ftp://example.com/", `scheme "ftp"`},
		{"file:///etc/passwd", `scheme "file"`},
		{"unix:///a.sock", `scheme "unix"`},
		{"http+unix:///a.sock", `scheme "http+unix"`},
		{"//example.com/", "scheme"},
		{"ws:", "no host"},
		{"ws:example.com", "//"},
		{"ws:/example.com", "no host"},
		{"ws:///path", "no host"},
		{"ws://:80/", "no host"},
		{"ws://user@/", "no host"},
		// RFC 6455 3: "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be used".
		{"ws://h/#f", "fragment"},
		{"ws://h/#", "fragment"},
		{"ws+unix:///a.sock:/p#f", "fragment"},
		{"ws://h:0/", "port"},
		{"ws://h:65536/", "port"},
		{"ws://h:x/", "port"},
		{"ws://h:-1/", "port"},
		{"ws://h:80:80/", ""},
		{"ws://::1/", ""},
		{"ws://[::1/", ""},
		{"ws://[127.0.0.1]/", "IP"},
		{"ws://[v1.x]/", ""},
		{"ws://[fe80::1%25a%20b]/", "IPv6"},
		{"ws://[fe80::1%25a%0d%0ab]/", ""},
		{"ws://a b/", ""},
		{"ws://a\r\nb/", ""},
		{"ws://a%20b/", ""},
		{"ws://a,b/", "host"},
		{"ws://a*b/", "host"},
		{"ws://bücher.example/", "xn--"},
		{"ws://b%C3%BCcher.example/", "xn--"},
		{"ws://h/%zz", "escape"},
		{"ws://h/\x00", "control"},
		{"ws://h/\r\nHost: evil", "control"},
		{"ws+unix://", "socket"},
		{"ws+unix:///", "socket"},
		{"ws+unix:///:/p", "socket"},
		{"ws+unix://:/p", "socket"},
		{"ws+unix://run/a.sock:/p", "absolute"},
		{"ws+unix:run/a.sock:/p", "absolute"},
		{"ws+unix:///a.sock:p", "no /"},
		{"ws+unix:///a%00.sock:/p", "NUL"},
	} {
		_, err := ParseURL(c.url)
		if !errors.Is(err, ErrInvalidURL) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%q: got %v, want an error about %q", c.url, err, c.why)
		}
	}
}

func TestParseURLKeepsUserinfo(t *testing.T) {
	for _, s := range []string{"wss://ann:p%40ss@h:1/x", "ws+unix://ann:p%40ss@/a.sock:/x"} {
		target, err := ParseURL(s)
		if err != nil {
			t.Fatal(err)
		}
		if password, _ := target.URL.User.Password(); target.URL.User.Username() != "ann" || password != "p@ss" {
			t.Errorf("%q: got userinfo %v", s, target.URL.User)
		}
		if strings.Contains(target.String(), "ann") || strings.Contains(target.URL.Host, "ann") {
			t.Errorf("credentials show: %v", target)
		}
	}
}

// Whatever is wrong with a URL, the error that goes to a log holds no password.
func TestParseURLHidesPassword(t *testing.T) {
	for _, s := range []string{
		"ws://user:secret@h:port/",
		"ws://user:sec/secret@h/#f",
		"ws://user:secret%zz@h/",
		"ws://user:secret@h:99999/",
		"ws://user:secret@/",
		"ws://user:secret@[::1/",
		"ws://user:secret/@h/",
		"ftp://user:secret@h/",
		"ws://user:secret\n@h/",
	} {
		if _, err := ParseURL(s); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v", s, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{
		"ws://example.com:80/a?b", "wss://[fe80::1%25eth0]:8443/", "ws+unix:///run/a%3A.sock:/p:q?r", "ws://u:p@h/ é?a b#",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseURL(s)
		if err != nil {
			if got != nil || !errors.Is(err, ErrInvalidURL) {
				t.Fatalf("%v, %v", got, err)
			}
			return
		}
		for _, part := range []string{got.URL.Host, got.URL.RequestURI()} {
			if part == "" || strings.ContainsFunc(part, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
				t.Fatalf("%q may not stand in a request", part)
			}
		}
		if got.URL.RequestURI()[0] != '/' || got.Address == "" || got.TLS != (got.URL.Scheme == "https") {
			t.Fatalf("%+v", got)
		}
		if ip, err := netip.ParseAddr(got.URL.Hostname()); err == nil && ip.Zone() != "" {
			t.Fatalf("zone in Host: %q", got.URL.Host)
		}
		again, err := ParseURL(got.String())
		if err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		if again.Network != got.Network || again.URL.Host != got.URL.Host || again.URL.RequestURI() != got.URL.RequestURI() ||
			again.TLS != got.TLS || got.Network == "unix" && again.Address != got.Address {
			t.Fatalf("%+v is not %+v", again, got)
		}
		// A target is where its own resource name leads, unless that reads as another host (RFC 3986 4.2: "//host/path").
		resource := got.URL.RequestURI()
		if strings.HasPrefix(resource, "//") {
			return
		}
		self, same, err := got.Redirect(resource)
		if err != nil || !same || self.Address != got.Address || !strings.HasPrefix(self.URL.RequestURI(), "/") {
			t.Fatalf("%v leads to %v, %v, %v", got, self, same, err)
		}
	})
}
