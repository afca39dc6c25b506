package ws_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"baro.dev/ws"
)

// A requestRow is a sentence about what a server has to make of a client's request.
type requestRow struct {
	section string
	says    string
	o       ws.AcceptOptions
	request string            // but for the empty line
	status  int               // 101 if 0
	header  map[string]string // of the response; "-" for one that must not be there
}

// request is a good request with lines replaced ("Name: value"), removed ("-Name") or added ("+Name: value").
func request(changes ...string) string {
	lines := []string{
		"GET /chat?room=1 HTTP/1.1", "Host: server.example.com", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: " + testKey, "Sec-WebSocket-Version: 13",
	}
	for _, change := range changes {
		if line, ok := strings.CutPrefix(change, "+"); ok {
			lines = append(lines, line)
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(change, "-"), ":")
		for i := range lines {
			if strings.HasPrefix(lines[i], name+":") || i == 0 && !strings.Contains(change, ":") && change[0] != '-' {
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

func requestRows() []requestRow {
	all := []requestRow{
		{section: "1.3", says: "the handshake of the RFC", request: request("+Origin: http://server.example.com"), header: map[string]string{
			"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol": "-", "Sec-WebSocket-Extensions": "-"}},
		{section: "4.2.1", says: "an HTTP/1.1 or higher GET request: POST", request: request("POST / HTTP/1.1"), status: 405, header: map[string]string{"Allow": "GET"}},
		{section: "4.2.1", says: "an HTTP/1.1 or higher GET request: HEAD", request: request("HEAD / HTTP/1.1"), status: 405},
		{section: "4.2.1", says: "an HTTP/1.1 or higher GET request: OPTIONS", request: request("OPTIONS / HTTP/1.1"), status: 405},
		{section: "4.2.1", says: "an HTTP/1.1 or higher GET request: HTTP/1.0", request: request("GET / HTTP/1.0"), status: 400},
		{section: "4.2.1", says: "a Host header: absent", request: request("-Host"), status: 400},
		{section: "4.2.1", says: "a Host header: empty", request: request("Host:"), status: 400},
		{section: "4.2.1", says: "an Upgrade header containing websocket: absent", request: request("-Upgrade"), status: 426, header: map[string]string{"Upgrade": "websocket"}},
		{section: "4.2.1", says: "an Upgrade header containing websocket: something else", request: request("Upgrade: h2c"), status: 426},
		{section: "4.2.1", says: "an Upgrade header containing websocket: something longer", request: request("Upgrade: websocket2"), status: 426},
		{section: "4.2.1", says: "an Upgrade header containing websocket, as an ASCII case-insensitive value", request: request("Upgrade: WebSocket")},
		{section: "4.2.1", says: "an Upgrade header containing websocket, among others", request: request("Upgrade: h2c, websocket")},
		{section: "4.2.1", says: "a Connection header that includes Upgrade: absent", request: request("-Connection"), status: 426},
		{section: "4.2.1", says: "a Connection header that includes Upgrade: something else", request: request("Connection: keep-alive"), status: 426},
		{section: "4.2.1", says: "a Connection header that includes Upgrade, as an ASCII case-insensitive value", request: request("Connection: upGRADE")},
		{section: "4.2.1", says: "a Connection header that includes Upgrade, as browsers send it", request: request("Connection: keep-alive, Upgrade")},
		{section: "4.2.1", says: "a Connection header that includes Upgrade, on a line of its own", request: request("Connection: keep-alive", "+Connection: Upgrade")},
		{section: "4.2.1", says: "a Sec-WebSocket-Version header with a value of 13: absent", request: request("-Sec-WebSocket-Version"), status: 426, header: map[string]string{"Sec-WebSocket-Version": "13"}},
		{section: "4.2.2", says: "a version that does not match: an appropriate HTTP error code (such as 426) and a Sec-WebSocket-Version header", request: request("Sec-WebSocket-Version: 8"), status: 426, header: map[string]string{"Sec-WebSocket-Version": "13"}},
		{section: "4.4", says: "the server MUST respond with the versions it is willing to use", request: request("Sec-WebSocket-Version: 25"), status: 426, header: map[string]string{"Sec-WebSocket-Version": "13", "Upgrade": "websocket"}},
		{section: "11.3.5", says: "Sec-WebSocket-Version MUST NOT appear more than once in a request", request: request("+Sec-WebSocket-Version: 8"), status: 426},
		{section: "4.1", says: "the value MUST be 13: not a list", request: request("Sec-WebSocket-Version: 13, 8"), status: 426},
		{section: "4.2.1", says: "a Sec-WebSocket-Key header: absent", request: request("-Sec-WebSocket-Key"), status: 400},
		{section: "11.3.1", says: "Sec-WebSocket-Key MUST NOT appear more than once", request: request("+Sec-WebSocket-Key: " + testKey), status: 400},
		{section: "4.2.2", says: "cookies and other headers are the application's", request: request("+Cookie: a=b", "+User-Agent: x", "+Authorization: Basic eDp5", "+Accept-Encoding: gzip")},
		{section: "4.2.2", says: "the header names are case-insensitive", request: strings.Replace(strings.ToLower(request()), "get /chat?room=1 http/1.1", "GET / HTTP/1.1", 1), status: 101,
			header: map[string]string{"Sec-WebSocket-Accept": acceptFor(strings.ToLower(testKey))}},
		{section: "4.2.1", says: "white space around values is none of theirs", request: request("Upgrade:   websocket  ", "Connection:Upgrade", "Sec-WebSocket-Version: \t13")},
		{section: "4.1", says: "a request has no body", request: request("+Content-Length: 5"), status: 400},
		{section: "4.1", says: "a request has no body, not in chunks either", request: request("+Transfer-Encoding: chunked"), status: 400},
		{section: "4.1", says: "an empty body is none", request: request("+Content-Length: 0")},
	}
	for name, key := range map[string]string{"empty": "", "15 bytes": "dGhlIHNhbXBsZSBub25j", "17 bytes": "dGhlIHNhbXBsZSBub25jZTE=", "32 bytes": testKey + testKey[:20], "not base64": "!!!!!!!!!!!!!!!!!!!!!!==", "without padding": testKey[:22], "of another alphabet": "-_hlIHNhbXBsZSBub25jZQ=="} {
		all = append(all, requestRow{section: "4.2.1", says: "a base64-encoded value that, when decoded, is 16 bytes in length: " + name, request: request("Sec-WebSocket-Key: " + key), status: 400})
	}
	all = append(all, subprotocolRows()...)
	all = append(all, originRows()...)
	return append(all, offerRows()...)
}

// subprotocolRows are RFC 6455 1.9, 4.2.2 and 11.3.4.
func subprotocolRows() []requestRow {
	speaks := ws.AcceptOptions{Subprotocols: []string{"chat.v2", "chat.v1"}}
	answer := func(p string) map[string]string { return map[string]string{"Sec-WebSocket-Protocol": p} }
	all := []requestRow{
		{section: "4.2.2", says: "a single value representing the subprotocol the server is ready to use", request: request("+Sec-WebSocket-Protocol: chat.v1"), header: answer("chat.v1")},
		{section: "4.2.2", says: "the server chooses one of the client's", request: request("+Sec-WebSocket-Protocol: x, chat.v1, chat.v2"), header: answer("chat.v2")},
		{section: "4.2.2", says: "the server chooses one, from several lines", request: request("+Sec-WebSocket-Protocol: x", "+Sec-WebSocket-Protocol: chat.v1"), header: answer("chat.v1")},
		{section: "4.2.2", says: "if it does not agree to any, it MUST NOT send a Sec-WebSocket-Protocol header", request: request("+Sec-WebSocket-Protocol: x, y"), header: answer("-")},
		{section: "4.2.2", says: "without a request for one there is none", request: request(), header: answer("-")},
		{section: "4.2.2", says: "the value chosen MUST be derived from the client's handshake: its case too", request: request("+Sec-WebSocket-Protocol: CHAT.V1"), header: answer("-")},
		{section: "4.1", says: "elements of a comma-separated list, with white space and empty ones", request: request("+Sec-WebSocket-Protocol: ,chat.v1 ,, x"), header: answer("chat.v1")},
		{section: "4.1", says: "elements MUST be unique strings", request: request("+Sec-WebSocket-Protocol: chat.v1, chat.v1"), status: 400},
		{section: "4.1", says: "elements MUST be non-empty strings with characters of a token", request: request("+Sec-WebSocket-Protocol: chat v1"), status: 400},
		{section: "4.1", says: "elements MUST be non-empty: none", request: request("+Sec-WebSocket-Protocol: "), status: 400},
		{section: "4.1", says: "elements MUST NOT contain separators", request: request("+Sec-WebSocket-Protocol: \"chat.v1\""), status: 400},
	}
	for i := range all {
		all[i].o = speaks
	}
	return all
}

// originRows are RFC 6455 4.2.2 and 10.2: an unacceptable origin is refused with 403.
func originRows() []requestRow {
	const refuse = "if the origin is not acceptable, the server MUST return an appropriate HTTP error code (403): "
	listed := ws.AcceptOptions{AllowedOrigins: []string{"https://good.com", "http://localhost:3000"}}
	return []requestRow{
		{section: "10.2", says: "a request without an origin does not come from a browser", request: request()},
		{section: "4.2.2", says: "the server's own origin", request: request("+Origin: http://server.example.com")},
		{section: "4.2.2", says: "the server's own origin, behind TLS", request: request("+Origin: https://server.example.com")},
		{section: "4.2.2", says: "the server's own origin, compared after lowercasing", request: request("+Origin: HTTP://Server.Example.COM")},
		{section: "4.2.2", says: refuse + "another host", request: request("+Origin: https://evil.com"), status: 403},
		{section: "4.2.2", says: refuse + "another port", request: request("+Origin: http://server.example.com:8080"), status: 403},
		{section: "4.2.2", says: refuse + "a subdomain", request: request("+Origin: http://a.server.example.com"), status: 403},
		{section: "4.2.2", says: refuse + "a longer name", request: request("+Origin: http://server.example.com.evil.com"), status: 403},
		{section: "4.2.2", says: refuse + "null", request: request("+Origin: null"), status: 403},
		{section: "4.2.2", says: refuse + "two of them", request: request("+Origin: http://server.example.com", "+Origin: http://evil.com"), status: 403},
		{section: "4.2.2", says: refuse + "no origin at all", request: request("+Origin: "), status: 403},
		{section: "4.2.2", says: "an origin that is listed", o: listed, request: request("+Origin: https://good.com")},
		{section: "4.2.2", says: "an origin that is listed, with its default port", o: listed, request: request("+Origin: https://good.com:443")},
		{section: "4.2.2", says: "an origin that is listed, with its port", o: listed, request: request("+Origin: http://localhost:3000")},
		{section: "4.2.2", says: refuse + "the scheme is not that listed", o: listed, request: request("+Origin: http://good.com"), status: 403},
		{section: "4.2.2", says: refuse + "the port is not that listed", o: listed, request: request("+Origin: http://localhost:3001"), status: 403},
		{section: "4.2.2", says: refuse + "the own one is not listed", o: listed, request: request("+Origin: http://server.example.com"), status: 403},
		{section: "4.2.2", says: "any origin, if all are allowed", o: ws.AcceptOptions{AllowedOrigins: []string{"*"}}, request: request("+Origin: https://evil.com")},
	}
}

// offerRows are RFC 6455 9.1 and RFC 7692 5.1 and 7.1, for a server.
func offerRows() []requestRow {
	on := ws.AcceptOptions{Compression: ws.Compression{Enabled: true, ContextTakeover: true, WindowBits: 15, PeerWindowBits: 15}}
	fresh := ws.AcceptOptions{Compression: ws.Compression{Enabled: true}}
	small := ws.AcceptOptions{Compression: ws.Compression{Enabled: true, ContextTakeover: true, WindowBits: 10, PeerWindowBits: 11}}
	const bad = "a server MUST decline an offer with "
	var all []requestRow
	add := func(section, says string, o ws.AcceptOptions, offer, answer string) {
		all = append(all, requestRow{section: section, says: says, o: o, request: request("+Sec-WebSocket-Extensions: " + offer), header: map[string]string{"Sec-WebSocket-Extensions": answer}})
	}
	add("9.1", "a server MUST NOT use an extension that it does not want", ws.AcceptOptions{}, "permessage-deflate", "-")
	add("9.1", "extensions not known are ignored", on, "x-webkit-deflate-frame, foo; bar=1", "-")
	add("7692 5.1", "an extension named permessage-deflate", on, "permessage-deflate", "permessage-deflate")
	add("7692 5", "the first acceptable of several offers", on, "foo, permessage-deflate; server_no_context_takeover, permessage-deflate", "permessage-deflate; server_no_context_takeover")
	add("7692 5", "an offer that cannot be accepted, and a fallback", on, "permessage-deflate; unknown, permessage-deflate", "permessage-deflate")
	add("7692 7", bad+"a parameter not defined", on, "permessage-deflate; unknown=1", "-")
	add("7692 7", bad+"a parameter with an invalid value: a flag", on, "permessage-deflate; server_no_context_takeover=1", "-")
	add("7692 7", bad+"a parameter with an invalid value: 7 bits", on, "permessage-deflate; server_max_window_bits=7", "-")
	add("7692 7", bad+"a parameter with an invalid value: 16 bits", on, "permessage-deflate; client_max_window_bits=16", "-")
	add("7692 7", bad+"a parameter with an invalid value: no number", on, "permessage-deflate; client_max_window_bits=abc", "-")
	add("7692 7.1.2.1", bad+"a value with leading zeros", on, "permessage-deflate; server_max_window_bits=010", "-")
	add("7692 7.1.2.1", bad+"server_max_window_bits without a value", on, "permessage-deflate; server_max_window_bits", "-")
	add("7692 7", bad+"several parameters of the same name", on, "permessage-deflate; client_max_window_bits; client_max_window_bits=10", "-")
	add("7692 7.1.1.1", "a server accepts an offer with server_no_context_takeover by including it", on, "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover")
	add("7692 7.1.1.1", "a server may include server_no_context_takeover even if it was not offered", fresh, "permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
	add("7692 7.1.1.2", "client_no_context_takeover is a hint that may be confirmed", on, "permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover")
	add("7692 7.1.2.1", "a server accepts an offer with server_max_window_bits by including one as small", on, "permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10")
	add("7692 7.1.2.1", "a server may choose a smaller server_max_window_bits", small, "permessage-deflate; server_max_window_bits=12; client_max_window_bits", "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11")
	add("7692 7.1.2.1", "the largest value is valid, and said again", on, "permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15")
	add("7692 7.1.2.1", "the smallest value is valid", on, "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8")
	add("7692 7.1.2.2", "client_max_window_bits may come without a value", on, "permessage-deflate; client_max_window_bits", "permessage-deflate")
	add("7692 7.1.2.2", "a server MUST NOT include client_max_window_bits if it was not offered", small, "permessage-deflate", "permessage-deflate; client_no_context_takeover; server_max_window_bits=10")
	add("7692 7.1.2.2", "a client_max_window_bits that binds the client", on, "permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits=9")
	add("9.1", "a value in quotes", on, "permessage-deflate; server_max_window_bits=\"9\"", "permessage-deflate; server_max_window_bits=9")
	add("9.1", "white space, empty elements", on, ", permessage-deflate  ;  server_no_context_takeover ,,", "permessage-deflate; server_no_context_takeover")
	for name, offer := range map[string]string{"no name": "; a=b", "two names": "permessage-deflate b", "an open quote": "permessage-deflate; a=\"b", "no value": "permessage-deflate; a=", "no parameter": "permessage-deflate;", "no token in the quotes": "permessage-deflate; a=\"b c\"", "nothing": ","} {
		all = append(all, requestRow{section: "9.1", says: "a value that does not conform to the ABNF MUST be refused: " + name, o: on, request: request("+Sec-WebSocket-Extensions: " + offer), status: 400})
	}
	return all
}

// frontDoors are the ways in which a server of ours gets its requests.
var frontDoors = map[string]func(t *testing.T, l net.Listener, o ws.AcceptOptions){
	"Accept": func(t *testing.T, l net.Listener, o ws.AcceptOptions) {
		s := &http.Server{Handler: echoes(o)["Conn"]}
		t.Cleanup(func() { s.Close() })
		go s.Serve(l)
	},
	"Server": func(t *testing.T, l net.Listener, o ws.AcceptOptions) {
		handler := echoes(o)["Server"].(*ws.Server)
		s := &http.Server{Handler: handler}
		t.Cleanup(func() {
			s.Close()
			handler.Close()
		})
		go s.Serve(l)
	},
	"Serve": func(t *testing.T, l net.Listener, o ws.AcceptOptions) {
		s := echoes(o)["Inline"].(*ws.Server)
		t.Cleanup(func() { s.Close() })
		go s.Serve(l)
	},
}

func TestConformanceRequests(t *testing.T) {
	all := requestRows()
	for door, serve := range frontDoors {
		for _, d := range []delivery{whole, bytewise} {
			t.Run(fmt.Sprintf("%s/%s", door, d), func(t *testing.T) {
				t.Parallel()
				for _, r := range all {
					l := &chanListener{conns: make(chan net.Conn), done: make(chan struct{})}
					serve(t, l, r.o)
					if err := r.try(t, l, d); err != nil {
						t.Errorf("RFC %s: %s\n%q, %s: %v", rfc(r.section), r.says, r.request, d, err)
					}
				}
			})
		}
	}
	t.Logf("%d rows", len(all))
}

func (r requestRow) try(t *testing.T, l *chanListener, d delivery) error {
	near, far := connPair(t, "pipe")
	defer far.Close()
	far.SetDeadline(time.Now().Add(patience))
	l.conns <- near
	p := rawPeer(far, false)
	// What follows a request that is refused must not be taken for another.
	follows := "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	accepted := r.status == 0 || r.status == http.StatusSwitchingProtocols
	if accepted {
		follows = string(wireBytes(true, textFrame("early"), closeFrame(1000, "")))
	}
	go p.deliver([]byte(r.request+"\r\n"+follows), d, 0)
	method, _, _ := strings.Cut(r.request, " ")
	response, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		return err
	}
	want := r.status
	if accepted {
		want = http.StatusSwitchingProtocols
	}
	if response.StatusCode != want {
		return fmt.Errorf("%s, want %d", response.Status, want)
	}
	for name, value := range r.header {
		if got := strings.Join(response.Header.Values(name), ", "); got != value && (value != "-" || response.Header.Values(name) != nil) {
			return fmt.Errorf("header %s: %q, want %q", name, got, value)
		}
	}
	if accepted {
		p.inflater = newPeerInflater(response.Header.Get("Sec-WebSocket-Extensions"), false)
		go p.collect()
		if err := p.expect(sawText("early")); err != nil {
			return err
		}
		return p.expect(sight{opClose, closePayload(1000, "")})
	}
	if !response.Close {
		return fmt.Errorf("a refusal that does not say that it closes the connection: %v", response.Header)
	}
	if body, err := io.ReadAll(response.Body); err != nil || method != "HEAD" && len(body) == 0 {
		return fmt.Errorf("body %q, %v", body, err)
	}
	if rest, err := io.ReadAll(p.r); len(rest) > 0 || err != nil {
		return fmt.Errorf("%q, %v behind a refusal", rest, err)
	}
	return nil
}
