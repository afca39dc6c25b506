package interop

import (
	"cmp"
	"net/url"
	"strings"
	"testing"
)

// TestBrowser runs the WebSocket of a page: ws, wss over HTTP/1.1, and over HTTP/2 (RFC 8441), which browsers use where
// the connection that the page came over offers it.
func TestBrowser(t *testing.T) {
	files := newCertificate(t)
	deflated := options{Deflate: &deflate{Takeover: true}, Subprotocols: []string{"chat.v2", "chat.v1"}}
	tls := options{Cert: files.cert, Key: files.key, Deflate: deflated.Deflate, Subprotocols: deflated.Subprotocols}
	http2 := tls
	http2.http2 = true
	tests := []struct {
		name  string
		o     options
		proto string
	}{
		{"ws", deflated, "HTTP/1.1"},
		{"wss", tls, "HTTP/1.1"},
		{"wss over HTTP2", http2, "HTTP/2.0"},
	}
	for _, server := range implementations() {
		if !server.ours {
			continue
		}
		for name := range browsers {
			for _, test := range tests {
				if name == "firefox" && (server.name == "baro" || test.name == "wss") {
					continue // it takes seconds to start: one server and both versions of HTTP will do
				}
				t.Run(name+" to "+server.name+", "+test.name, func(t *testing.T) {
					t.Parallel()
					testBrowser(t, name, server, test.o, test.proto)
				})
			}
		}
	}
}

func testBrowser(t *testing.T, name string, server implementation, o options, proto string) {
	s, address := server.listen(t, o)
	b := dialBrowser(t, options{Browser: name, URL: address, Subprotocols: []string{"chat.v1", "chat.v0"}})

	client, open := await(t, "browser", b, "open"), await(t, "server", s, "open")
	if open.Proto != proto {
		t.Errorf("the connection came by %s, want %s", open.Proto, proto)
	}
	if client.Subprotocol != "chat.v1" || open.Subprotocol != "chat.v1" {
		t.Errorf("subprotocol: browser %q, server %q, want chat.v1", client.Subprotocol, open.Subprotocol)
	}
	if !strings.HasPrefix(client.Extensions, "permessage-deflate") {
		t.Errorf("extensions: %q, want permessage-deflate", client.Extensions)
	}
	exchangeWhole(t, b, s, messages())
	exchangeWhole(t, b, s, largeMessages())
	b.close(4000, "안녕")
	awaitClose(t, "server", s, 4000, "안녕")
	if ev := await(t, "browser", b, "close"); ev.Code != 4000 {
		t.Errorf("browser: closed with %d, want 4000", ev.Code)
	}
}

// exchangeWhole is exchange for a browser, which cannot send fragments; it receives them.
func exchangeWhole(t *testing.T, browser, server end, messages []message) {
	t.Helper()
	for _, m := range messages {
		whole := join(m)
		browser.send(m.kind, whole)
		awaitMessage(t, "server, "+m.name, server, m.kind, whole)
		server.send(m.kind, m.parts...)
		awaitMessage(t, "browser, "+m.name, browser, m.kind, whole)
	}
}

// TestBrowserIsClosed lets the server close: the page learns why.
func TestBrowserIsClosed(t *testing.T) {
	for _, server := range implementations() {
		if !server.ours {
			continue
		}
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			s, address := server.listen(t, options{})
			b := dialBrowser(t, options{URL: address})
			await(t, "browser", b, "open")
			await(t, "server", s, "open")
			s.close(1001, "going away")
			awaitClose(t, "browser", b, 1001, "going away")
			if ev := await(t, "server", s, "close"); ev.Code != 1001 {
				t.Errorf("server: closed with %d, want 1001", ev.Code)
			}
		})
	}
}

// TestBrowserFromElsewhere opens the page from another origin, which is refused unless allowed (RFC 6455 10.2).
func TestBrowserFromElsewhere(t *testing.T) {
	s, address := listenBaroConn(t, options{})
	page := strings.Replace(pageOf(t, address), "127.0.0.1", "localhost", 1)
	b := dialBrowser(t, options{URL: address, Page: page})
	await(t, "browser", b, "refused")
	if ev := await(t, "server", s, "refused"); !strings.Contains(ev.Message, "rigin") {
		t.Errorf("refused because %q, want the origin to be named", ev.Message)
	}
}

// dialBrowser makes a page of o.Browser (Chromium if it is "") connect, from the server's own origin unless o says another page.
func dialBrowser(t *testing.T, o options) *peer {
	t.Helper()
	o.Role = "client"
	o.Browser = cmp.Or(o.Browser, "chromium")
	if o.Page == "" {
		o.Page = pageOf(t, o.URL)
	}
	return browser(t, o.Browser, "browser.mjs", o)
}

// pageOf returns the URL of the empty page beside the WebSocket.
func pageOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	u.Path = "/page"
	return u.String()
}
