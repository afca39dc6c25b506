package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/certificates"
	"baro.dev/internal/clients"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
	"baro.dev/ws/wsh3"
)

// home is a server whose devices show certificates.
type home struct {
	*Server
	devices *testkit.Authority
	roots   *x509.CertPool
	log     logged
	config  Config
}

func startHome(t *testing.T, change func(*Config)) *home {
	t.Helper()
	h := &home{devices: testkit.NewAuthority(t, "devices")}
	dir := t.TempDir()
	h.config.TLSCert, h.config.TLSKey, h.roots = testkit.Certificate(t)
	h.config.TLSClients = certificates.Clients{
		CA: testkit.WriteFile(t, dir, "devices.pem", h.devices.PEM), CRL: testkit.WriteFile(t, dir, "revoked.crl", h.devices.Revoke(t)),
		Auth: certificates.Request,
	}
	users, err := channel.ParsePattern("house/**")
	if err != nil {
		t.Fatal(err)
	}
	h.config.Rules = []Rule{{Pattern: users, Access: clients.Rule{Subscribe: clients.Users, Publish: clients.Users, History: clients.Users}}}
	secret, err := auth.SecretKey([]byte(homeSecret))
	if err != nil {
		t.Fatal(err)
	}
	h.config.Auth = &auth.Config{Keys: []auth.Key{secret}}
	h.config.Log = slog.New(slog.NewJSONHandler(&h.log, nil))
	h.config.HTTP3 = true
	if change != nil {
		change(&h.config)
	}
	h.Server = start(t, h.config)
	return h
}

const homeSecret = "a secret of thirty-two bytes, and some more"

// shows is what a client of the house's is set up with, which shows a certificate; without one it shows none.
func (h *home) shows(t *testing.T, pair ...[]byte) *tls.Config {
	t.Helper()
	c := &tls.Config{RootCAs: h.roots, ServerName: "localhost"}
	if len(pair) > 0 {
		cert, err := tls.X509KeyPair(pair[0], pair[1])
		if err != nil {
			t.Fatal(err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	return c
}

// over are clients of each version of HTTP.
func (h *home) over(t *testing.T, config *tls.Config) map[string]*http.Client {
	t.Helper()
	one, two := &http.Transport{TLSClientConfig: config.Clone()}, &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true}
	one.TLSClientConfig.NextProtos = []string{"http/1.1"}
	three := &http3.Transport{TLSClientConfig: config.Clone()}
	t.Cleanup(func() { one.CloseIdleConnections(); two.CloseIdleConnections(); _ = three.Close() })
	list := map[string]*http.Client{}
	for name, transport := range map[string]http.RoundTripper{"HTTP/1.1": one, "HTTP/2.0": two, "HTTP/3.0": three} {
		list[name] = &http.Client{Transport: transport, Timeout: testkit.Patience}
	}
	return list
}

// status publishes, and gives what comes of it.
func (h *home) status(t *testing.T, c *http.Client, token string) (int, string, error) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url("/c/house/door"), strings.NewReader("open"))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.Do(q)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Proto + " " + string(body), err
}

