package handshake

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

const upgradeResponse = "HTTP/1.1 101 Switching Protocols\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

func TestCheckResponse(t *testing.T) {
	const up = "Upgrade: websocket\r\n"
	const conn = "Connection: Upgrade\r\n"
	const accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	swap := func(old, repl string) string {
		if !strings.Contains(upgradeResponse, old) {
			t.Fatalf("%q is not in the response", old)
		}
		return strings.Replace(upgradeResponse, old, repl, 1)
	}
	offer := func() *Offer {
		return &Offer{Key: "dGhlIHNhbXBsZSBub25jZQ==", Subprotocols: []string{"chat", "superchat"}, Deflate: &DeflatePolicy{}}
	}
	tests := []struct {
		name, response string
		subprotocol    string
		status         int
		reason         string
	}{
		{"the RFC's example", upgradeResponse, "", 0, ""},
		{"with all its headers", upgradeResponse + "Sec-WebSocket-Protocol: chat\r\n", "chat", 0, ""},

		// RFC 6455 4.1 1: any other status than 101 is HTTP's business.
		{"200", swap("101 Switching Protocols", "200 OK"), "", 200, `"200 OK"`},
		{"redirect", swap("101 Switching Protocols", "302 Found"), "", 302, `"302 Found"`},
		{"426", "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 14\r\n", "", 426, `"14"`},
		{"426 without versions", "HTTP/1.1 426 Upgrade Required\r\n", "", 426, "426"},
		{"status with an escape sequence", "HTTP/1.1 500 \x1b[31mred\r\n", "", 500, `\x1b`},
		{"long status", "HTTP/1.1 500 " + strings.Repeat("x", 60000) + "\r\n", "", 500, "..."},
		{"HTTP/1.0", swap("HTTP/1.1", "HTTP/1.0"), "", 101, "HTTP/1.0"},
		{"HTTP/2.0", swap("HTTP/1.1", "HTTP/2.0"), "", 101, "HTTP/2.0"},

		// 2: Upgrade MUST be there and be "websocket" in any case.
		{"upgrade in other case", swap("websocket", "WebSocket"), "", 0, ""},
		{"no upgrade", swap(up, ""), "", 101, "Upgrade header: absent"},
		{"space before the colon", swap("Upgrade:", "Upgrade :"), "", 101, "Upgrade header: absent"},
		{"other upgrade", swap(up, "Upgrade: h2c\r\n"), "", 101, `"h2c"`},
		{"list of upgrades", swap(up, "Upgrade: h2c, websocket\r\n"), "", 101, "Upgrade header"},
		{"upgrade twice", swap(up, up+up), "", 101, "(2 lines)"},
		{"Kelvin sign for k", swap(up, "Upgrade: websoc\u212aet\r\n"), "", 101, "Upgrade header"},

		// 3: Connection MUST be there and hold the token "Upgrade" in any case.
		{"connection in other case", swap(conn, "Connection: UPGRADE\r\n"), "", 0, ""},
		{"connection among others", swap(conn, "Connection: keep-alive\r\nConnection: ,x, upgrade\r\n"), "", 0, ""},
		{"no connection", swap(conn, ""), "", 101, "Connection header: absent"},
		{"connection: keep-alive", swap(conn, "Connection: keep-alive\r\n"), "", 101, `"keep-alive"`},
		{"connection: close, upgrade", swap(conn, "Connection: close, Upgrade\r\n"), "", 101, "Connection header"},

		// 4: Sec-WebSocket-Accept MUST be the hash of the key, and once (11.3.3).
		{"no accept", swap(accept, ""), "", 101, "Accept header: absent"},
		{"empty accept", swap(accept, "Sec-WebSocket-Accept:\r\n"), "", 101, "does not answer"},
		{"accept twice", swap(accept, accept+accept), "", 101, "(2 lines)"},
		{"the key for an accept", swap("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "dGhlIHNhbXBsZSBub25jZQ=="), "", 101, "does not answer"},
		{"accept in other case", swap("s3pPLMBiTx", "S3PPLMBITX"), "", 101, "does not answer"},
		{"accept with more", swap("xOo=", "xOo=x"), "", 101, "does not answer"},

		// 5: an extension that was not offered MUST fail.
		{"deflate", upgradeResponse + "Sec-WebSocket-Extensions: permessage-deflate\r\n", "", 0, ""},
		{"unknown extension", upgradeResponse + "Sec-WebSocket-Extensions: mux\r\n", "", 101, `"mux" was not offered`},
		{"deflate and another", upgradeResponse + "Sec-WebSocket-Extensions: permessage-deflate, mux\r\n", "", 101, `"mux" was not offered`},
		{"deflate twice", upgradeResponse + "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate\r\n", "", 101, "twice"},
		{"deflate on two lines", upgradeResponse + strings.Repeat("Sec-WebSocket-Extensions: permessage-deflate\r\n", 2), "", 101, "twice"},
		{"empty extensions", upgradeResponse + "Sec-WebSocket-Extensions:\r\n", "", 101, "expected"},
		{"malformed extensions", upgradeResponse + "Sec-WebSocket-Extensions: permessage-deflate;\r\n", "", 101, "expected"},
		{"64 KB of extensions", upgradeResponse + "Sec-WebSocket-Extensions: x" + strings.Repeat(" ", 64<<10) + "x\r\n", "", 101, "4096"},

		// 6: a subprotocol that was not asked for MUST fail; 11.3.4: not more than once.
		{"second subprotocol", upgradeResponse + "Sec-WebSocket-Protocol: superchat\r\n", "superchat", 0, ""},
		{"unknown subprotocol", upgradeResponse + "Sec-WebSocket-Protocol: evil\r\n", "", 101, `"evil" was not asked for`},
		{"subprotocol in other case", upgradeResponse + "Sec-WebSocket-Protocol: Chat\r\n", "", 101, "was not asked for"},
		{"list of subprotocols", upgradeResponse + "Sec-WebSocket-Protocol: chat, superchat\r\n", "", 101, "was not asked for"},
		{"subprotocol twice", upgradeResponse + strings.Repeat("Sec-WebSocket-Protocol: chat\r\n", 2), "", 101, "(2 lines)"},
		{"empty subprotocol", upgradeResponse + "Sec-WebSocket-Protocol:\r\n", "", 101, "was not asked for"},

		// RFC 9110 15.2 and 8.6: a 101 has no content, whatever it says.
		{"content length", upgradeResponse + "Content-Length: 100\r\n", "", 0, ""},
		{"chunked", upgradeResponse + "Transfer-Encoding: chunked\r\n", "", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const frame = "\x81\x02hi"
			br := bufio.NewReader(strings.NewReader(tt.response + "\r\n" + frame))
			resp, err := ReadResponse(br, &http.Request{Method: "GET"}, 128<<10)
			if err != nil {
				if tt.status != 0 && strings.Contains(tt.response, "\x1b") { // net/http may refuse it itself
					return
				}
				t.Fatal(err)
			}
			subprotocol, agreed, err := offer().CheckResponse(resp)
			wantStatus(t, err, tt.status, tt.reason)
			if subprotocol != tt.subprotocol {
				t.Errorf("subprotocol %q, want %q", subprotocol, tt.subprotocol)
			}
			if (agreed != nil) != (tt.status == 0 && strings.Contains(tt.response, pmd)) {
				t.Errorf("agreed %+v", agreed)
			}
			if rest, _ := br.Peek(len(frame)); tt.status == 0 && string(rest) != frame {
				t.Errorf("left of the frames: %q", rest)
			}

			// What was not asked for at all.
			bare := offer()
			bare.Subprotocols, bare.Deflate = nil, nil
			if _, _, err := bare.CheckResponse(resp); err == nil && (subprotocol != "" || agreed != nil) {
				t.Error("accepted what was not offered")
			}
		})
	}
}

func TestCheckResponseDeflate(t *testing.T) {
	small := DeflatePolicy{MaxWindowBits: 9, PeerMaxWindowBits: 10}
	lean := DeflatePolicy{NoContextTakeover: true, PeerNoContextTakeover: true}
	tests := []struct {
		name, params string
		policy       DeflatePolicy
		agreed       *Deflate // nil: an error
	}{
		{"plain", "", DeflatePolicy{}, &Deflate{false, false, 15, 15}},
		{"unasked server_no_context_takeover", "; server_no_context_takeover", DeflatePolicy{}, &Deflate{true, false, 15, 15}},
		{"unasked server_max_window_bits", "; server_max_window_bits=8", DeflatePolicy{}, &Deflate{false, false, 8, 15}},
		{"explicit server_max_window_bits=15", "; server_max_window_bits=15", DeflatePolicy{}, &Deflate{false, false, 15, 15}},
		{"client_no_context_takeover", "; client_no_context_takeover", DeflatePolicy{}, &Deflate{false, true, 15, 15}},
		{"client_max_window_bits", `; client_max_window_bits="11"`, DeflatePolicy{}, &Deflate{false, false, 15, 11}},
		{"everything", "; client_max_window_bits=9; server_max_window_bits=9; server_no_context_takeover; client_no_context_takeover", lean, &Deflate{true, true, 9, 9}},

		// 7.1.1.1: what was asked has to be in the response.
		{"server_no_context_takeover not granted", "", lean, nil},
		{"our own reset need not be confirmed", "; server_no_context_takeover", lean, &Deflate{true, true, 15, 15}},

		// 7.1.2.1: the same or a smaller value.
		{"server_max_window_bits as asked", "; server_max_window_bits=10", small, &Deflate{false, false, 10, 9}},
		{"server_max_window_bits below", "; server_max_window_bits=8", small, &Deflate{false, false, 8, 9}},
		{"server_max_window_bits above", "; server_max_window_bits=11", small, nil},
		{"server_max_window_bits not granted", "", small, nil},
		{"server_max_window_bits overlooked", "; server_no_context_takeover", small, &Deflate{true, false, 15, 9}},
		{"server_max_window_bits above, and no context", "; server_no_context_takeover; server_max_window_bits=11", small, nil},

		// 7.1.2.2: with a value in a response, the same or smaller than offered.
		{"client_max_window_bits as offered", "; server_max_window_bits=10; client_max_window_bits=9", small, &Deflate{false, false, 10, 9}},
		{"client_max_window_bits below", "; server_max_window_bits=10; client_max_window_bits=8", small, &Deflate{false, false, 10, 8}},
		{"client_max_window_bits above", "; server_max_window_bits=10; client_max_window_bits=10", small, nil},
		{"client_max_window_bits without a value", "; client_max_window_bits", DeflatePolicy{}, nil},

		// 7: unknown, invalid or repeated parameters MUST fail.
		{"unknown", "; x", DeflatePolicy{}, nil},
		{"server_no_context_takeover twice", "; server_no_context_takeover; server_no_context_takeover", DeflatePolicy{}, nil},
		{"client_no_context_takeover with a value", "; client_no_context_takeover=1", DeflatePolicy{}, nil},
		{"server_max_window_bits without a value", "; server_max_window_bits", DeflatePolicy{}, nil},
		{"server_max_window_bits=7", "; server_max_window_bits=7", DeflatePolicy{}, nil},
		{"server_max_window_bits=16", "; server_max_window_bits=16", DeflatePolicy{}, nil},
		{"server_max_window_bits=08", "; server_max_window_bits=08", DeflatePolicy{}, nil},
		{"client_max_window_bits=abc", "; client_max_window_bits=abc", DeflatePolicy{}, nil},
		{"client_max_window_bits twice", "; client_max_window_bits=9; client_max_window_bits=9", DeflatePolicy{}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, version := range []int{1, 2, 3} {
				offer := Offer{HTTP: version, Key: "dGhlIHNhbXBsZSBub25jZQ==", Deflate: &tt.policy}
				resp := accepted(version)
				resp.Header.Set("Sec-WebSocket-Extensions", pmd+tt.params)
				_, agreed, err := offer.CheckResponse(resp)
				if tt.agreed == nil {
					wantStatus(t, err, resp.StatusCode, "Sec-WebSocket-Extensions header")
				} else if wantStatus(t, err, 0, ""); agreed == nil || *agreed != *tt.agreed {
					t.Errorf("agreed %+v, want %+v", agreed, tt.agreed)
				}
			}
		})
	}
}

