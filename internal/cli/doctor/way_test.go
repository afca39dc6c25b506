package doctor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/cli/doctor"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/testkit"
)

// pause is a short time that something is waited for in vain.
const pause = 500 * time.Millisecond

// lookup answers for every name.
func lookup(v4, v6 []string, err error) func(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return func(_ context.Context, network, _ string) (all []netip.Addr, _ error) {
		texts := v4
		if network == "ip6" {
			texts = v6
		}
		for _, text := range texts {
			all = append(all, netip.MustParseAddr(text))
		}
		if len(all) == 0 && err == nil {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}
		return all, err
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	address := upgrading(t, plain)
	_, port, _ := net.SplitHostPort(address)
	with := func(l func(ctx context.Context, network, host string) ([]netip.Addr, error)) *doctor.Report {
		return examine(t, "http://localhost:"+port, func(o *doctor.Options, _ *target.Options) { o.Lookup = l })
	}
	r := with(lookup(nil, nil, nil))
	want(t, r, "dns", doctor.Fail, "there is no name localhost")
	want(t, r, "tcp", doctor.Skipped)
	want(t, r, "clock", doctor.Skipped)
	wantExit(t, r, exit.Unreachable)

	r = with(lookup(nil, nil, errors.New("server misbehaving")))
	want(t, r, "dns", doctor.Fail, "misbehaving", "resolver")

	r = with(lookup([]string{"127.0.0.1"}, nil, nil))
	want(t, r, "dns", doctor.OK, "127.0.0.1")
	want(t, r, "tcp", doctor.OK)

	// One of two addresses works: who tries them in turn waits for the other.
	r = with(lookup([]string{"127.0.0.2", "127.0.0.1"}, nil, nil))
	want(t, r, "tcp", doctor.Warn, "127.0.0.2:"+port+": connection refused", "127.0.0.1:"+port+" in", "happy eyeballs")
	c := r.Result("tcp").Data.(*doctor.Connections)
	if len(c.Addresses) != 2 || c.Addresses[0].Error == "" || c.Addresses[1].Error != "" || c.RoundTrips == nil {
		t.Errorf("%+v", c)
	}
}

func slowLookup(t *testing.T) {
	slow := lookup([]string{"127.0.0.1"}, nil, nil)
	_, port, _ := net.SplitHostPort(upgrading(t, plain))
	r := examine(t, "http://localhost:"+port, func(o *doctor.Options, _ *target.Options) {
		o.Lookup = func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			time.Sleep(1010 * time.Millisecond)
			return slow(ctx, network, host)
		}
	})
	want(t, r, "dns", doctor.Warn, "after")
}

func TestConnections(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	r := examine(t, "http://"+address, nil)
	want(t, r, "tcp", doctor.Fail, "connection refused", "Nothing listens")
	wantExit(t, r, exit.Unreachable)

	r = examine(t, "http://localhost", func(_ *doctor.Options, to *target.Options) { to.Unix = filepath.Join(t.TempDir(), "none") })
	want(t, r, "dns", doctor.Skipped, "Unix")
	want(t, r, "tcp", doctor.Fail, "There is no such socket")

	r = examine(t, "http://example.com", func(_ *doctor.Options, to *target.Options) { to.Proxy = "http://" + address })
	want(t, r, "tcp", doctor.Fail, "through the proxy "+address, "--proxy none")
}

