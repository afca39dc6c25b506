package target_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/testkit"
)

// parsed is the target that a command line says.
func parsed(t *testing.T, url string, args ...string) (*target.Target, error) {
	t.Helper()
	var o target.Options
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.AddFlags(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o.Target(url)
}

func made(t *testing.T, url string, args ...string) *target.Target {
	t.Helper()
	to, err := parsed(t, url, args...)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func TestURL(t *testing.T) {
	for raw, want := range map[string]string{
		"localhost:8000/c/demo": "http://localhost:8000/c/demo",
		":8000":                 "http://localhost:8000",
		"/c/demo":               "http://localhost/c/demo",
		"WSS://example.com/a#b": "wss://example.com/a",
		"ws+unix:///run/a:/b":   "ws+unix:///run/a:/b",
		" ws://[::1]:80/ ":      "ws://[::1]:80/",
	} {
		if got := made(t, raw).URL.String(); got != want {
			t.Errorf("%q is %q, want %q", raw, got, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		url  string
		args []string
		code int
		says string
	}{
		{"", nil, exit.Usage, "empty"},
		{"ftp://a", nil, exit.Usage, `"ftp"`},
		{"ws:///a", nil, exit.Usage, "no host"},
		{"ws://kim:geheim@a:b", nil, exit.Usage, "cannot be read"},
		{"ws://a", []string{"-H", "X-A"}, exit.Usage, "no colon"},
		{"ws://a", []string{"-H", "X A: b"}, exit.Usage, "name of a header"},
		{"ws://a", []string{"-H", "X-A: b\r\nX-B: c"}, exit.Usage, "cannot have"},
		{"ws://a", []string{"--cookie", "a"}, exit.Usage, "name=value"},
		{"ws://a", []string{"--basic", "kim"}, exit.Usage, "no colon"},
		{"ws://a", []string{"--basic", "kim:a", "--token", "b"}, exit.Usage, "only one"},
		{"ws://kim:a@a", []string{"-H", "Authorization: b"}, exit.Usage, "only one"},
		{"ws://a", []string{"--token", "a\nb"}, exit.Usage, "token"},
		{"ws://a", []string{"--token-file", empty}, exit.Failed, "is empty"},
		{"ws://a", []string{"--token-file", filepath.Join(dir, "none")}, exit.Failed, "--token-file"},
		{"ws://a", []string{"--ca", empty}, exit.Failed, "no certificate"},
		{"ws://a", []string{"--key", empty}, exit.Usage, "without --cert"},
		{"ws://a", []string{"--cert", empty}, exit.Failed, "--cert"},
		{"ws://a", []string{"--proxy", "ftp://a"}, exit.Usage, "ftp"},
		{"ws://a", []string{"--proxy", "http://"}, exit.Usage, "no URL"},
		{"ws://a", []string{"--resolve", "a:80"}, exit.Usage, "host:port:address"},
		{"ws://a", []string{"--resolve", "a:0:127.0.0.1"}, exit.Usage, "no port"},
		{"ws://a", []string{"--resolve", "a:80:localhost"}, exit.Usage, "no IP address"},
		{"ws://a", []string{"--resolve", "a:80:::1", "--unix", "b"}, exit.Usage, "together"},
		{"ws://a", []string{"--connect-timeout", "-1s"}, exit.Usage, "more than 0"},
	} {
		_, err := parsed(t, c.url, c.args...)
		if err == nil || exit.Code(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %q: %v (%d), want %q (%d)", c.url, c.args, err, exit.Code(err), c.says, c.code)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the error has the password: %v", c.url, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := made(t, "https://example.com", "-H", "x-a: 1, 2", "-H", "X-A:3", "--cookie", "a=b", "--cookie", "c=d", "--origin", "https://page", "--token-file", file)
	for name, want := range map[string]string{"X-A": "1, 2|3", "Cookie": "a=b; c=d", "Origin": "https://page", "Authorization": "Bearer abc"} {
		if got := strings.Join(to.Header.Values(name), "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	to = made(t, "https://kim:pass%20word@example.com/a")
	if user, password, _ := (&http.Request{Header: to.Header}).BasicAuth(); user != "kim" || password != "pass word" || to.URL.User != nil {
		t.Errorf("%q, %q, %v", user, password, to.URL)
	}
}

// What a redirect may do: nothing that gives a secret away, or that ends elsewhere than in HTTP.
func TestRedirects(t *testing.T) {
	seen := make(chan http.Header, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	t.Cleanup(other.Close)
	mux := http.NewServeMux()
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	plain := httptest.NewServer(mux)
	t.Cleanup(plain.Close)
	for path, to := range map[string]string{"/loop": "/loop", "/file": "file:///etc/passwd", "/plain": other.URL, "/other": other.URL} {
		mux.Handle(path, http.RedirectHandler(to, http.StatusFound))
	}
	get := func(url string) error {
		to := made(t, url, "-k", "-H", "X-Api-Key: geheim", "--token", "geheim")
		c := to.HTTPClient(0)
		defer c.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to.URL.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = to.Header.Clone()
		resp, err := c.Do(r)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	for path, says := range map[string]string{"/loop": "redirects", "/file": `"file"`, "/plain": "from https to http"} {
		if err := get(server.URL + path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", path, err, says)
		}
	}
	if err := get(plain.URL + "/other"); err != nil {
		t.Fatal(err)
	}
	if h := <-seen; h.Get("X-Api-Key") != "" || h.Get("Authorization") != "" {
		t.Errorf("another host got %v", h)
	}
}

func TestWhere(t *testing.T) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Host", r.Host) })
	overTCP := httptest.NewServer(hello)
	t.Cleanup(overTCP.Close)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	overUnix := &httptest.Server{Listener: l, Config: &http.Server{Handler: hello}}
	overUnix.Start()
	t.Cleanup(overUnix.Close)
	u, _ := url.Parse(overTCP.URL)
	for host, arg := range map[string]string{
		"name.invalid:" + u.Port(): "--resolve=NAME.invalid:" + u.Port() + ":127.0.0.1",
		"other.invalid":            "--unix=" + path,
	} {
		to := made(t, "http://"+host, arg, "--proxy", "none")
		for _, version := range []int{0, 1} {
			c := to.HTTPClient(version)
			r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, to.URL.String(), nil)
			resp, err := c.Do(r)
			if err != nil {
				t.Errorf("%s: %v", arg, err)
				continue
			}
			resp.Body.Close()
			c.CloseIdleConnections()
			if got := resp.Header.Get("X-Host"); got != host {
				t.Errorf("%s: host %q, want %q", arg, got, host)
			}
		}
	}
	c := made(t, "https://other.invalid", "--unix", path).HTTPClient(3)
	defer c.CloseIdleConnections()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://other.invalid", nil)
	if resp, err := c.Do(r); err == nil || !strings.Contains(err.Error(), "unix socket") {
		t.Errorf("HTTP/3 over a unix socket: %v, %v", resp, err)
	}
}

// A server that speaks first, as one of mail does, may do so before the request is under way: that is said in words.
func TestSpeaksFirst(t *testing.T) {
	cert, key := testkit.NewAuthority(t, "test").Issue(t, "127.0.0.1", nil)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	log.SetOutput(io.Discard) // net/http tells of it
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	for scheme, server := range map[string]func(net.Conn) net.Conn{
		"http":  func(c net.Conn) net.Conn { return c },
		"https": func(c net.Conn) net.Conn { return tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}}) },
	} {
		t.Run(scheme, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer c.Close()
						c := server(c)
						_, _ = io.WriteString(c, "220 mail.example.com ESMTP\r\n")
						_ = c.(interface{ CloseWrite() error }).CloseWrite()
						_, _ = io.Copy(io.Discard, c)
					}()
				}
			}()
			to := made(t, scheme+"://"+l.Addr().String(), "--proxy", "none", "--insecure")
			for range 100 {
				c := to.HTTPClient(0)
				resp, err := c.Get(to.URL.String())
				c.CloseIdleConnections()
				if err == nil {
					resp.Body.Close()
					t.Fatal("an answer")
				}
				// Over TLS nobody sees that it was unasked when the request is being written in the same moment.
				if !errors.Is(err, target.ErrUnasked) && !strings.Contains(err.Error(), "malformed HTTP") && (scheme == "http" || !errors.Is(err, io.ErrUnexpectedEOF)) {
					t.Fatal(err)
				}
			}
		})
	}
}
