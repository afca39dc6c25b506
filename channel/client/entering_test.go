package client_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/auth"
	"baro.dev/internal/server"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// Who has no token where one is needed is told so, soon.
func TestNobody(t *testing.T) {
	key, err := auth.ParseSigningKey([]byte(auth.NewSecret()))
	if err != nil {
		t.Fatal(err)
	}
	_, address := start(t, func(c *server.Config) { c.Dev, c.Auth = false, &auth.Config{Keys: []auth.Key{key.Key()}} })
	began := time.Now()
	_, err = client.Dial(soon(t), address, over(client.WebSocket))
	refused := new(client.Error)
	if !errors.As(err, &refused) || refused.Code != "unauthorized" || time.Since(began) > 9*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}

	entered := fake(t, func(ctx context.Context, _ int64, _ *http.Request, c *ws.Conn) {
		m, err := c.Read(ctx)
		var f struct{ ID int }
		if err != nil || json.Unmarshal(m.Data, &f) != nil || !strings.Contains(string(m.Data), `"connect":{}`) {
			return
		}
		say(ctx, c, fmt.Sprintf(`{"id":%d,"ok":{"client":"x"}}`, f.ID))
		_, _ = c.Read(ctx)
	})
	_ = dial(t, entered, over(client.WebSocket)).Close()
}

// A server, or a proxy before it, says when to come back: in seconds or as a date, in its own words or in none.
func TestRetryAfter(t *testing.T) {
	for name, c := range map[string]struct {
		value func() string
		body  string
	}{
		"seconds":      {func() string { return "1" }, `{"error":{"code":"too_many_connects","number":1014,"message":""}}`},
		"of a proxy":   {func() string { return "1" }, "<html>"},
		"a date":       {func() string { return time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat) }, "<html>"},
		"nonsense":     {func() string { return "-7" }, "<html>"},
		"a long while": {func() string { return "99999999999999999999" }, "<html>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, direct := start(t, nil)
			var first, second atomic.Int64
			site := hinder(t, direct, func(w http.ResponseWriter, _ *http.Request) bool {
				if first.CompareAndSwap(0, time.Now().UnixNano()) {
					w.Header().Set("Retry-After", c.value())
					http.Error(w, c.body, http.StatusServiceUnavailable)
					return true
				}
				second.CompareAndSwap(0, time.Now().UnixNano())
				return false
			})
			k := dial(t, site, over(client.WebSocket))
			defer k.Close()
			waited := time.Duration(second.Load() - first.Load())
			if asked := name == "seconds" || name == "of a proxy" || name == "a date"; asked && waited < 900*time.Millisecond {
				t.Errorf("it has come back after %v", waited)
			}
		})
	}
}

// The answer to a publish is lost behind the server (1016): the same key goes again, until it is known.
func TestUncertain(t *testing.T) {
	keys := make(chan string, 10)
	address := fake(t, func(ctx context.Context, _ int64, _ *http.Request, c *ws.Conn) {
		say(ctx, c, connected)
		for n := 1; ; n++ {
			m, err := c.Read(ctx)
			if err != nil {
				return
			}
			var f struct {
				ID      int
				Publish struct{ Key string }
			}
			if err := json.Unmarshal(m.Data, &f); err != nil {
				t.Error(err)
			}
			keys <- f.Publish.Key
			if n < 3 {
				say(ctx, c, fmt.Sprintf(`{"id":%d,"error":{"code":"uncertain","number":1016,"message":"nobody knows"}}`, f.ID))
			} else {
				say(ctx, c, fmt.Sprintf(`{"id":%d,"ok":{"offset":7,"epoch":"E","id":"E:7"}}`, f.ID))
			}
		}
	})
	c := dial(t, address, over(client.WebSocket))
	at, err := c.Publish(soon(t), "a", channel.Message{Data: []byte("x")})
	if err != nil || at.Offset != 7 {
		t.Errorf("%v, %v", at, err)
	}
	key := <-keys
	if a, b := <-keys, <-keys; key == "" || a != key || b != key {
		t.Errorf("%q, %q, %q", key, a, b)
	}

	var n atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodPost:
			w.WriteHeader(http.StatusUpgradeRequired)
			fmt.Fprint(w, `{"error":{"code":"upgrade_required","number":1500,"message":""}}`)
		case n.Add(1) < 3:
			keys <- r.Header.Get("Idempotency-Key")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error":{"code":"uncertain","number":1016,"message":""}}`)
		default:
			keys <- r.Header.Get("Idempotency-Key")
			fmt.Fprint(w, `{"offset":8,"epoch":"E"}`)
		}
	}))
	t.Cleanup(site.Close)
	at, err = dial(t, site.URL, over(client.Polling)).Publish(soon(t), "a", channel.Message{Key: "mine"})
	if a, b, c := <-keys, <-keys, <-keys; err != nil || at.Offset != 8 || a != "mine" || b != "mine" || c != "mine" {
		t.Errorf("%v, %v, %q, %q, %q", at, err, a, b, c)
	}
}

