package dialer

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestConnect(t *testing.T) {
	ca := newAuthority(t)
	plain := listen(t, echo)
	overTLS := listen(t, secured(ca.server(t, "127.0.0.1"), echo))
	requests := make(chan *http.Request, 1)
	handle := connectProxy(func(r *http.Request) { requests <- r })
	proxies := map[string]string{
		"http":  listen(t, handle),
		"https": listen(t, secured(ca.server(t, "127.0.0.1"), handle)),
	}
	for _, c := range []struct {
		url, proxy, auth, is string
		header               http.Header
	}{
		{"ws://" + plain + "/x", "http://" + proxies["http"], "", "*net.TCPConn", nil},
		{"wss://" + overTLS + "/x", "http://" + proxies["http"], "", "*tls.Conn", nil},
		{"ws://" + plain + "/x", "https://" + proxies["https"], "", "*tls.Conn", nil},
		{"wss://" + overTLS + "/x", "https://" + proxies["https"], "", "*tls.Conn", nil},
		{"ws://" + plain, "http://ann:p%3Aw@" + proxies["http"], "Basic YW5uOnA6dw==", "*net.TCPConn", nil},
		{"ws://" + plain, "http://ann@" + proxies["http"], "Basic YW5uOg==", "*net.TCPConn", nil},
		{"ws://" + plain, "http://ann:x@" + proxies["http"], "Bearer t", "*net.TCPConn",
			http.Header{"Proxy-Authorization": {"Bearer t"}, "X-Team": {"red"}}},
		{"ws://" + plain, "http://ann:x@" + proxies["http"], "Basic YW5uOng=", "*net.TCPConn", http.Header{"X-Team": {"red"}}},
	} {
		t.Run(c.url+" by "+c.proxy, func(t *testing.T) {
			given := c.header.Clone()
			config := &Config{
				TLS:         &tls.Config{RootCAs: ca.pool},
				ProxyTLS:    &tls.Config{RootCAs: ca.pool},
				Proxy:       via(c.proxy),
				ProxyHeader: c.header,
			}
			conn := dialOK(t, config, c.url)
			got := "*net.TCPConn"
			switch conn.(type) {
			case *net.TCPConn:
			case *tls.Conn:
				got = "*tls.Conn"
			default:
				got = "another type"
			}
			if got != c.is {
				t.Errorf("got %s (%T), want %s", got, conn, c.is)
			}
			r := <-requests
			addr := mustParse(t, c.url).Address
			if r.Method != "CONNECT" || r.RequestURI != addr || r.Host != addr || r.Proto != "HTTP/1.1" {
				t.Errorf("asked %s %s %s, Host %s", r.Method, r.RequestURI, r.Proto, r.Host)
			}
			if r.Header.Get("Proxy-Authorization") != c.auth || r.Header.Get("X-Team") != c.header.Get("X-Team") {
				t.Errorf("header %v", r.Header)
			}
			if !reflect.DeepEqual(c.header, given) {
				t.Errorf("the caller's header was changed: %v", c.header)
			}
		})
	}
}

// What is for the server must not reach an https proxy, nor the other way round.
func TestConnectKeepsTLSApart(t *testing.T) {
	ca := newAuthority(t)
	config := ca.server(t, "127.0.0.1")
	config.ClientAuth = tls.RequestClientCert
	certificates := make(chan int, 1)
	config.VerifyConnection = func(state tls.ConnectionState) error {
		certificates <- len(state.PeerCertificates)
		return nil
	}
	addr := listen(t, secured(config, connectProxy(func(*http.Request) {})))
	server := listen(t, echo)

	forServer := &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{ca.issue(t, "client")}, ServerName: "server.example"}
	dialOK(t, &Config{TLS: forServer, ProxyTLS: &tls.Config{RootCAs: ca.pool}, Proxy: via("https://" + addr)}, "ws://"+server)
	if n := <-certificates; n != 0 {
		t.Errorf("the proxy got %d client certificates", n)
	}
	forServer.InsecureSkipVerify = true
	e := dialFails(t, t.Context(), &Config{TLS: forServer, Proxy: via("https://" + addr)}, "ws://"+server, PhaseTLS, nil)
	if e.Addr != "https://"+addr {
		t.Errorf("got %v", e)
	}
}