// A certificate says who a device is, over every version of HTTP; without one, a token does.
func TestDevicesPublish(t *testing.T) {
	h := startHome(t, nil)
	cert, key := h.devices.Issue(t, "door", nil)
	for proto, c := range h.over(t, h.shows(t, cert, key)) {
		if status, body, err := h.status(t, c, ""); err != nil || status != http.StatusOK || !strings.HasPrefix(body, proto) {
			t.Errorf("%s with a certificate: %d, %s, %v", proto, status, body, err)
		}
		if status, body, err := h.status(t, c, "garbage"); err != nil || status != http.StatusUnauthorized {
			t.Errorf("%s with a certificate, and a bad token: %d, %s, %v", proto, status, body, err)
		}
	}
	signing, err := auth.ParseSigningKey([]byte(homeSecret))
	if err != nil {
		t.Fatal(err)
	}
	token, err := auth.Mint(signing, auth.Claims{User: "kim", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for proto, c := range h.over(t, h.shows(t)) {
		if status, body, err := h.status(t, c, ""); err != nil || status != http.StatusUnauthorized {
			t.Errorf("%s with nothing: %d, %s, %v", proto, status, body, err)
		}
		if status, body, err := h.status(t, c, token); err != nil || status != http.StatusOK {
			t.Errorf("%s with a token: %d, %s, %v", proto, status, body, err)
		}
	}
	// Revoked: at once on connections that there are, and in handshakes.
	known := h.over(t, h.shows(t, cert, key))
	for proto, c := range known {
		if status, _, err := h.status(t, c, ""); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d, %v", proto, status, err)
		}
	}
	testkit.WriteFile(t, "", h.config.TLSClients.CRL, h.devices.Revoke(t, cert))
	if err := h.certificates.Reload(); err != nil {
		t.Fatal(err)
	}
	for proto, c := range known {
		if status, body, err := h.status(t, c, ""); err != nil || status != http.StatusUnauthorized || !strings.Contains(body, "revoked") {
			t.Errorf("%s, revoked while connected: %d, %s, %v", proto, status, body, err)
		}
	}
	for proto, c := range h.over(t, h.shows(t, cert, key)) {
		if status, _, err := h.status(t, c, ""); err == nil {
			t.Errorf("%s, revoked: %d", proto, status)
		}
	}
}

// Who is connected is who its certificate says, on every transport.
func TestDevicesConnect(t *testing.T) {
	h := startHome(t, nil)
	address := "wss" + strings.TrimPrefix(h.url(""), "https")
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	over3 := func(c *tls.Config) *ws.DialOptions {
		s := &wsh3.Streams{Transport: &http3.Transport{TLSClientConfig: c}}
		t.Cleanup(func() { _ = s.Close() })
		return &ws.DialOptions{Streams: s}
	}
	over1 := func(c *tls.Config) *ws.DialOptions { return &ws.DialOptions{TLS: c} }
	for name, test := range map[string]struct {
		path    string
		options func(*tls.Config) *ws.DialOptions
		hello   string
	}{
		"channel, HTTP/1.1":   {"/c/house/door", over1, ""},
		"channel, HTTP/3":     {"/c/house/door", over3, ""},
		"/ws, HTTP/1.1":       {"/ws", over1, ""},
		"/ws, HTTP/3":         {"/ws", over3, ""},
		"Socket.IO, HTTP/1.1": {"/socket.io/?EIO=4&transport=websocket", over1, "40"},
		"Socket.IO, HTTP/3":   {"/socket.io/?EIO=4&transport=websocket", over3, "40"},
	} {
		t.Run(name, func(t *testing.T) {
			device := strings.NewReplacer(" ", "-", "/", "-", ",", "").Replace(name)
			cert, key := h.devices.Issue(t, device, nil)
			c, _, err := ws.Dial(ctx, address+test.path, test.options(h.shows(t, cert, key)))
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			if test.hello != "" {
				if err := c.Send(ws.Text, []byte(test.hello)); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "it is known", func() bool { return len(h.registry.OfUser(device)) == 1 })
			is := h.registry.OfUser(device)[0].Identity()
			if is.Anonymous || time.Until(is.Expires) < 80*24*time.Hour {
				t.Errorf("it is %+v", is)
			}
		})
	}
	t.Run("polling", func(t *testing.T) {
		cert, key := h.devices.Issue(t, "poller", nil)
		c := h.over(t, h.shows(t, cert, key))["HTTP/2.0"]
		get := func(method, path, body string) string {
			t.Helper()
			q, err := http.NewRequestWithContext(ctx, method, h.url(path), strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			response, err := c.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("%s: %d, %s, %v", path, response.StatusCode, text, err)
			}
			return string(text)
		}
		const path = "/socket.io/?EIO=4&transport=polling"
		_, rest, _ := strings.Cut(get("GET", path, ""), `"sid":"`)
		sid, _, _ := strings.Cut(rest, `"`)
		get("POST", path+"&sid="+sid, "40")
		eventually(t, "it is known", func() bool { return len(h.registry.OfUser("poller")) == 1 })
	})
}

// Who may not come in is told in the log, and counted, over TCP and over QUIC; curl says so, too.
func TestDevicesRefused(t *testing.T) {
	h := startHome(t, func(c *Config) { c.TLSClients.Auth = certificates.Require })
	foreign := testkit.NewAuthority(t, "foreign")
	cert, key := foreign.Issue(t, "door", nil)
	for proto, c := range h.over(t, h.shows(t, cert, key)) {
		if status, body, err := h.status(t, c, ""); err == nil {
			t.Errorf("%s: %d, %s", proto, status, body)
		}
	}
	for proto, c := range h.over(t, h.shows(t)) {
		if status, body, err := h.status(t, c, ""); err == nil {
			t.Errorf("%s without a certificate: %d, %s", proto, status, body)
		}
	}
	var why []string
	eventually(t, "all is told", func() bool {
		why = nil
		untold := 0.0
		for _, line := range h.log.lines(t, "refused") {
			if line["reason"] != "client_certificate" || line["remote"] == nil {
				t.Errorf("told is %v", line)
			}
			why = append(why, line["why"].(string))
			n, _ := line["untold"].(float64)
			untold += n
		}
		return len(why) >= 5
	})
	for _, want := range []string{certificates.ErrForeign.Error(), certificates.ErrNoCertificate.Error()} {
		if !strings.Contains(strings.Join(why, "\n"), want) {
			t.Errorf("nothing is told of %q: %q", want, why)
		}
	}
	dir := t.TempDir()
	run := func(cert, key []byte) (string, error) {
		args := []string{"-sSk", "-d", "open", "--max-time", "20", h.url("/c/house/door")}
		if cert != nil {
			args = append(args, "--cert", testkit.WriteFile(t, dir, "cert.pem", cert), "--key", testkit.WriteFile(t, dir, "key.pem", key))
		}
		out, err := exec.CommandContext(t.Context(), "curl", args...).CombinedOutput()
		return string(out), err
	}
	good, goodKey := h.devices.Issue(t, "door", nil)
	if out, err := run(good, goodKey); err != nil || !strings.Contains(out, `"offset":`) {
		t.Errorf("curl with a good certificate: %s, %v", out, err)
	}
	for _, pair := range [][2][]byte{{cert, key}, {nil, nil}} {
		if out, err := run(pair[0], pair[1]); err == nil || strings.Contains(out, `"offset":`) {
			t.Errorf("curl is let in: %s", out)
		}
	}
}

// A client that begins a handshake and does not go on with it keeps nobody out, and is let go.
func TestStalledHandshakes(t *testing.T) {
	cert, key, roots := testkit.Certificate(t)
	s := start(t, Config{TLSCert: cert, TLSKey: key, HeaderTimeout: 5 * time.Second, MaxHandshakes: 2})
	hello := clientHello(t)
	for _, part := range [][]byte{nil, hello[:1], hello[:len(hello)/2], hello, hello, hello, hello} {
		c := dial(t, s)
		if _, err := c.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	dribble := dial(t, s)
	go func() {
		for _, b := range hello {
			if _, err := dribble.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	c := overTCP(t, roots)
	if response, err := c.Get(s.url("/livez")); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("a client beside them: %v", err)
	} else {
		response.Body.Close()
	}
	c.CloseIdleConnections()
	eventually(t, "they are gone", func() bool { return s.connections.open.Load() == 0 })
}

// clientHello is the first thing that a client of TLS says.
func clientHello(t *testing.T) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() { _ = tls.Client(near, &tls.Config{ServerName: "localhost"}).Handshake() }()
	first := make([]byte, 16<<10)
	n, err := far.Read(first)
	if err != nil {
		t.Fatal(err)
	}
	return first[:n]
}

// A session is resumed over TCP and over QUIC, across a reload.
func TestResumption(t *testing.T) {
	h := startHome(t, nil)
	config := h.shows(t)
	config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	for i, list := range []map[string]*http.Client{h.over(t, config), h.over(t, config)} {
		for proto, c := range list {
			response, err := c.Get(h.url("/livez"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if resumed := response.TLS.DidResume; i > 0 && !resumed {
				t.Errorf("client %d, %s: resumed %v", i, proto, resumed)
			}
		}
		if err := h.certificates.Reload(); err != nil {
			t.Fatal(err)
		}
	}
}
