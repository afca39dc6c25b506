package handshake

import (
	"net/http"
	"strings"
	"testing"
)

func browserRequest(t testing.TB) *http.Request {
	return parse(t, upgradeRequest+"Origin: https://server.example.com\r\n"+
		"Sec-WebSocket-Protocol: chat, superchat\r\n"+
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"+
		"User-Agent: Mozilla/5.0\r\nAccept-Encoding: gzip\r\n")
}

// serve decides on a request and builds the answer into buf.
func serve(r *http.Request, buf []byte, policy *DeflatePolicy) ([]byte, error) {
	req, err := Check(r)
	if err != nil {
		return nil, err
	}
	if err := CheckOrigin(r, nil); err != nil {
		return nil, err
	}
	subprotocol, err := SelectSubprotocol(r.Header, supported)
	if err != nil {
		return nil, err
	}
	_, extensions, err := AcceptDeflate(r.Header, policy)
	if err != nil {
		return nil, err
	}
	return AppendResponse(buf, req.Key, subprotocol, extensions, nil)
}

var supported = []string{"superchat"}

func TestServerAllocations(t *testing.T) {
	r := browserRequest(t)
	buf := make([]byte, 0, 512)
	tests := []struct {
		name   string
		policy *DeflatePolicy
		want   float64
	}{
		{"without compression", nil, 0},
		{"with compression", &DeflatePolicy{}, 1},                                     // what was agreed
		{"with compression, no takeover", &DeflatePolicy{NoContextTakeover: true}, 2}, // and the answer
	}
	for _, tt := range tests {
		got := testing.AllocsPerRun(100, func() {
			if _, err := serve(r, buf, tt.policy); err != nil {
				t.Fatal(err)
			}
		})
		if got > tt.want {
			t.Errorf("%s: %v allocations, want %v", tt.name, got, tt.want)
		}
	}
}

func BenchmarkServer(b *testing.B) {
	r := browserRequest(b)
	buf := make([]byte, 0, 512)
	for name, policy := range map[string]*DeflatePolicy{"plain": nil, "deflate": {}, "deflate-lean": {NoContextTakeover: true}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := serve(r, buf, policy); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	r := browserRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Check(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckOrigin(b *testing.B) {
	r := browserRequest(b)
	for name, allowed := range map[string][]string{
		"same":  nil,
		"fifth": {"https://a.example.com", "https://b.example.com", "http://c.example.com:8080", "https://d.example.com", "https://server.example.com"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := CheckOrigin(r, allowed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkClient(b *testing.B) {
	offer := Offer{Key: "dGhlIHNhbXBsZSBub25jZQ==", Deflate: &DeflatePolicy{}}
	resp := accepted(1)
	resp.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := offer.CheckResponse(resp); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHostile judges requests with one header of 64 KB (or as large as what is looked at), each made to be slow to parse.
func BenchmarkHostile(b *testing.B) {
	const size = 64 << 10
	fill := func(first, repeated string, size int) string {
		return first + strings.Repeat(repeated, (size-len(first))/len(repeated))
	}
	for _, tt := range []struct{ name, header, value string }{
		{"connection-commas", "Connection", fill("", ",", size)},
		{"connection-spaces", "Connection", fill("", " ,", size)},
		{"connection-almost", "Connection", fill("", "upgrada,", size)},
		{"upgrade-many", "Upgrade", fill("", "websocket,", size)},
		{"key", "Sec-Websocket-Key", fill("", "A", size)},
		{"version", "Sec-Websocket-Version", fill("", "1", size)},
		{"origin-dots", "Origin", fill("https://", "a.", size)},
		{"origin-ipv6", "Origin", fill("https://[", "0:", size-1) + "]"},
		{"protocol-tokens", "Sec-Websocket-Protocol", fill("", "a,", size)},
		{"protocol-commas", "Sec-Websocket-Protocol", fill("", ", ", size)},
		{"protocol-long", "Sec-Websocket-Protocol", fill("", strings.Repeat("a", 1000)+"b,", size)},
		{"extensions-64KB", "Sec-Websocket-Extensions", fill("", "a;b,", size)},
		{"extensions-spaces", "Sec-Websocket-Extensions", fill("a", " ", maxExtensionBytes-1)},
		{"extensions-commas", "Sec-Websocket-Extensions", fill("a", ", ", maxExtensionBytes-1)},
		{"extensions-backslashes", "Sec-Websocket-Extensions", fill(`a;b="`, `\c`, maxExtensionBytes-2) + `"`},
		{"extensions-unclosed", "Sec-Websocket-Extensions", fill(`a;b="`, `\c`, maxExtensionBytes-1)},
		{"extensions-declined", "Sec-Websocket-Extensions", fill("", pmd+";server_max_window_bits=8;server_max_window_bits=8,", 2000)},
	} {
		b.Run(tt.name, func(b *testing.B) {
			r := browserRequest(b)
			r.Header[tt.header] = []string{tt.value}
			buf := make([]byte, 0, 512)
			b.SetBytes(int64(len(tt.value)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = serve(r, buf, &DeflatePolicy{})
			}
		})
	}
}