// A proxy on the side of the client: with a tunnel all is as without, and what it refuses is told.
func TestProxy(t *testing.T) {
	t.Parallel()
	server := upgrading(t, plain)
	proxy := func(status string) string {
		return answering(t, func(r *http.Request, conn net.Conn) {
			if r.Method != http.MethodConnect { // a plain request
				r.RequestURI = ""
				r.URL = &url.URL{Scheme: "http", Host: r.Host, Path: "/"}
				if response, err := http.DefaultTransport.RoundTrip(r); err == nil {
					_ = response.Write(conn)
				}
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 "+status+"\r\n\r\n")
			up, err := net.Dial("tcp", r.Host)
			if err != nil || status != "200 OK" {
				return
			}
			defer up.Close()
			go func() { _, _ = io.Copy(up, conn); up.Close() }()
			_, _ = io.Copy(conn, up)
		})
	}
	r := examine(t, "ws://"+server, func(_ *doctor.Options, to *target.Options) { to.Proxy = proxy("200 OK") })
	want(t, r, "tcp", doctor.OK, "through the proxy")
	want(t, r, "handshake", doctor.Fail, "404")
	r = examine(t, "ws://"+server, func(_ *doctor.Options, to *target.Options) { to.Proxy = proxy("407 Proxy Authentication Required") })
	want(t, r, "tcp", doctor.Fail, "407", "--proxy http://NAME:PASSWORD@")
	wantExit(t, r, exit.Refused)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	authority := testkit.NewAuthority(t, "Authority")
	dir := t.TempDir()
	ca := testkit.WriteFile(t, dir, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate.Raw}))
	serve := func(t *testing.T, config *tls.Config, change func(c *x509.Certificate)) string {
		cert, key := authority.Issue(t, "server", func(c *x509.Certificate) {
			c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
			if change != nil {
				change(c)
			}
		})
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		config.Certificates = []tls.Certificate{pair}
		server.TLS = config
		server.EnableHTTP2 = config.NextProtos == nil
		server.Config.ErrorLog = quiet
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	}
	for _, test := range []struct {
		name   string
		config *tls.Config
		change func(c *x509.Certificate)
		to     func(to *target.Options)
		check  string
		status doctor.Status
		has    []string
		code   int
	}{
		{"right", &tls.Config{}, nil, nil, "tls", doctor.OK, []string{"TLS 1.3", "ALPN h2", "by Authority"}, 0},
		{"expired", &tls.Config{}, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
		}, nil,
			"tls", doctor.Fail, []string{"has expired", "Renew"}, exit.Unreachable},
		{"not yet", &tls.Config{}, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, nil, "tls", doctor.Fail, []string{"not valid before", "clock"}, exit.Unreachable},
		{"soon", &tls.Config{}, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(49 * time.Hour) }, nil, "tls", doctor.Warn, []string{"expires in 2 days"}, 0},
		{"another name", &tls.Config{}, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"evil.example\x1b[2J"} }, nil, "tls", doctor.Fail,
			[]string{"another name", "evil.example"}, exit.Unreachable},
		{"unknown authority", &tls.Config{}, nil, func(to *target.Options) { to.CAFile = "" }, "tls", doctor.Fail, []string{"nobody trusted", "full chain"}, exit.Unreachable},
		{"insecure", &tls.Config{}, nil, func(to *target.Options) { to.CAFile, to.Insecure = "", true }, "tls", doctor.Warn, []string{"nobody trusted"}, 0},
		{"no ALPN", &tls.Config{NextProtos: []string{"http/1.1"}}, nil, nil, "tls", doctor.OK, []string{"ALPN http/1.1"}, 0},
		{"client certificates, TLS 1.2", &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, nil, nil, "tls", doctor.Fail, []string{"--cert"}, exit.Unreachable},
		{"client certificates, TLS 1.3", &tls.Config{ClientAuth: tls.RequireAnyClientCert}, nil, nil, "http", doctor.Fail, []string{"--cert"}, exit.Refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := examine(t, serve(t, test.config, test.change), func(o *doctor.Options, to *target.Options) {
				to.CAFile = ca
				o.Slow = pause // nothing answers over UDP
				if test.to != nil {
					test.to(to)
				}
			})
			want(t, r, test.check, test.status, test.has...)
			if test.status == doctor.Fail {
				wantExit(t, r, test.code)
			} else {
				want(t, r, "http", doctor.OK)
			}
		})
	}
}

