package dialer

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var environmentURLs = []string{
	"http://example.com/", "https://example.com/", "http://sub.example.com:8080/", "https://notexample.com/",
	"http://other.test:8080/", "https://other.test/", "http://192.0.2.7/", "https://192.0.2.7:8443/", "http://198.51.100.1/",
	"http://[2001:db8::7]/", "https://[2001:db9::1]:8443/", "http://[::ffff:192.0.2.7]/",
	"http://localhost:1/", "https://127.1.2.3/", "http://[::1]/", "http://a.local.test/", "http://local.test/",
}

// net/http reads the environment once in the life of a process: each case is a process of its own, which runs this test.
func TestEnvironmentChild(t *testing.T) {
	if os.Getenv("DIALER_TEST_CHILD") == "" {
		t.Skip("runs as a child of the other tests")
	}
	for _, s := range environmentURLs {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		proxy, err := ProxyFromEnvironment(u)
		reference, _ := http.ProxyFromEnvironment(&http.Request{URL: u})
		fmt.Println("CHILD", s, proxy, strings.ReplaceAll(fmt.Sprint(err), " ", "-"),
			exempt(u, getenv("NO_PROXY")), reference == nil)
	}
}

type found struct {
	proxy, err            string
	exempt, referenceNone bool
}

func inEnvironment(t *testing.T, env ...string) map[string]found {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEnvironmentChild$")
	// The race detector would have each child wait a second before it ends.
	child.Env = append(env, "DIALER_TEST_CHILD=1", "GORACE=atexit_sleep_ms=0")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	results := map[string]found{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 6 && f[0] == "CHILD" {
			results[f[1]] = found{f[2], f[3], f[4] == "true", f[5] == "true"}
		}
	}
	if len(results) != len(environmentURLs) {
		t.Fatalf("%d results: %s", len(results), out)
	}
	return results
}

func TestProxyFromEnvironment(t *testing.T) {
	for _, c := range []struct {
		env         []string
		http, https string // for example.com; both are direct for loopback
	}{
		{nil, "<nil>", "<nil>"},
		{[]string{"HTTP_PROXY=http://a:1"}, "http://a:1", "<nil>"},
		{[]string{"HTTPS_PROXY=http://b:2"}, "<nil>", "http://b:2"},
		{[]string{"http_proxy=a:1", "https_proxy=socks5://b:2"}, "http://a:1", "socks5://b:2"},
		{[]string{"ALL_PROXY=socks5://c:3"}, "socks5://c:3", "socks5://c:3"},
		{[]string{"all_proxy=c:3"}, "http://c:3", "http://c:3"},
		{[]string{"ALL_PROXY=socks5://c:3", "HTTP_PROXY=http://a:1"}, "http://a:1", "socks5://c:3"},
		{[]string{"ALL_PROXY=socks5://c:3", "HTTP_PROXY=http://a:1", "NO_PROXY=example.com"}, "<nil>", "<nil>"},
		{[]string{"ALL_PROXY=socks5://c:3", "NO_PROXY=*"}, "<nil>", "<nil>"},
		{[]string{"ALL_PROXY=socks5://c:3", "no_proxy=*"}, "<nil>", "<nil>"},
		{[]string{"ALL_PROXY=socks5://c:3", "NO_PROXY=:80,,foo,EXAMPLE.com:443 "}, "socks5://c:3", "<nil>"},
	} {
		results := inEnvironment(t, c.env...)
		if got := results["http://example.com/"]; got.proxy != c.http || got.err != "<nil>" {
			t.Errorf("%v: http by %v", c.env, got)
		}
		if got := results["https://example.com/"]; got.proxy != c.https || got.err != "<nil>" {
			t.Errorf("%v: https by %v", c.env, got)
		}
		for _, loopback := range []string{"http://localhost:1/", "https://127.1.2.3/", "http://[::1]/"} {
			if got := results[loopback]; got.proxy != "<nil>" {
				t.Errorf("%v: %s by %v", c.env, loopback, got)
			}
		}
	}
}