func TestConnectAnswers(t *testing.T) {
	for _, c := range []struct{ name, answer, early string }{
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", ""},
		{"no reason", "HTTP/1.1 200\r\n\r\n", ""},
		{"bare LF", "HTTP/1.1 200 OK\nA: b\n\n", ""},
		{"early bytes", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "early"},
		{"early bytes beyond the limit", "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("early", 1<<12)},
		// RFC 9110 9.3.6: "Any 2xx (Successful) response indicates that the sender [...] will switch to tunnel mode".
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", "early"},
		// "A client MUST ignore any Content-Length or Transfer-Encoding header fields received in a successful response to CONNECT."
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\nTransfer-Encoding: x, chunked\r\n\r\n", "early"},
		// RFC 9110 15.2.
		{"interim answers", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "early"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := listen(t, script(c.answer+c.early))
			config := &Config{Proxy: via("http://" + addr), MaxHeaderBytes: 1 << 12}
			conn, err := config.Dial(t.Context(), mustParse(t, "ws://example.com"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			got := make([]byte, len(c.early))
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != c.early {
				t.Errorf("%d bytes, %v; want %d", len(got), err, len(c.early))
			}
			if _, err := io.WriteString(conn, "x"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConnectRefusals(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
		want         error
	}{
		{"407", "HTTP/1.1 407 Go Away\r\nProxy-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nhello", 407, nil},
		{"403 with an escape", "HTTP/1.1 403 \x1b[31mred\r\n\r\n", 403, nil},
		{"redirect", "HTTP/1.1 302 Found\r\nLocation: http://other/\r\n\r\n", 302, nil},
		{"switching protocols", "HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, nil},
		{"unknown", "HTTP/1.1 799 ?\r\n\r\n", 799, nil},
		{"nothing", "", 0, io.ErrUnexpectedEOF},
		{"not HTTP", "SSH-2.0-OpenSSH_9.6\r\n", 0, ErrProxyAnswer},
		{"our own request", "CONNECT example.com:80 HTTP/1.1\r\nProxy-Authorization: Basic YW5uOnMzY3JldA==\r\n\r\n", 0, ErrProxyAnswer},
		{"our own header", "HTTP/1.1 200 OK\r\nBasic YW5uOnMzY3JldA==\r\n\r\n", 0, ErrProxyAnswer},
		{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", 0, ErrProxyAnswer},
		{"sign", "HTTP/1.1 +20 OK\r\n\r\n", 0, ErrProxyAnswer},
		{"below 100", "HTTP/1.1 042 OK\r\n\r\n", 0, ErrProxyAnswer},
		{"no status", "HTTP/1.1\r\n\r\n", 0, ErrProxyAnswer},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, ErrProxyAnswer},
		{"long line", "HTTP/1.1 200 " + strings.Repeat("x", 8<<20), 0, ErrProxyHeaderTooLarge},
		{"long header", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 8<<20), 0, ErrProxyHeaderTooLarge},
		{"many headers", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1<<20), 0, ErrProxyHeaderTooLarge},
		{"interim answers", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1<<16), 0, ErrProxyHeaderTooLarge},
		{"no newline", strings.Repeat("\x00", 8<<20), 0, ErrProxyHeaderTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := listen(t, hangUp(c.answer))
			e := dialFails(t, t.Context(), &Config{Proxy: via("http://ann:" + secret + "@" + addr)}, "ws://example.com", PhaseTunnel, c.want)
			if e.Addr != "http://"+addr+" to example.com:80" {
				t.Errorf("it names %q", e.Addr)
			}
			var refusal *ProxyError
			if errors.As(e, &refusal) != (c.status != 0) || c.status != 0 && refusal.StatusCode != c.status {
				t.Errorf("got %v, want status %d", e, c.status)
			}
			if c.status == 407 && (refusal.Header.Get("Proxy-Authenticate") != "Basic" ||
				!strings.Contains(e.Error(), "407 Proxy Authentication Required")) {
				t.Errorf("got %v, header %v", e, refusal.Header)
			}
		})
	}
}

// A proxy that goes away within its answer, wherever that is, is an error.
func TestConnectCut(t *testing.T) {
	const answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n"
	for n := range len(answer) {
		addr := listen(t, hangUp(answer[:n]))
		dialFails(t, t.Context(), &Config{Proxy: via("http://" + addr)}, "ws://example.com", PhaseTunnel, nil)
	}
}

// However the answer is split, the tunnel begins at the same byte.
func TestConnectSplit(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nA: b\r\n\r\nearly"
	for n := range len(answer) {
		client, server := net.Pipe()
		go func() {
			buf := make([]byte, 4096)
			server.Read(buf)
			io.WriteString(server, answer[:n])
			io.WriteString(server, answer[n:])
			server.Close()
		}()
		p := &proxy{scheme: "http", address: "proxy:80"}
		conn, err := p.connect(t.Context(), client, "example.com:80", nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || string(got) != "early" {
			t.Fatalf("split at %d: %q, %v", n, got, err)
		}
		conn.Close()
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nA: b\r\n\r\nearly")
	f.Add("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n")
	f.Add("HTTP/1.0 200\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		const limit = 1 << 10
		early, err := readAnswer(strings.NewReader(s), limit)
		if err != nil {
			if len(early) > 0 || len(err.Error()) > 100 {
				t.Fatalf("%q, %v", early, err)
			}
			return
		}
		if head := min(len(s), limit) - len(early); head < len("HTTP/1.1 200\n\n") || s[head:head+len(early)] != string(early) {
			t.Fatalf("%q is not what follows the answer", early)
		}
	})
}