// What is asked in the wrong way, of what is no web server, or of one that says nothing.
func noHTTP(t *testing.T) {
	plainly := httptest.NewServer(http.NotFoundHandler())
	defer plainly.Close()
	r := examine(t, strings.Replace(plainly.URL, "http:", "wss:", 1), nil)
	want(t, r, "tls", doctor.Fail, "plain HTTP")
	wantExit(t, r, exit.Unreachable)

	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	defer secure.Close()
	r = examine(t, strings.Replace(secure.URL, "https:", "ws:", 1), nil)
	want(t, r, "http", doctor.Fail, "speaks TLS", "wss")
	wantExit(t, r, exit.Unreachable)

	tests := map[string]func(t *testing.T){}
	for name, serve := range map[string]func(conn net.Conn){
		"silent": func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) },
		"ends":   func(net.Conn) {},
		"mail": func(conn net.Conn) {
			_, _ = io.WriteString(conn, "220 mail.example.com ESMTP\r\n")
			_, _ = io.Copy(io.Discard, conn)
		},
		"dribbles": func(conn net.Conn) {
			for range 1000 {
				if _, err := io.WriteString(conn, "H"); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		},
		"endless head": func(conn net.Conn) {
			_, err := conn.Read(make([]byte, 1<<10)) // an answer to nothing is another mistake
			if err == nil {
				_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			}
			for err == nil {
				_, err = io.WriteString(conn, "X: "+strings.Repeat("y", 1000)+"\r\n")
			}
		},
	} {
		tests[name] = func(t *testing.T) {
			r := examine(t, "http://"+accepting(t, serve), func(o *doctor.Options, _ *target.Options) { o.Timeout = 3 * pause })
			want(t, r, "http", doctor.Fail)
			switch name {
			case "endless head":
				wantExit(t, r, exit.Refused)
			case "mail":
				want(t, r, "http", doctor.Fail, "the answer is not HTTP", "is the port right")
				fallthrough
			default:
				wantExit(t, r, exit.Unreachable)
			}
		}
	}
	atOnce(t, tests)
}

// A redirect is not followed, round and round or elsewhere: it is told.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for location, has := range map[string]string{"/": "baro doctor http://127.0.0.1", "https://www.example.com/x": "baro doctor https://www.example.com/x", "file:///etc/passwd": "file:///etc/passwd"} {
		address := answering(t, func(_ *http.Request, conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 302 Found\r\nLocation: "+location+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		})
		r := examine(t, "http://"+address, nil)
		want(t, r, "http", doctor.Fail, "302", has)
		wantExit(t, r, exit.Refused)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		ahead  time.Duration
		age    string
		status doctor.Status
		has    string
	}{
		{0, "", doctor.OK, "the same"},
		{time.Hour, "", doctor.Warn, "ahead"},
		{-time.Hour, "", doctor.Warn, "behind"},
		{-time.Hour, "Age: 3600\r\n", doctor.OK, "the same"}, // from a cache
	} {
		address := answering(t, func(_ *http.Request, conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\n"+test.age+"Date: "+time.Now().Add(test.ahead).UTC().Format(http.TimeFormat)+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		})
		want(t, examine(t, "http://"+address, nil), "clock", test.status, test.has)
	}
}

func TestProxiesAndCookies(t *testing.T) {
	t.Parallel()
	address := answering(t, func(_ *http.Request, conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nServer: cloudflare\r\nVia: 1.1 haproxy\r\nCF-RAY: 1\r\nSet-Cookie: AWSALB=x; Path=/\r\nSet-Cookie: id=1\r\nX-Cache: HIT from x\r\n"+
			"Content-Length: 0\r\nConnection: close\r\n\r\n")
	})
	r := examine(t, "http://"+address, nil)
	want(t, r, "proxies", doctor.Warn, "Server: cloudflare", "A cache answers")
	if names := strings.Join(r.Result("proxies").Data.(*doctor.Proxies).Names, " "); names != "Cloudflare HAProxy" {
		t.Errorf("the proxies are %s", names)
	}
	want(t, r, "cookies", doctor.OK, "AWSALB: a balancer")
	if c := r.Result("cookies").Data.(*doctor.Cookies); len(c.Names) != 2 || len(c.Sticky) != 1 {
		t.Errorf("%+v", c)
	}
}