// A CGI program's HTTP_PROXY may come from its client's Proxy header.
func TestProxyFromEnvironmentCGI(t *testing.T) {
	got := inEnvironment(t, "HTTP_PROXY=http://a:1", "REQUEST_METHOD=GET")["http://example.com/"]
	if got.proxy != "<nil>" || !strings.Contains(got.err, "CGI") {
		t.Errorf("got %v", got)
	}
}

// ALL_PROXY heeds NO_PROXY exactly as net/http heeds it for HTTP_PROXY and HTTPS_PROXY.
func TestNoProxyLikeNetHTTP(t *testing.T) {
	for _, noProxy := range []string{
		"", " ", ",", "*", "example.com", ".example.com", "*.example.com", "EXAMPLE.COM", "example.com:8080", ".example.com:8080",
		"example.com:", "other.test:443", "com", ".", "*.", "192.0.2.7", "192.0.2.7:8443", "192.0.2.0/24", "192.0.2.0/33", "0.0.0.0/0",
		"2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:80", "2001:db8::/32", "::ffff:192.0.2.7", "[2001:db9::1]:8443", "::/0",
		"7", ".7", "local.test", " a , other.test , .local.test ", "http://example.com", "example.com,*",
	} {
		for u, got := range inEnvironment(t, "HTTP_PROXY=http://a:1", "HTTPS_PROXY=http://b:2", "NO_PROXY="+noProxy) {
			if got.exempt != got.referenceNone {
				t.Errorf("NO_PROXY=%q, %s: exempt %v, net/http %v", noProxy, u, got.exempt, got.referenceNone)
			}
		}
	}
}

func TestProxyFunction(t *testing.T) {
	failure := errors.New("no idea")
	var asked string
	config := &Config{Proxy: func(u *url.URL) (*url.URL, error) {
		asked = u.String()
		return nil, failure
	}}
	for from, want := range map[string]string{
		"ws://ann:" + secret + "@h/x?y": "http://h/x?y",
		"wss://h:8443/":                 "https://h:8443/",
	} {
		dialFails(t, t.Context(), config, from, PhaseProxy, failure)
		if asked != want {
			t.Errorf("%s: asked for %s, want %s", from, asked, want)
		}
	}
}

func TestProxyURLs(t *testing.T) {
	for _, u := range []*url.URL{
		{},
		{Scheme: "ftp", Host: "proxy"},
		{Scheme: "socks4", Host: "proxy"},
		{Scheme: "ws", Host: "proxy"},
		{Scheme: "http"},
		{Scheme: "http", Host: ":80"},
		{Scheme: "http", Host: "proxy:0"},
		{Scheme: "http", Host: "ann:" + secret + "@proxy:80"},
		{Scheme: "http", Host: "proxy", Opaque: "x", User: url.UserPassword("ann", secret), Path: "\r\n"},
	} {
		config := &Config{Proxy: func(*url.URL) (*url.URL, error) { return u, nil }}
		if u.Opaque != "" {
			// Only what a proxy's URL should hold counts.
			if p, err := newProxy(u); err != nil || p.String() != "http://proxy:80" {
				t.Errorf("got %v, %v", p, err)
			}
			continue
		}
		dialFails(t, t.Context(), config, "ws://example.com", PhaseProxy, nil)
	}
}

func TestEnvironmentHidesPassword(t *testing.T) {
	for _, value := range []string{"http://ann:" + secret + "%zz@h:1", "ann:" + secret + "@h:x", "socks4://ann:" + secret + "@h"} {
		t.Setenv("http_proxy", "")
		t.Setenv("HTTP_PROXY", "")
		t.Setenv("ALL_PROXY", value)
		t.Setenv("NO_PROXY", "")
		dialFails(t, t.Context(), &Config{}, "ws://example.com", PhaseProxy, nil)
	}
}
