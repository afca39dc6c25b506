package ws_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"baro.dev/ws"
)

// A responseRow is a sentence about what a client has to make of a server's response.
type responseRow struct {
	section  string
	says     string
	o        ws.DialOptions
	response string // but for the empty line, with %s for the right Sec-WebSocket-Accept
	refused  bool
	protocol string
}

// response is a good response, changed as by request.
func response(changes ...string) string {
	lines := []string{"HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: %s"}
	for _, change := range changes {
		if line, ok := strings.CutPrefix(change, "+"); ok {
			lines = append(lines, line)
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(change, "-"), ":")
		for i := range lines {
			if strings.HasPrefix(lines[i], name+":") || i == 0 && strings.HasPrefix(change, "HTTP/") {
				lines[i] = change
				if change[0] == '-' {
					lines = append(lines[:i], lines[i+1:]...)
				}
				break
			}
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

func responseRows() []responseRow {
	speaks := ws.DialOptions{Subprotocols: []string{"chat.v2", "chat.v1"}}
	all := []responseRow{
		{section: "4.1", says: "the handshake of the RFC", response: response()},
		{section: "4.1", says: "the reason phrase is anybody's", response: response("HTTP/1.1 101 Web Socket Protocol Handshake")},
		{section: "4.1", says: "other headers are the application's", response: response("+Set-Cookie: a=b", "+Server: x", "+Date: Sun, 06 Nov 1994 08:49:37 GMT")},
		{section: "4.1", says: "an Upgrade header that is an ASCII case-insensitive match for websocket", response: response("Upgrade: WebSocket")},
		{section: "4.1", says: "a Connection header with a token that is an ASCII case-insensitive match for Upgrade", response: response("Connection: keep-alive, UPGRADE")},
		{section: "4.1", says: "ignoring any leading and trailing white space of the accept value", response: response("Sec-WebSocket-Accept: \t %s  ")},
		{section: "4.1", says: "header names are case-insensitive", response: "HTTP/1.1 101 x\r\nupgrade: websocket\r\nCONNECTION: Upgrade\r\nsec-websocket-accept: %s\r\n"},
		{section: "4.1", says: "interim responses come before the answer", response: "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + response()},
		{section: "4.1", says: "a 101 has no body, whatever it says", response: response("+Content-Length: 5")},

		{section: "4.1", says: "a status code that is not 101: 200", response: response("HTTP/1.1 200 OK", "+Content-Length: 0"), refused: true},
		{section: "4.1", says: "a status code that is not 101: 400", response: response("HTTP/1.1 400 Bad Request", "+Content-Length: 0"), refused: true},
		{section: "4.1", says: "a status code that is not 101: 401", response: response("HTTP/1.1 401 Unauthorized", "+WWW-Authenticate: Basic", "+Content-Length: 0"), refused: true},
		{section: "4.1", says: "a status code that is not 101: 426", response: response("HTTP/1.1 426 Upgrade Required", "+Sec-WebSocket-Version: 25", "+Content-Length: 0"), refused: true},
		{section: "4.1", says: "a status code that is not 101: a redirect to nowhere", response: response("HTTP/1.1 302 Found", "+Content-Length: 0"), refused: true},
		{section: "4.1", says: "a status code that is not 101: 1010", response: response("HTTP/1.1 1010 What"), refused: true},
		{section: "4.1", says: "HTTP/1.1 or higher", response: response("HTTP/1.0 101 Switching Protocols"), refused: true},
		{section: "4.1", says: "what is no HTTP at all", response: "SSH-2.0-x\r\n", refused: true},
		{section: "4.1", says: "lacks an Upgrade header", response: response("-Upgrade"), refused: true},
		{section: "4.1", says: "an Upgrade header that is not websocket", response: response("Upgrade: h2c"), refused: true},
		{section: "4.1", says: "an Upgrade header that is not websocket alone", response: response("Upgrade: websocket, h2c"), refused: true},
		{section: "4.1", says: "lacks a Connection header", response: response("-Connection"), refused: true},
		{section: "4.1", says: "a Connection header without Upgrade", response: response("Connection: keep-alive"), refused: true},
		{section: "4.1", says: "lacks a Sec-WebSocket-Accept header", response: response("-Sec-WebSocket-Accept"), refused: true},
		{section: "4.1", says: "a Sec-WebSocket-Accept that is of another key", response: response("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), refused: true},
		{section: "4.1", says: "an empty Sec-WebSocket-Accept", response: response("Sec-WebSocket-Accept:"), refused: true},
		{section: "11.3.3", says: "Sec-WebSocket-Accept MUST NOT appear more than once", response: response("+Sec-WebSocket-Accept: %[1]s"), refused: true},

		{section: "4.1", says: "a subprotocol that was not present in the client's handshake", response: response("+Sec-WebSocket-Protocol: chat"), refused: true},
		{section: "4.1", says: "a subprotocol that was not present in the client's handshake: another", o: speaks, response: response("+Sec-WebSocket-Protocol: chat.v3"), refused: true},
		{section: "4.1", says: "a subprotocol that was not present in the client's handshake: two", o: speaks, response: response("+Sec-WebSocket-Protocol: chat.v1, chat.v2"), refused: true},
		{section: "11.3.4", says: "Sec-WebSocket-Protocol MUST NOT appear more than once in a response", o: speaks, response: response("+Sec-WebSocket-Protocol: chat.v1", "+Sec-WebSocket-Protocol: chat.v2"), refused: true},
		{section: "4.1", says: "the subprotocol that the server chose", o: speaks, response: response("+Sec-WebSocket-Protocol: chat.v1"), protocol: "chat.v1"},
		{section: "4.1", says: "no subprotocol that the server speaks", o: speaks, response: response()},

		{section: "4.1", says: "an extension that was not present in the client's handshake", response: response("+Sec-WebSocket-Extensions: permessage-deflate"), refused: true},
		{section: "4.1", says: "an extension that was not present in the client's handshake: unknown", response: response("+Sec-WebSocket-Extensions: foo"), refused: true},
	}
	return append(all, answerRows()...)
}

// answerRows are RFC 6455 9.1 and RFC 7692 5.1 and 7.1, for a client.
func answerRows() []responseRow {
	on := ws.DialOptions{Compression: ws.Compression{Enabled: true, ContextTakeover: true, WindowBits: 15, PeerWindowBits: 15}}
	fresh := ws.DialOptions{Compression: ws.Compression{Enabled: true}}
	small := ws.DialOptions{Compression: ws.Compression{Enabled: true, ContextTakeover: true, WindowBits: 10, PeerWindowBits: 11}}
	const bad = "a client MUST fail the connection if the server accepted with "
	var all []responseRow
	add := func(section, says string, o ws.DialOptions, answer string, refused bool) {
		all = append(all, responseRow{section: section, says: says, o: o, response: response("+Sec-WebSocket-Extensions: " + answer), refused: refused})
	}
	all = append(all, responseRow{section: "7692 5.1", says: "a server need not agree", o: on, response: response()})
	add("7692 5.1", "an extension that was offered", on, "permessage-deflate", false)
	add("7692 5.1", "several times the same", on, "permessage-deflate, permessage-deflate", true)
	add("4.1", "an extension that was not present, beside one that was", on, "permessage-deflate, foo", true)
	add("4.1", "an extension that was not present, by its old name", on, "x-webkit-deflate-frame", true)
	add("7692 7", bad+"a parameter not defined", on, "permessage-deflate; foo", true)
	add("7692 7", bad+"an invalid value: 7 bits", on, "permessage-deflate; server_max_window_bits=7", true)
	add("7692 7", bad+"an invalid value: 16 bits", on, "permessage-deflate; client_max_window_bits=16", true)
	add("7692 7", bad+"an invalid value: no number", on, "permessage-deflate; client_max_window_bits=abc", true)
	add("7692 7", bad+"an invalid value: a flag with one", on, "permessage-deflate; server_no_context_takeover=true", true)
	add("7692 7", bad+"the same parameter twice", on, "permessage-deflate; server_no_context_takeover; server_no_context_takeover", true)
	add("7692 7.1.2.2", bad+"client_max_window_bits without a value", on, "permessage-deflate; client_max_window_bits", true)
	add("7692 7.1.2.1", bad+"server_max_window_bits without a value", on, "permessage-deflate; server_max_window_bits", true)
	add("7692 7.1.1.1", "a server may say server_no_context_takeover unasked", on, "permessage-deflate; server_no_context_takeover", false)
	add("7692 7.1.1.1", "a server that was asked for server_no_context_takeover MUST say so", fresh, "permessage-deflate", true)
	add("7692 7.1.1.1", "a server that was asked for server_no_context_takeover says so", fresh, "permessage-deflate; server_no_context_takeover", false)
	add("7692 7.1.1.2", "a server may say client_no_context_takeover", on, "permessage-deflate; client_no_context_takeover", false)
	add("7692 7.1.2.1", "a server_max_window_bits as small as was asked", small, "permessage-deflate; server_max_window_bits=11; client_max_window_bits=10", false)
	add("7692 7.1.2.1", "a server_max_window_bits smaller than was asked", small, "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8", false)
	add("7692 7.1.2.1", bad+"a server_max_window_bits larger than was asked", small, "permessage-deflate; server_max_window_bits=12", true)
	add("7692 7.1.2.1", bad+"no server_max_window_bits, which was asked for", small, "permessage-deflate", true)
	add("7692 7.1.2.2", bad+"a client_max_window_bits larger than was offered", small, "permessage-deflate; server_max_window_bits=11; client_max_window_bits=15", true)
	for name, answer := range map[string]string{"no name": "; a=b", "an open quote": "permessage-deflate; server_max_window_bits=\"9", "no parameter": "permessage-deflate;", "two names": "permessage-deflate deflate", "nothing": ""} {
		add("9.1", "a value that does not conform to the ABNF: "+name, on, answer, true)
	}
	return all
}

func TestConformanceResponses(t *testing.T) {
	all := responseRows()
	for _, d := range []delivery{whole, bytewise} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			for _, r := range all {
				if err := r.try(t, d); err != nil {
					t.Errorf("RFC %s: %s\n%q, %s: %v", rfc(r.section), r.says, r.response, d, err)
				}
			}
		})
	}
	t.Logf("%d rows", len(all))
}

func (r responseRow) try(t *testing.T, d delivery) error {
	p, dialed := dialTest(t, "ws://server.example.com/chat?room=1", r.o)
	defer p.Close()
	req, err := http.ReadRequest(p.r)
	if err != nil {
		return err
	}
	if err := checkRequest(req); err != nil {
		return err
	}
	b := fmt.Sprintf(r.response, acceptFor(req.Header.Get("Sec-WebSocket-Key")))
	if !strings.Contains(r.response, "%") {
		b = r.response
	}
	go p.deliver(append([]byte(b+"\r\n"), wireBytes(false, textFrame("early"), closeFrame(1000, ""))...), d, 0)
	result := <-dialed
	if r.refused {
		if result.err == nil {
			result.c.CloseNow()
			return errors.New("accepted")
		}
		// RFC 6455 4.1: it MUST fail the connection, and send nothing over it.
		if rest, err := io.ReadAll(p.r); len(rest) > 0 || err != nil {
			return fmt.Errorf("%q, %v after a response that is refused", rest, err)
		}
		if _, ok := errors.AsType[*ws.HandshakeError](result.err); !ok && strings.HasPrefix(r.response, "HTTP/1.1 101 ") {
			return fmt.Errorf("error %v is no HandshakeError", result.err)
		}
		return nil
	}
	if result.err != nil {
		return result.err
	}
	defer result.c.CloseNow()
	if result.resp == nil || result.resp.StatusCode != http.StatusSwitchingProtocols || result.c.Subprotocol() != r.protocol {
		return fmt.Errorf("response %v, subprotocol %q, want %q", result.resp, result.c.Subprotocol(), r.protocol)
	}
	if m, err := result.c.Read(t.Context()); err != nil || m.String() != "early" {
		return fmt.Errorf("%q, %w", m, err)
	}
	return nil
}

type dialResult struct {
	c    *ws.Conn
	resp *http.Response
	err  error
}

// dialTest dials to the test, which is the server.
func dialTest(t *testing.T, url string, o ws.DialOptions) (*peer, <-chan dialResult) {
	t.Helper()
	near, far := connPair(t, "pipe")
	o.DialContext = func(context.Context, string, string) (net.Conn, error) { return near, nil }
	o.Proxy = noProxy
	dialed := make(chan dialResult, 1)
	go func() {
		c, resp, err := ws.Dial(t.Context(), url, &o)
		dialed <- dialResult{c, resp, err}
	}()
	return rawPeer(far, true), dialed
}

// checkRequest holds a client's request to RFC 6455 4.1, 2 to 11.
func checkRequest(r *http.Request) error {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case err != nil || len(key) != 16 || len(r.Header["Sec-Websocket-Key"]) != 1:
		return fmt.Errorf("key %q", r.Header["Sec-Websocket-Key"])
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1):
		return fmt.Errorf("%s %s, not GET over HTTP/1.1", r.Method, r.Proto)
	case r.Host != "server.example.com" || r.RequestURI != "/chat?room=1":
		return fmt.Errorf("host %q, resource %q", r.Host, r.RequestURI)
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || !strings.EqualFold(r.Header.Get("Connection"), "upgrade"):
		return fmt.Errorf("headers %v", r.Header)
	case len(r.Header["Sec-Websocket-Version"]) != 1 || r.Header.Get("Sec-WebSocket-Version") != "13":
		return fmt.Errorf("version %q", r.Header["Sec-Websocket-Version"])
	case r.ContentLength != 0:
		return fmt.Errorf("a body of %d bytes", r.ContentLength)
	case r.Header.Get("Origin") != "":
		return fmt.Errorf("origin %q of what is no browser", r.Header.Get("Origin"))
	}
	return nil
}

// RFC 6455 4.1: the nonce MUST be selected randomly for each connection.
func TestConformanceKeys(t *testing.T) {
	seen := make(map[string]bool)
	for range 50 {
		p, dialed := dialTest(t, "ws://server.example.com/", ws.DialOptions{})
		req, err := http.ReadRequest(p.r)
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		if err := (<-dialed).err; err == nil {
			t.Error("dialled without a response")
		}
		key := req.Header.Get("Sec-WebSocket-Key")
		if seen[key] {
			t.Fatalf("key %q twice", key)
		}
		seen[key] = true
	}
}

// RFC 6455 3 and 4.1: what of a URL reaches the server.
func TestConformanceURIs(t *testing.T) {
	for _, test := range []struct {
		url, addr, host, resource string
	}{
		{"ws://h", "h:80", "h", "/"},
		{"ws://h/", "h:80", "h", "/"},
		{"ws://h:80/", "h:80", "h", "/"},
		{"ws://h:8080/a/b", "h:8080", "h:8080", "/a/b"},
		{"ws://h?q=1", "h:80", "h", "/?q=1"},
		{"ws://h/a?q=1&r=%20", "h:80", "h", "/a?q=1&r=%20"},
		{"ws://h/%2f%25", "h:80", "h", "/%2f%25"},
		{"WS://h/", "h:80", "h", "/"},
		{"ws://[::1]:9/", "[::1]:9", "[::1]:9", "/"},
		{"http://h/x", "h:80", "h", "/x"},
		{"ws://h/#fragment", "", "", ""}, // MUST NOT be used
		{"ftp://h/", "", "", ""},
		{"ws:///x", "", "", ""},
		{"/x", "", "", ""},
		{"ws://h:99999/", "", "", ""},
	} {
		var addr string
		near, far := net.Pipe()
		o := &ws.DialOptions{Proxy: noProxy, DialContext: func(_ context.Context, _, a string) (net.Conn, error) {
			addr = a
			return near, nil
		}}
		failed := make(chan error, 1)
		go func() {
			_, _, err := ws.Dial(t.Context(), test.url, o)
			near.Close()
			failed <- err
		}()
		req, err := http.ReadRequest(rawPeer(far, true).r)
		far.Close()
		dialErr := <-failed
		switch {
		case test.addr == "":
			if err == nil || addr != "" || dialErr == nil {
				t.Errorf("%s: dialled %s, %v", test.url, addr, dialErr)
			}
		case err != nil:
			t.Errorf("%s: %v, %v", test.url, err, dialErr)
		case addr != test.addr || req.Host != test.host || req.RequestURI != test.resource:
			t.Errorf("%s: dialled %s, host %s, resource %s", test.url, addr, req.Host, req.RequestURI)
		}
	}
}
