package interop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

const large = 1 << 20 // bytes; the largest message that any end here accepts unasked

type message struct {
	name  string
	kind  string
	parts [][]byte
}

func join(m message) []byte { return bytes.Join(m.parts, nil) }

func randomBytes() []byte {
	b := make([]byte, large)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

func messages() []message {
	random := randomBytes()
	byteByByte := bytes.SplitAfter([]byte(strings.Repeat("fragment ", 20)), nil)
	return []message{
		{"text", "text", [][]byte{[]byte("hello")}},
		{"text beyond ASCII", "text", [][]byte{[]byte("메세지 바로 👋")}},
		{"text with NUL and BOM", "text", [][]byte{[]byte("\ufeffa\x00b")}},
		{"empty text", "text", [][]byte{{}}},
		{"empty binary", "binary", [][]byte{{}}},
		{"every byte", "binary", [][]byte{everyByte()}},
		{"125 bytes", "binary", [][]byte{random[:125]}}, // the largest 7-bit length
		{"126 bytes", "binary", [][]byte{random[:126]}},
		{"65535 bytes", "binary", [][]byte{random[:65535]}}, // the largest 16-bit length
		{"65536 bytes", "binary", [][]byte{random[:65536]}},
		{"fragments", "text", [][]byte{[]byte("one, "), []byte("둘, "), []byte("three")}},
		{"empty fragments", "binary", [][]byte{{}, []byte("a"), {}, []byte("b"), {}}},
		{"a fragment for each byte", "text", byteByByte},
	}
}

func largeMessages() []message {
	random := randomBytes()
	return []message{
		{"large", "binary", [][]byte{random}},
		{"large text", "text", [][]byte{compressible()}},
		{"large fragments", "binary", [][]byte{random[:large/2], random[large/2:]}},
	}
}

func everyByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func compressible() []byte {
	return []byte(strings.Repeat("All work and no play makes Jack a dull boy. ", large/44))
}

// TestMessages sends each message in both directions.
func TestMessages(t *testing.T) {
	eachPair(t, func(t *testing.T, client, server implementation) {
		c, s := connect(t, client, server, options{}, options{})
		if c.open.Extensions != "" || c.open.Subprotocol != "" {
			t.Errorf("negotiated extensions %q and subprotocol %q, want none", c.open.Extensions, c.open.Subprotocol)
		}
		exchange(t, c, s, messages())
		exchange(t, c, s, largeMessages())
		finish(t, c, s)
	})
}

// exchange sends each message up and back down.
func exchange(t *testing.T, client, server end, messages []message) {
	t.Helper()
	for _, m := range messages {
		whole := join(m)
		client.send(m.kind, m.parts...)
		awaitMessage(t, "server, "+m.name, server, m.kind, whole)
		server.send(m.kind, m.parts...)
		awaitMessage(t, "client, "+m.name, client, m.kind, whole)
	}
}

// finish closes the connection and so proves that nothing else was said on it.
func finish(t *testing.T, client, server end) {
	t.Helper()
	client.close(1000, "")
	awaitClose(t, "server", server, 1000, "")
	awaitClose(t, "client", client, 1000, "")
}

// TestBurst sends many messages in both directions at once.
func TestBurst(t *testing.T) {
	const burst = 500
	eachPair(t, func(t *testing.T, client, server implementation) {
		c, s := connect(t, client, server, options{Deflate: &deflate{Takeover: true}}, options{Deflate: &deflate{Takeover: true}})
		for i := range burst {
			c.send("text", fmt.Appendf(nil, "up %d", i))
			s.send("text", fmt.Appendf(nil, "down %d", i))
		}
		for i := range burst {
			awaitMessage(t, "server", s, "text", fmt.Appendf(nil, "up %d", i))
			awaitMessage(t, "client", c, "text", fmt.Appendf(nil, "down %d", i))
		}
		finish(t, c, s)
	})
}

// TestPing: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response" (RFC 6455 5.5.2), and its
// application data is the ping's (5.5.3).
func TestPing(t *testing.T) {
	eachPair(t, func(t *testing.T, client, server implementation) {
		c, s := connect(t, client, server, options{}, options{})
		for who, e := range map[string]end{"client": c.end, "server": s.end} {
			if p, ok := e.(pinger); ok {
				p.ping()
				await(t, who, e, "pong")
			}
		}
		finish(t, c, s)
	})
}

// TestClose starts the closing handshake at either end. The other one learns the code and the reason, and "typically
// echos the status code it received" (RFC 6455 5.5.1); some echo the reason too.
func TestClose(t *testing.T) {
	tests := []struct {
		code   int
		reason string
	}{
		{1000, ""},
		{1001, "going away"},
		{3000, "of a library"},
		{4999, "잘 가 👋"},
		{4000, strings.Repeat("r", 123)}, // the longest reason, 5.5
	}
	eachPair(t, func(t *testing.T, client, server implementation) {
		for _, test := range tests {
			for _, closer := range []string{"client", "server"} {
				t.Run(fmt.Sprintf("%s %d %.12q", closer, test.code, test.reason), func(t *testing.T) {
					c, s := connect(t, client, server, options{}, options{})
					from, to := c, s
					if closer == "server" {
						from, to = s, c
					}
					from.close(test.code, test.reason)
					awaitClose(t, "the other end", to, test.code, test.reason)
					if ev := await(t, closer, from, "close"); ev.Code != test.code {
						t.Errorf("%s: closed with %d, want %d", closer, ev.Code, test.code)
					}
				})
			}
		}
	})
}

// TestSubprotocol: the server takes one of those that the client offered, or none (RFC 6455 4.2.2).
func TestSubprotocol(t *testing.T) {
	tests := []struct {
		client, server []string
		want           string
	}{
		{[]string{"chat.v1"}, []string{"chat.v1"}, "chat.v1"},
		{[]string{"chat.v3", "chat.v1"}, []string{"chat.v2", "chat.v1"}, "chat.v1"},
		{nil, []string{"chat.v1"}, ""},
	}
	eachPair(t, func(t *testing.T, client, server implementation) {
		for _, test := range tests {
			t.Run(fmt.Sprint(test.client, test.server), func(t *testing.T) {
				c, s := connect(t, client, server, options{Subprotocols: test.client}, options{Subprotocols: test.server})
				if c.open.Subprotocol != test.want || s.open.Subprotocol != test.want {
					t.Errorf("client %q, server %q, want %q", c.open.Subprotocol, s.open.Subprotocol, test.want)
				}
				finish(t, c, s)
			})
		}
	})
}

// TestTLS runs the messages over wss.
func TestTLS(t *testing.T) {
	files := newCertificate(t)
	eachPair(t, func(t *testing.T, client, server implementation) {
		c, s := connect(t, client, server, options{CA: files.cert}, options{Cert: files.cert, Key: files.key})
		exchange(t, c, s, messages())
		exchange(t, c, s, largeMessages())
		finish(t, c, s)
	})
}