// accepted is the answer that opens a WebSocket for the key of the RFC's example.
func accepted(version int) *http.Response {
	if version > 1 {
		return &http.Response{Proto: "HTTP/x", ProtoMajor: version, Status: "200 OK", StatusCode: 200, Header: http.Header{}}
	}
	return &http.Response{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Status: "101 Switching Protocols", StatusCode: 101,
		Header: http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}},
	}
}

func TestCheckResponseExtendedConnect(t *testing.T) {
	tests := []struct {
		name   string
		major  int // of the response
		status int
		ok     bool
	}{
		{"200", 2, 200, true},
		{"204", 2, 204, true}, // RFC 8441 5: a 2xx status
		{"101", 2, 101, false},
		{"400", 2, 400, false},
		{"501", 2, 501, false},
		{"other version", 1, 200, false},
	}
	for _, tt := range tests {
		offer := Offer{HTTP: 2}
		resp := &http.Response{ProtoMajor: tt.major, StatusCode: tt.status, Header: http.Header{}}
		if _, _, err := offer.CheckResponse(resp); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	// An answer over HTTP/2 does not do for a request over HTTP/1.
	offer := Offer{Key: NewKey()}
	if _, _, err := offer.CheckResponse(accepted(2)); err == nil {
		t.Error("HTTP/2 answered HTTP/1")
	}
}
