package dialer

import (
	"errors"
	"strings"
	"testing"
)

func TestRedirect(t *testing.T) {
	for _, c := range []struct {
		from, location, to string
		same               bool
	}{
		{"ws://h/a/b?q", "/x?y", "ws://h/x?y", true},
		{"ws://h/a/b?q", "x", "ws://h/a/x", true},
		{"ws://h/a/b?q", "?y", "ws://h/a/b?y", true},
		{"ws://h/a/b", "../../..", "ws://h/", true},
		{"ws://h/", "ws://h:80/x", "ws://h/x", true},
		{"ws://h/", "WS://H/x", "ws://h/x", true},
		{"ws://h/", "http://h/x", "ws://h/x", true},
		{"wss://h/", "https://h/x", "wss://h/x", true},
		{"wss://h:8443/", "https://h:8443/x", "wss://h:8443/x", true},
		{"http://h/", "ws://h/x", "ws://h/x", true},
		{"https://h/", "wss://h/x", "wss://h/x", true},
		{"ws://[::1]/", "http://[0:0::1]:80/x", "ws://[::1]/x", true},
		{"ws://h/", "http://h/x#part", "ws://h/x", true},

		{"ws://[fe80::1%25eth0]/", "/x", "ws://[fe80::1]/x", true}, // the zone stays in Address

		{"ws://h/", "https://h/x", "wss://h/x", false}, // another port
		{"ws://h:8443/", "https://h:8443/x", "wss://h:8443/x", true},
		{"ws://h/", "//other/x", "ws://other/x", false},
		{"wss://h/", "//other/x", "wss://other/x", false},
		{"wss://h/", "wss://h:8443/x", "wss://h:8443/x", false},
		{"wss://h/", "wss://sub.h/x", "wss://sub.h/x", false},
		{"wss://sub.h/", "wss://h/x", "wss://h/x", false},
		{"wss://h/", `/\other/x`, "wss://h/%5Cother/x", true},

		{"ws+unix:///a.sock:/p", "/q?r", "ws+unix:///a.sock:/q?r", true},
		{"wss+unix:///a.sock:/p/q", "r", "wss+unix:///a.sock:/p/r", true},
	} {
		from, err := ParseURL(c.from)
		if err != nil {
			t.Fatal(err)
		}
		next, same, err := from.Redirect(c.location)
		if err != nil || next.String() != c.to || same != c.same {
			t.Errorf("%s -> %q: got %v, %v, %v; want %v, %v", c.from, c.location, next, same, err, c.to, c.same)
		}
		if again, _ := ParseURL(c.from); *again.URL != *from.URL || again.Address != from.Address {
			t.Errorf("%s -> %q changed where it started: %v", c.from, c.location, from)
		}
	}
}

func TestRedirectRefuses(t *testing.T) {
	for _, c := range []struct {
		from, location string
		want           error
	}{
		{"wss://h/", "ws://h/", ErrInsecureRedirect},
		{"wss://h/", "http://h/", ErrInsecureRedirect},
		{"wss://h/", "http://h:443/", ErrInsecureRedirect},
		{"https://h/", "ws://other/", ErrInsecureRedirect},
		{"ws://h/", "", ErrRedirect},
		{"ws://h/", "file:///etc/passwd", ErrRedirect},
		{"ws://h/", "ftp://h/", ErrRedirect},
		{"ws://h/", "javascript:alert(1)", ErrRedirect},
		{"ws://h/", "unix:///a.sock", ErrRedirect},
		{"ws://h/", "ws+unix:///a.sock:/p", ErrRedirect},
		{"ws://h/", "http:/x", ErrRedirect},
		{"ws://h/", "http:x", ErrRedirect},
		{"ws://h/", "http://", ErrRedirect},
		{"ws://h/", "http://h:0/", ErrRedirect},
		{"ws://h/", "http://a b/", ErrRedirect},
		{"ws://h/", "/\r\nX: y", ErrRedirect},
		{"ws://h/", "/%zz", ErrRedirect},
		{"ws://h/", "/" + strings.Repeat("x", maxLocation), ErrRedirect},
		// RFC 9110 4.2.4: a recipient "SHOULD parse for userinfo and treat its presence as an error".
		{"ws://h/", "http://user:secret@h/", ErrRedirect},
		{"ws://h/", "http://user:secret@h:x/", ErrRedirect},
		{"ws+unix:///a.sock:/p", "ws+unix:///b.sock:/p", ErrRedirect},
		{"ws+unix:///a.sock:/p", "http://localhost/p", ErrRedirect},
		{"ws+unix:///a.sock:/p", "//localhost/p", ErrRedirect},
	} {
		from, err := ParseURL(c.from)
		if err != nil {
			t.Fatal(err)
		}
		next, same, err := from.Redirect(c.location)
		if next != nil || same || !errors.Is(err, c.want) || !errors.Is(err, ErrRedirect) {
			t.Errorf("%s -> %q: got %v, %v, %v", c.from, c.location, next, same, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestRedirectCredentials(t *testing.T) {
	from, err := ParseURL("ws://ann:secret@h/")
	if err != nil {
		t.Fatal(err)
	}
	for _, location := range []string{"/x", "//h/x", "http://h/x", "//other/x", "https://h/x"} {
		next, same, err := from.Redirect(location)
		if err != nil {
			t.Fatal(err)
		}
		if (next.URL.User != nil) != same {
			t.Errorf("%q: same %v, credentials %v", location, same, next.URL.User)
		}
	}
}
