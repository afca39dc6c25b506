package handshake

import (
	"net/http"
	"strings"
	"testing"
)

func TestAppendResponse(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	tests := []struct {
		name, subprotocol, extensions string
		header                        http.Header
		want                          string // after the headers that are always there; empty: an error
	}{
		{"plain", "", "", nil, "\r\n"},
		{"subprotocol", "chat", "", nil, "Sec-WebSocket-Protocol: chat\r\n\r\n"},
		{"extensions", "", pmd, nil, "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"},
		{"headers", "chat", pmd, http.Header{"Set-Cookie": {"a=b", "c=\u00e9\t"}},
			"Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSet-Cookie: a=b\r\nSet-Cookie: c=\u00e9\t\r\n\r\n"},
		{"CR LF in the subprotocol", "chat\r\nSet-Cookie: x", "", nil, ""},
		{"list as the subprotocol", "a, b", "", nil, ""},
		{"CR LF in a value", "", "", http.Header{"X": {"a\r\nSet-Cookie: x"}}, ""},
		{"CR LF in a name", "", "", http.Header{"X: a\r\nY": {"b"}}, ""},
		{"a header of the handshake", "", "", http.Header{"Sec-WebSocket-Accept": {"x"}}, ""},
		{"a header of the framing", "", "", http.Header{"Content-Length": {"5"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendResponse([]byte("before:"), key, tt.subprotocol, tt.extensions, tt.header)
			if tt.want == "" {
				if err == nil {
					t.Errorf("no error: %q", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := "before:" + upgradeResponse + tt.want
			if len(got) != len(want) || !strings.HasPrefix(string(got), "before:HTTP/1.1 101 ") || !strings.HasSuffix(string(got), tt.want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}
