package handshake

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestOfferRequest(t *testing.T) {
	offer := Offer{
		Key:          "dGhlIHNhbXBsZSBub25jZQ==",
		Subprotocols: []string{"chat", "superchat"},
		Deflate:      &DeflatePolicy{MaxWindowBits: 10},
		Header:       http.Header{"origin": {"http://example.com"}, "Cookie": {"a=b"}, "User-Agent": {"test"}},
	}
	r, err := offer.Request(mustURL(t, "ws://user:pass@server.example.com:8080/chat?room=1"))
	if err != nil {
		t.Fatal(err)
	}
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	const want = "GET /chat?room=1 HTTP/1.1\r\n" +
		"Host: server.example.com:8080\r\n" +
		"User-Agent: test\r\n" +
		"Authorization: Basic dXNlcjpwYXNz\r\n" +
		"Connection: Upgrade\r\n" +
		"Cookie: a=b\r\n" +
		"Origin: http://example.com\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Protocol: chat, superchat\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Upgrade: websocket\r\n" +
		"\r\n"
	if wire.String() != want {
		t.Errorf("request\n%s\nwant\n%s", wire.String(), want)
	}
	received, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Check(received); err != nil || got.Key != offer.Key {
		t.Errorf("our server: %+v, %v", got, err)
	}
}

func TestOfferRequestURL(t *testing.T) {
	tests := []struct {
		url, host, target string // host empty: an error
	}{
		{"ws://h", "h", "http://h"},
		{"WSS://h/p", "h", "https://h/p"},
		{"http://h:80/", "h:80", "http://h:80/"},
		{"https://[::1]:8443/?q", "[::1]:8443", "https://[::1]:8443/?q"},
		{"wss://b\u00fccher.example/", "b\u00fccher.example", "https://b%C3%BCcher.example/"},
		{"ftp://h/", "", ""},
		{"h/p", "", ""},
		{"ws:///p", "", ""},
		{"ws://:80/p", "", ""},
		{"ws:opaque", "", ""},
		{"ws://h/p#fragment", "", ""},
	}
	for _, tt := range tests {
		offer := Offer{Key: NewKey()}
		r, err := offer.Request(mustURL(t, tt.url))
		switch {
		case tt.host == "" && err == nil:
			t.Errorf("%s: no error", tt.url)
		case tt.host != "" && err != nil:
			t.Errorf("%s: %v", tt.url, err)
		case tt.host != "" && (r.Host != tt.host || r.URL.String() != tt.target):
			t.Errorf("%s: host %q, URL %q", tt.url, r.Host, r.URL)
		}
	}
	crafted := []*url.URL{
		{Scheme: "ws", Host: "h", Path: "/", RawQuery: "a\r\nX: y"},
		{Scheme: "ws", Host: "h", Path: "/", RawQuery: "a b"},
		{Scheme: "ws", Host: "h\r\nX: y", Path: "/"},
		{Scheme: "ws", Host: "h/p", Path: "/"},
		{Scheme: "ws", Host: "good@evil", Path: "/"},
		{Scheme: "ws", Host: "h", Opaque: "//x/y"},
	}
	for _, u := range crafted {
		offer := Offer{Key: NewKey()}
		if r, err := offer.Request(u); err == nil {
			t.Errorf("%+v: %+v", u, r)
		}
	}
}

func TestOfferRequestRefused(t *testing.T) {
	key := NewKey()
	tests := []struct {
		name  string
		offer Offer
		want  string // in the error
	}{
		{"no key", Offer{}, "key"},
		{"short key", Offer{Key: "AAAA"}, `"AAAA"`},
		{"HTTP/4", Offer{HTTP: 4, Key: key}, "HTTP/4"},
		{"subprotocol twice", Offer{Key: key, Subprotocols: []string{"a", "a"}}, `"a"`},
		{"subprotocol with a space", Offer{Key: key, Subprotocols: []string{"a b"}}, `"a b"`},
		{"subprotocol with CR LF", Offer{Key: key, Subprotocols: []string{"a\r\nX: y"}}, `"a\r\nX: y"`},
		{"window of 7 bits", Offer{Key: key, Deflate: &DeflatePolicy{MaxWindowBits: 7}}, "7 bits"},
		{"empty host", Offer{Key: key, Header: http.Header{"Host": {""}}}, "Host"},
		{"two hosts", Offer{Key: key, Header: http.Header{"Host": {"a", "b"}}}, "Host"},
		{"host with a path", Offer{Key: key, Header: http.Header{"Host": {"a/b"}}}, `"a/b"`},
	}
	for _, name := range []string{
		"Upgrade", "Connection", "connection", "Sec-WebSocket-Key", "sec-websocket-key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol",
		"Sec-WebSocket-Extensions", "Sec-WebSocket-Accept", "Content-Length", "Transfer-Encoding", "Trailer", "TE",
		":protocol", ":authority", "", "X Y", "X:", "X\r\nY", "X\u00e9",
	} {
		tests = append(tests, struct {
			name  string
			offer Offer
			want  string
		}{"header " + name, Offer{Key: key, Header: http.Header{name: {"x"}}}, quote(name)})
	}
	for _, value := range []string{"a\r\nX: y", "a\nb", "a\rb", "a\x00b", "a\x7f", "\x1b[31m"} {
		tests = append(tests, struct {
			name  string
			offer Offer
			want  string
		}{"value " + value, Offer{Key: key, Header: http.Header{"X-Good": {"fine", value}}}, "X-Good"})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.offer.Request(mustURL(t, "ws://h/"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
		})
	}
}

func TestOfferRequestHost(t *testing.T) {
	offer := Offer{Key: NewKey(), Header: http.Header{"Host": {"virtual.example"}, "Authorization": {"Bearer x"}}}
	r, err := offer.Request(mustURL(t, "ws://user@127.0.0.1:8000/"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Host != "virtual.example" || r.URL.Host != "127.0.0.1:8000" || r.Header["Host"] != nil {
		t.Errorf("host %q, URL %q, header %v", r.Host, r.URL, r.Header)
	}
	if got := r.Header.Get("Authorization"); got != "Bearer x" || r.URL.User != nil {
		t.Errorf("Authorization %q, URL %q", got, r.URL)
	}
	if len(offer.Header) != 2 {
		t.Errorf("the offer's header became %v", offer.Header)
	}
}

func TestOfferRequestExtendedConnect(t *testing.T) {
	for _, version := range []int{2, 3} {
		offer := Offer{HTTP: version, Subprotocols: []string{"chat"}, Deflate: &DeflatePolicy{}}
		r, err := offer.Request(mustURL(t, "wss://h/p"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Upgrade", "Connection", "Sec-WebSocket-Key"} {
			if r.Header[name] != nil { // RFC 9113 8.2.2, RFC 8441 5
				t.Errorf("HTTP/%d with %s", version, name)
			}
		}
		sent := r.Header
		r.Header = http.Header{} // as a server gets it
		for name, values := range sent {
			if name[0] != ':' {
				name = http.CanonicalHeaderKey(name)
			}
			r.Header[name] = values
		}
		if got, err := Check(r); err != nil || !got.ExtendedConnect {
			t.Errorf("our server over HTTP/%d: %+v, %v", version, got, err)
		}
	}
}
