package bridge_test

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"baro.dev/internal/cli/bridge"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// says is a target that says its name, and echoes.
func says(t testing.TB, name string) string {
	return listenTCP(t, func(c *net.TCPConn) {
		_, _ = c.Write([]byte(name))
		echo(c)
	})
}

func first(t testing.TB, url string, opts *ws.DialOptions) string {
	t.Helper()
	m, err := dialWS(t, url, opts).Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.String()
}

// Tokens choose targets; the file may change at any time, and what is wrong with it then changes nothing.
func TestTargets(t *testing.T) {
	testkit.NoLeaks(t)
	dir := t.TempDir()
	one, two := says(t, "one"), says(t, "two")
	file := testkit.WriteFile(t, dir, "tokens", []byte("# the first\nabc: "+one+"\n\n  x/y z: tcp://"+two+"  \n"))
	url := front(t, "", func(c *bridge.Config) { c.To, c.Targets = bridge.Endpoint{}, file }) + "/websockify"
	for query, want := range map[string]string{"?token=abc": "one", "?token=x/y+z": "two", "?a=b&token=abc": "one"} {
		if got := first(t, url+query, nil); got != want {
			t.Errorf("%s: %q", query, got)
		}
	}
	byProtocol := &ws.DialOptions{Subprotocols: []string{"binary", "token.abc"}}
	if got := first(t, url, byProtocol); got != "one" {
		t.Errorf("%q", got)
	}
	for _, query := range []string{"", "?token=", "?token=ab", "?token=abcd", "?token=abc&token=abc", "?token=abc&token=no", "?token=ABC", "?token=abc%00", "?token=" + strings.Repeat("a", 5000), "?token=abc;a"} {
		if got := refused(t, url+query, nil); got != 403 && got != 400 {
			t.Errorf("%s: status %d", query, got)
		}
	}
	if got := refused(t, url+"?token=abc", byProtocol); got != 403 {
		t.Errorf("two tokens: status %d", got)
	}
	replace := func(text string) {
		t.Helper()
		next := testkit.WriteFile(t, dir, "next", []byte(text))
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
	}
	replace("def: " + two)
	if got := first(t, url+"?token=def", nil); got != "two" {
		t.Errorf("%q", got)
	}
	if got := refused(t, url+"?token=abc", nil); got != 403 {
		t.Errorf("a token that is gone: status %d", got)
	}
	// As much in the same moment, in the same file.
	if err := os.WriteFile(file, []byte("ghi: "+one), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := first(t, url+"?token=ghi", nil); got != "one" {
		t.Errorf("%q", got)
	}
	for _, wrong := range []string{"garbage", "abc: nothing", "abc: http://" + one, "abc: " + one + "\nabc: " + two, ": " + one, "abc: stdio", strings.Repeat("a", 5000) + ": " + one} {
		replace(wrong)
		if got := first(t, url+"?token=ghi", nil); got != "one" {
			t.Errorf("with %.20q: %q", wrong, got)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := refused(t, url+"?token=ghi", nil); got != 403 {
		t.Errorf("without the file: status %d", got)
	}
	replace("ghi: unix_socket:" + filepath.Join(dir, "none"))
	c := dialWS(t, url+"?token=ghi", nil)
	if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusBadGateway {
		t.Error(err)
	}
}

// Who may connect has to say so, in one way.
func TestAuthorization(t *testing.T) {
	testkit.NoLeaks(t)
	dir := t.TempDir()
	users := testkit.WriteFile(t, dir, "users", []byte("kim:pass:word\n# nobody\nlee:x\n"))
	tokens := testkit.WriteFile(t, dir, "tokens", []byte("0123456789abcdef\n"))
	to := listenTCP(t, echo)
	both := front(t, to, func(c *bridge.Config) { c.BasicFile, c.BearerFile = users, tokens })
	basic := front(t, to, func(c *bridge.Config) { c.BasicFile = users })
	bearer := front(t, to, func(c *bridge.Config) { c.BearerFile = tokens })
	header := func(values ...string) *ws.DialOptions {
		return &ws.DialOptions{Header: http.Header{"Authorization": values}}
	}
	user := func(name, password string) *ws.DialOptions {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(name, password)
		return &ws.DialOptions{Header: r.Header}
	}
	const right = "Bearer 0123456789abcdef"
	for _, c := range []struct {
		name string
		url  string
		opts *ws.DialOptions
		want int
	}{
		{"nothing", both, nil, 401},
		{"password", both, user("kim", "pass:word"), 0},
		{"another password", both, user("lee", "x"), 0},
		{"wrong password", both, user("kim", "pass"), 401},
		{"name of another", both, user("lee", "pass:word"), 401},
		{"moved colon", both, user("kim:pass", "word"), 0}, // which no client can tell from the right one
		{"no password", both, user("nobody", ""), 401},
		{"comment", both, user("# nobody", ""), 401},
		{"token", both, header(right), 0},
		{"small letters", both, header("bearer 0123456789abcdef"), 0},
		{"wrong token", both, header(right + "0"), 401},
		{"empty token", both, header("Bearer "), 401},
		{"no base64", both, header("Basic %%%"), 401},
		{"twice", both, header(right, right), 401},
		{"in the query", both + "?access_token=0123456789abcdef", nil, 0},
		{"in both places", both + "?access_token=0123456789abcdef", header(right), 401},
		{"password where tokens count", bearer, user("kim", "pass:word"), 401},
		{"token where passwords count", basic, header(right), 401},
		{"token in the query where passwords count", basic + "?access_token=0123456789abcdef", nil, 401},
	} {
		if got := refused(t, c.url, c.opts); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
	r, err := http.Get("http" + strings.TrimPrefix(both, "ws"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if got := r.Header.Values("WWW-Authenticate"); r.StatusCode != 401 || len(got) != 2 {
		t.Errorf("a browser is told %d, %q", r.StatusCode, got)
	}
	http.DefaultClient.CloseIdleConnections()
}

// Who guesses from the internet is not looked at for a while, whatever he guesses then; who shows nothing guesses nothing.
func TestGuesses(t *testing.T) {
	testkit.NoLeaks(t)
	dir, to := t.TempDir(), listenTCP(t, echo)
	passwords := testkit.WriteFile(t, dir, "passwords", []byte("kim:right"))
	targets := testkit.WriteFile(t, dir, "targets", []byte("right: "+to))
	password := func(p string) *ws.DialOptions {
		return &ws.DialOptions{Header: http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("kim:"+p))}}}
	}
	for _, from := range []string{"203.0.113.7:4711", "10.1.2.3:4711"} {
		for name, c := range map[string]struct {
			bridge      bridge.Config
			wrong       int
			right       *ws.DialOptions
			guess       *ws.DialOptions
			query, none string
		}{
			"passwords": {bridge.Config{To: bridge.Endpoint{Kind: bridge.TCP, Addr: to}, BasicFile: passwords}, 401, password("right"), password("wrong"), "", ""},
			"targets":   {bridge.Config{Targets: targets}, 403, nil, nil, "?token=wrong", "?token=right"},
		} {
			c.bridge.From, c.bridge.MaxFailures = endpoint(t, "ws://127.0.0.1:0"), 3
			b := opened(t, c.bridge)
			url := "ws://" + b.Addr().String() + "/"
			b.ComesFrom(from)
			run(t, b)
			for range 5 {
				if got := refused(t, url, nil); got != c.wrong {
					t.Errorf("%s, nothing shown: %d", name, got)
				}
			}
			after, counted := 0, strings.HasPrefix(from, "203.")
			for range 3 {
				if got := refused(t, url+c.query, c.guess); got != c.wrong {
					t.Errorf("%s: %d", name, got)
				}
			}
			if counted {
				after = 429
			}
			if got := refused(t, url+c.none, c.right); got != after {
				t.Errorf("%s from %s: %d, want %d", name, from, got, after)
			}
		}
	}
}

// Pages of others do not come in, by whatever name they found the bridge.
func TestOrigins(t *testing.T) {
	testkit.NoLeaks(t)
	to := listenTCP(t, echo)
	plain := front(t, to, nil)
	named := front(t, to, func(c *bridge.Config) { c.Guard = guard(t, "https://vnc.example.com") })
	host := func(raw string) string {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return u.Host
	}
	for _, c := range []struct {
		url, host, origin string
		want              int
	}{
		{plain, "", "", 0},
		{plain, "", "http://" + host(plain), 0},
		{plain, "", "https://evil.example", 403},
		{plain, "", "null", 403},
		{plain, "", "http://localhost:3000", 403},
		{plain, "rebound.example:80", "", 421},
		{plain, "rebound.example:80", "http://rebound.example:80", 421},
		{named, "", "https://vnc.example.com", 0},
		{named, "vnc.example.com", "https://vnc.example.com", 0},
		{named, "vnc.example.com", "https://evil.example", 403},
		{named, "", "https://vnc.example.com.evil.example", 403},
	} {
		opts := &ws.DialOptions{Header: http.Header{}}
		if c.host != "" {
			opts.Header.Set("Host", c.host)
		}
		if c.origin != "" {
			opts.Header.Set("Origin", c.origin)
		}
		if got := refused(t, c.url, opts); got != c.want {
			t.Errorf("%+v: status %d", c, got)
		}
	}
}
