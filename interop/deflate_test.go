package interop

import (
	"strings"
	"testing"
)

// TestDeflate negotiates permessage-deflate (RFC 7692) with each of its parameters asked for by either end.
func TestDeflate(t *testing.T) {
	tests := []struct {
		name           string
		client, server *deflate
		want           bool // that it is used
	}{
		{"no context takeover", &deflate{}, &deflate{}, true},
		{"context takeover", &deflate{Takeover: true}, &deflate{Takeover: true}, true},
		{"context takeover refused by the client", &deflate{}, &deflate{Takeover: true}, true},
		{"context takeover refused by the server", &deflate{Takeover: true}, &deflate{}, true},
		{"windows of the client's choice", &deflate{Takeover: true, Bits: 9, PeerBits: 10}, &deflate{Takeover: true}, true},
		{"windows of the server's choice", &deflate{Takeover: true}, &deflate{Takeover: true, Bits: 10, PeerBits: 9}, true},
		{"small windows, no context takeover", &deflate{Bits: 9, PeerBits: 9}, &deflate{Bits: 9, PeerBits: 9}, true},
		{"large windows", &deflate{Takeover: true, Bits: 15, PeerBits: 15}, &deflate{Takeover: true, Bits: 15, PeerBits: 15}, true},
		{"not offered", nil, &deflate{Takeover: true}, false},
		{"not agreed to", &deflate{Takeover: true}, nil, false},
	}
	eachPair(t, func(t *testing.T, client, server implementation) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				c, s := connect(t, client, server, options{Deflate: test.client}, options{Deflate: test.server})
				if used := strings.HasPrefix(c.open.Extensions, "permessage-deflate"); used != test.want {
					t.Errorf("negotiated %q, want deflate: %v", c.open.Extensions, test.want)
				}
				exchange(t, c, s, messages())
				if p, ok := c.end.(pinger); ok {
					p.ping() // a control frame is not compressed, and stays out of the windows
					await(t, "client", c, "pong")
				}
				if test.want {
					shrinks(t, c, s)
				}
				finish(t, c, s)
			})
		}
	})
}

// shrinks fails t unless a message that can be compressed is, in both directions.
func shrinks(t *testing.T, c, s *opened) {
	t.Helper()
	const atMost = large / 10
	data := compressible()
	up, down := c.wire.up.Load(), c.wire.down.Load()
	c.send("text", data)
	awaitMessage(t, "server", s, "text", data)
	s.send("text", data)
	awaitMessage(t, "client", c, "text", data)
	if up = c.wire.up.Load() - up; up > atMost {
		t.Errorf("%d bytes of compressible text took %d on the way up", len(data), up)
	}
	if down = c.wire.down.Load() - down; down > atMost {
		t.Errorf("%d bytes of compressible text took %d on the way down", len(data), down)
	}
}
