package handshake

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestSelectSubprotocol(t *testing.T) {
	many := make([]string, maxSubprotocols)
	for i := range many {
		many[i] = fmt.Sprint("p", i)
	}
	tests := []struct {
		name      string
		offered   []string
		supported string
		want      string
		status    int
	}{
		{"none offered", nil, "a b", "", 0},
		{"none supported", []string{"a, b"}, "", "", 0},
		{"none in common", []string{"a, b"}, "c d", "", 0},
		{"the server prefers", []string{"a, b, c"}, "c b", "c", 0},
		{"several lines", []string{"a", "b"}, "b", "b", 0},
		{"white space", []string{" \ta\t ,\tb"}, "b", "b", 0},
		{"empty elements", []string{",, a,,b ,", "", " , "}, "b", "b", 0},
		{"case matters", []string{"Chat"}, "chat", "", 0},
		{"differing in case only", []string{"chat, Chat"}, "Chat", "Chat", 0},
		{"every token character", []string{"!#$%&'*+-.^_`|~09azAZ"}, "!#$%&'*+-.^_`|~09azAZ", "!#$%&'*+-.^_`|~09azAZ", 0},
		{"64", []string{strings.Join(many, ",")}, "p63", "p63", 0},

		// RFC 6455 4.1: elements MUST be non-empty tokens and MUST all be unique.
		{"empty", []string{""}, "a", "", 400},
		{"only commas", []string{" , ,", ","}, "a", "", 400},
		{"twice", []string{"a, b, a"}, "b", "", 400},
		{"twice on two lines", []string{"a", "a"}, "b", "", 400},
		{"malformed though nothing is supported", []string{"a b"}, "", "", 400},
		{"a space inside", []string{"a b"}, "a", "", 400},
		{"quoted", []string{`"a"`}, "a", "", 400},
		{"a parameter", []string{"a;b"}, "a", "", 400},
		{"a slash", []string{"a/b"}, "a/b", "", 400},
		{"non-ASCII", []string{"caf\u00e9"}, "a", "", 400},
		{"CR LF", []string{"a\r\nSet-Cookie: x"}, "a\r\nSet-Cookie: x", "", 400},
		{"NUL", []string{"a\x00"}, "a\x00", "", 400},
		{"65", []string{strings.Join(many, ","), "x"}, "p63", "", 431},
		{"64 KB", []string{strings.Repeat("a,", 32<<10)}, "a", "", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			if tt.offered != nil {
				h["Sec-Websocket-Protocol"] = tt.offered
			}
			supported := strings.Split(tt.supported, " ")
			if strings.ContainsAny(tt.supported, "\r\x00/") {
				supported = []string{tt.supported}
			}
			got, err := SelectSubprotocol(h, supported)
			wantStatus(t, err, tt.status, "Sec-WebSocket-Protocol header")
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestValidateSubprotocols(t *testing.T) {
	if err := ValidateSubprotocols([]string{"a", "A", "v1.json"}); err != nil {
		t.Error(err)
	}
	for _, names := range [][]string{{""}, {"a b"}, {"a,b"}, {"a", "a"}, {"a\r\nb"}, {"\u00e9"}} {
		if ValidateSubprotocols(names) == nil {
			t.Errorf("%q is valid", names)
		}
	}
}
