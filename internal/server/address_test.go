package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"baro.dev/internal/clients"
)

// remoteOf is where a server thinks that a stream with these header fields comes from.
func remoteOf(t *testing.T, s *Server, header ...string) string {
	t.Helper()
	response, err := open(t.Context(), client(t), s.url("/c/a"), typeSSE, header...)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	all := s.registry.All()
	if len(all) != 1 {
		t.Fatalf("%d clients", len(all))
	}
	remote := all[0].Connection().Remote
	all[0].Disconnect(clients.EndReconnect)
	eventually(t, "it is gone", func() bool { return len(s.registry.All()) == 0 })
	return remote
}

// The address of a client is that of the peer, whatever the peer says, unless it is a trusted proxy.
func TestForgedHeaders(t *testing.T) {
	forged := []string{
		"X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example",
		"X-Real-IP", "198.51.100.7", "X-User-Id", "admin", "X-Forwarded-User", "admin", "Remote-User", "admin",
	}
	for name, test := range map[string]struct {
		proxies []string
		header  []string
		want    string
	}{
		"nobody is trusted":    {nil, forged, "127.0.0.1:"},
		"others are trusted":   {[]string{"10.0.0.0/8"}, forged, "127.0.0.1:"},
		"Forwarded, forged":    {[]string{"10.0.0.0/8"}, []string{"Forwarded", "for=198.51.100.7"}, "127.0.0.1:"},
		"trusted":              {[]string{"loopback"}, []string{"X-Forwarded-For", "198.51.100.7"}, "198.51.100.7:0"},
		"trusted, Forwarded":   {[]string{"127.0.0.1"}, []string{"Forwarded", `for="[2001:db8::1]:4711"`}, "[2001:db8::1]:4711"},
		"forged by the client": {[]string{"loopback"}, []string{"X-Forwarded-For", "127.0.0.1, 192.0.2.1, 198.51.100.7"}, "198.51.100.7:0"},
		"says nothing":         {[]string{"loopback"}, nil, "127.0.0.1:"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Config{TrustedProxies: test.proxies})
			if got := remoteOf(t, s, test.header...); !strings.HasPrefix(got, test.want) {
				t.Errorf("it comes from %s, want %s", got, test.want)
			}
			// Nobody is somebody because of a header.
			if _, users := s.registry.Len(); users != 0 {
				t.Errorf("%d users", users)
			}
		})
	}
}

// The host and the scheme that a trusted proxy names are those that the origin of a page is compared with; others may say what they like.
func TestForwardedOrigin(t *testing.T) {
	for name, test := range map[string]struct {
		proxies []string
		header  []string
		status  int
	}{
		"own":                          {[]string{"loopback"}, []string{"X-Forwarded-Host", "www.example.com", "Origin", "https://www.example.com"}, 200},
		"own, in Forwarded":            {[]string{"loopback"}, []string{"Forwarded", "for=198.51.100.7;host=www.example.com;proto=https", "Origin", "https://www.example.com"}, 200},
		"another":                      {[]string{"loopback"}, []string{"X-Forwarded-Host", "www.example.com", "Origin", "https://evil.example"}, 403},
		"without TLS":                  {[]string{"loopback"}, []string{"X-Forwarded-Host", "www.example.com", "X-Forwarded-Proto", "https", "Origin", "http://www.example.com"}, 403},
		"the proxy does not know":      {[]string{"loopback"}, []string{"X-Forwarded-Host", "www.example.com", "X-Forwarded-Proto", "http", "Origin", "https://www.example.com"}, 200},
		"no host":                      {[]string{"loopback"}, []string{"X-Forwarded-Host", "www.example.com/evil", "Origin", "https://www.example.com"}, 403},
		"forged by who is not trusted": {nil, []string{"X-Forwarded-Host", "evil.example", "Origin", "https://evil.example"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Config{TrustedProxies: test.proxies})
			for _, path := range []string{"/c/a", "/socket.io/?EIO=4&transport=polling"} {
				if path != "/c/a" && name == "without TLS" {
					continue // the engine compares no schemes
				}
				response, body := request(t, "GET", s.url(path), "", test.header...)
				if response.StatusCode != test.status {
					t.Errorf("%s: status %d, want %d: %s", path, response.StatusCode, test.status, body)
				}
			}
		})
	}
}

// Without a key the API of a server on one's own machine is there for that machine alone, whatever host a page says was forwarded.
func TestForwardedHostOfAPI(t *testing.T) {
	s, err := New(Config{Dev: true, TrustedProxies: []string{"0.0.0.0/0"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for host, status := range map[string]int{"127.0.0.1:8000": 200, "rebound.example": 403} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://"+host+"/api/v1/info", nil)
		r.RemoteAddr = "127.0.0.1:1234"
		r.Header.Set("X-Forwarded-Host", "localhost")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s: status %d, want %d: %s", host, w.Code, status, w.Body)
		}
	}
}

// The log has the address that the proxy names.
func TestForwardedInLog(t *testing.T) {
	var log lockedBuffer
	s := start(t, Config{TrustedProxies: []string{"loopback"}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	response, _ := request(t, "GET", s.url("/nothing"), "", "X-Forwarded-For", "198.51.100.7")
	if response.StatusCode != http.StatusNotFound || !strings.Contains(log.String(), "remote=198.51.100.7:0") {
		t.Errorf("status %d, log %s", response.StatusCode, log.String())
	}
}

func TestTrustedProxiesMustBeAddresses(t *testing.T) {
	for _, c := range []Config{{TrustedProxies: []string{"proxy.example"}}, {ProxyProtocol: true}} {
		c.Dev = true
		if err := c.Check(); err == nil || !strings.Contains(strings.ToLower(err.Error()), "prox") {
			t.Errorf("%+v: %v", c.TrustedProxies, err)
		}
	}
}