// secure puts TLS before a server.
func secure(t *testing.T, server string) (*httptest.Server, *tls.Config) {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(to))
	t.Cleanup(site.Close)
	roots := x509.NewCertPool()
	roots.AddCert(site.Certificate())
	return site, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// connectProxy is a proxy by CONNECT that wants a password. It counts those that it let through.
func connectProxy(t *testing.T) (at *url.URL, through *atomic.Int64) {
	t.Helper()
	through = new(atomic.Int64)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth(); user != "kim" || password != "geheim" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		if r.Header.Get("Authorization") != "" {
			t.Error("the proxy has got the token")
		}
		through.Add(1)
		if r.Method != http.MethodConnect {
			(&httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}).ServeHTTP(w, r)
			return
		}
		there, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			there.Close()
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go pipe(there, buffered.Reader, here)
		go pipe(here, bufio.NewReader(there), there)
	}))
	t.Cleanup(site.Close)
	at, err := url.Parse(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	return at, through
}

func pipe(to net.Conn, from io.Reader, source net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	source.Close()
}

// Over TLS that is verified, and through a proxy, each transport works; what is not trusted is not.
func TestTLSAndProxy(t *testing.T) {
	_, direct := start(t, nil)
	site, trusting := secure(t, direct)
	proxy, through := connectProxy(t)
	for _, transport := range []client.Transport{client.WebSocket, client.EventStream} {
		t.Run(string(transport), func(t *testing.T) {
			for name, c := range map[string]struct {
				tls      *tls.Config
				user     *url.Userinfo
				proxied  bool
				mistaken bool
			}{
				"TLS":           {tls: trusting},
				"not trusted":   {mistaken: true},
				"another name":  {tls: &tls.Config{RootCAs: trusting.RootCAs, ServerName: "other.example", MinVersion: tls.VersionTLS12}, mistaken: true},
				"proxy":         {tls: trusting, proxied: true, user: url.UserPassword("kim", "geheim")},
				"no password":   {tls: trusting, proxied: true, mistaken: true},
				"proxy, no TLS": {tls: &tls.Config{MinVersion: tls.VersionTLS12}, proxied: true, user: url.UserPassword("kim", "geheim"), mistaken: true},
			} {
				t.Run(name, func(t *testing.T) {
					o := over(transport)
					o.TLS, o.Timeout = c.tls, 5*time.Second
					before := through.Load()
					o.Proxy = func(*url.URL) (*url.URL, error) {
						if !c.proxied {
							return nil, nil
						}
						p := *proxy
						p.User = c.user
						return &p, nil
					}
					failed := make(chan error, 100)
					o.OnState = func(now client.Transport, err error) {
						if now == "" {
							select {
							case failed <- err:
							default:
							}
						}
					}
					k, err := client.New(site.URL, o)
					if err != nil {
						t.Fatal(err)
					}
					defer k.Close()
					if c.mistaken {
						if err := testkit.Within(t, "a failure", failed); err == nil || strings.Contains(err.Error(), "geheim") {
							t.Errorf("it says %v", err)
						}
						return
					}
					if _, err := k.Publish(soon(t), "a", channel.Message{Data: []byte("x")}); err != nil {
						t.Error(err)
					}
					if c.proxied && through.Load() == before {
						t.Error("it went past the proxy")
					}
				})
			}
		})
	}
}
