package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"baro.dev/ws"
)

// A badResponse is what a hostile server answers with, of groups 2 to 7. %s is the right Sec-WebSocket-Accept.
type badResponse struct {
	item string
	raw  string
	ok   bool // it is odd but right
}

func badResponses() []badResponse {
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, "X-%d: 1\r\n", i)
	}
	const mb = 1 << 20
	good := response()
	var all []badResponse
	add := func(item, raw string) { all = append(all, badResponse{item: item, raw: raw}) }
	add("2 2000 headers", good+many.String()+"\r\n")
	add("2 one header of 1 MB", response("+X: "+strings.Repeat("x", mb))+"\r\n")
	add("2 a header that never ends", good+strings.Repeat("X: y\r\n", mb/5))
	add("2 a line that never ends", good+"X: "+strings.Repeat("x", 2*mb))
	add("2 a status line that never ends", "HTTP/1.1 101 "+strings.Repeat("x", 2*mb))
	add("2 a space before the colon of Upgrade", response("-Upgrade", "+Upgrade : websocket")+"\r\n")
	add("2 a header without a name", response("+: y")+"\r\n")
	add("2 a line without a colon", response("+x")+"\r\n")
	add("2 a folded Upgrade", response("Upgrade: web\r\n socket")+"\r\n")
	add("2 two upgrades", response("+Upgrade: websocket")+"\r\n")
	add("3 the accept value of another key", strings.Replace(good, "%s", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 1)+"\r\n")
	add("3 the accept value in another case", strings.Replace(good, "%s", "%S", 1)+"\r\n")
	add("3 the accept value, and more", strings.Replace(good, "%s", "%s, x", 1)+"\r\n")
	add("3 two accept values", response("+Sec-WebSocket-Accept: x")+"\r\n")
	add("3 the key itself", strings.Replace(good, "%s", testKey, 1)+"\r\n")
	add("4 HTTP/1.0", response("HTTP/1.0 101 Switching Protocols")+"\r\n")
	add("4 HTTP/2.0 in words", response("HTTP/2.0 101 Switching Protocols")+"\r\n")
	add("4 HTTP/0.9", "<html>\r\n\r\n")
	add("4 200", response("HTTP/1.1 200 OK", "+Content-Length: 2")+"\r\nhi")
	add("4 200 and 1 MB", response("HTTP/1.1 200 OK", fmt.Sprintf("+Content-Length: %d", mb))+"\r\n"+strings.Repeat("x", mb))
	add("4 204", response("HTTP/1.1 204 No Content")+"\r\n")
	add("4 304", response("HTTP/1.1 304 Not Modified")+"\r\n")
	add("4 upgraded to something else", response("Upgrade: h2c")+"\r\n")
	add("4 a TLS alert", "\x15\x03\x01\x00\x02\x02\x28\r\n\r\n")
	add("4 no HTTP at all", randomBytes(5000)+"\r\n\r\n")
	add("4 100 Continue, without end", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10_000)+good+"\r\n")
	add("4 early hints, without end", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 10_000)+good+"\r\n")
	add("5 an extension nobody asked for", response("+Sec-WebSocket-Extensions: permessage-deflate")+"\r\n")
	add("5 escapes without end", response("+Sec-WebSocket-Extensions: x; y=\""+strings.Repeat(`\c`, 2000))+"\r\n")
	add("5 10000 extensions", response("+Sec-WebSocket-Extensions: "+strings.Repeat("a,", 10_000))+"\r\n")
	add("5 a subprotocol nobody asked for", response("+Sec-WebSocket-Protocol: evil")+"\r\n")
	add("5 an empty subprotocol", response("+Sec-WebSocket-Protocol: ")+"\r\n")
	add("7 a status that is no number", response("HTTP/1.1 abc x")+"\r\n")
	add("7 a status of 99 digits", response("HTTP/1.1 "+strings.Repeat("9", 99)+" x")+"\r\n")
	add("7 a negative Content-Length", response("HTTP/1.1 400 x", "+Content-Length: -1")+"\r\n")
	add("7 a chunk of negative size", response("HTTP/1.1 400 x", "+Transfer-Encoding: chunked")+"\r\n-5\r\nhello\r\n")
	add("7 a chunk of 2^64 and more", response("HTTP/1.1 400 x", "+Transfer-Encoding: chunked")+"\r\nfffffffffffffffff\r\nhello\r\n")
	add("7 Content-Length and Transfer-Encoding", response("HTTP/1.1 400 x", "+Content-Length: 5", "+Transfer-Encoding: chunked")+"\r\n0\r\n\r\n")
	add("34 a redirect to a file", "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")
	add("34 a redirect to nothing", "HTTP/1.1 302 Found\r\nLocation: ://\r\nContent-Length: 0\r\n\r\n")
	add("34 a redirect of 1 MB", "HTTP/1.1 302 Found\r\nLocation: ws://"+strings.Repeat("x", mb)+"\r\nContent-Length: 0\r\n\r\n")
	add("34 a redirect with a line feed", "HTTP/1.1 302 Found\r\nLocation: ws://x/%0d%0aX: y\r\nContent-Length: 0\r\n\r\n")
	add("34 escapes for a terminal", "HTTP/1.1 400 \x1b[2J\x1b]0;evil\x07\r\nX: \x1b[31m\r\nContent-Length: 4\r\n\r\n\x1b[2J")
	return append(all,
		badResponse{item: "7 a 101 with a body", raw: response("+Content-Length: 5") + "\r\n", ok: true},
		badResponse{item: "7 a 101 in chunks", raw: response("+Transfer-Encoding: chunked") + "\r\n", ok: true},
		badResponse{item: "7 bare line feeds", raw: strings.ReplaceAll(good+"\r\n", "\r\n", "\n"), ok: true},
		badResponse{item: "4 some interim responses", raw: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 3) + good + "\r\n", ok: true})
}

func TestHostileResponses(t *testing.T) {
	all := badResponses()
	for _, r := range all {
		t.Run(r.item, func(t *testing.T) {
			noLeaks(t)
			if err := r.try(t); err != nil {
				t.Error(err)
			}
		})
	}
	t.Logf("%d items", len(all))
}

func (r badResponse) try(t *testing.T) error {
	p, dialed := dialTest(t, "ws://server.example.com/chat?room=1", ws.DialOptions{MaxRedirects: 3, Proxy: noProxy})
	defer p.Close()
	req, err := http.ReadRequest(p.r)
	if err != nil {
		return err
	}
	before := allocated()
	accept := acceptFor(req.Header.Get("Sec-WebSocket-Key"))
	raw := strings.NewReplacer("%s", accept, "%S", strings.ToUpper(accept)).Replace(r.raw)
	go p.Write(append([]byte(raw), wireBytes(false, textFrame("early"))...))
	result := <-dialed
	if spent := allocated() - before; spent > 4*megabyte+4*int64(len(raw)) {
		return fmt.Errorf("%.1f MB allocated", float64(spent)/megabyte)
	}
	if r.ok {
		if result.err != nil {
			return result.err
		}
		defer result.c.CloseNow()
		if m, err := result.c.Read(t.Context()); err != nil || m.String() != "early" {
			return fmt.Errorf("%q, %w", m, err)
		}
		return nil
	}
	if result.err == nil {
		result.c.CloseNow()
		return errors.New("accepted")
	}
	if text := result.err.Error(); len(text) > 1000 || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
		return fmt.Errorf("an error that is not fit for a terminal: %q", text)
	}
	if result.resp != nil {
		if body, err := io.ReadAll(result.resp.Body); err != nil || len(body) > 1<<10 {
			return fmt.Errorf("a body of %d bytes, %w", len(body), err)
		}
	}
	return nil
}

// A response that is cut off is an error wherever that is, by an end as by a reset (groups 4 and 17).
func TestHostileResponsesCut(t *testing.T) {
	noLeaks(t)
	whole := response() + "\r\n"
	for cut := range len(whole) {
		for _, reset := range []bool{false, true} {
			near, far := connPair(t, "tcp")
			dialed := make(chan error, 1)
			go func() {
				_, _, err := ws.Dial(t.Context(), "ws://x/", &ws.DialOptions{Proxy: noProxy,
					DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
				dialed <- err
			}()
			p := rawPeer(far, true)
			if _, err := http.ReadRequest(p.r); err != nil {
				t.Fatal(err)
			}
			p.Write([]byte(whole[:cut]))
			if reset {
				far.(*net.TCPConn).SetLinger(0)
			}
			far.Close()
			if err := <-dialed; err == nil {
				t.Errorf("cut at %d and accepted", cut)
			} else if !reset && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("cut at %d: %v", cut, err)
			}
		}
	}
}

// A server that redirects for ever is followed so far and no further, and never from TLS to none (group 34).
func TestHostileRedirects(t *testing.T) {
	noLeaks(t)
	var hops int
	dial := func(url string, o ws.DialOptions, location string) error {
		hops = 0
		o.Proxy = noProxy
		o.TLS = testTLS().client
		o.DialContext = func(context.Context, string, string) (net.Conn, error) {
			hops++
			near, far := net.Pipe()
			p := rawPeer(far, true)
			if strings.HasPrefix(url, "wss:") {
				p.secure(false)
			}
			go func() {
				defer far.Close()
				if _, err := http.ReadRequest(p.r); err == nil {
					fmt.Fprintf(p, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", location)
				}
			}()
			return near, nil
		}
		_, _, err := ws.Dial(t.Context(), url, &o)
		if err == nil {
			t.Error("connected to what only redirects")
		}
		return err
	}
	dial("ws://a/", ws.DialOptions{}, "ws://b/")
	if hops != 6 {
		t.Errorf("%d requests with five redirects", hops)
	}
	dial("ws://a/", ws.DialOptions{MaxRedirects: -1}, "/x")
	if hops != 1 {
		t.Errorf("%d requests without redirects", hops)
	}
	dial("wss://example.com/", ws.DialOptions{}, "ws://example.com/")
	if hops != 1 {
		t.Errorf("%d requests: followed from wss to ws", hops)
	}
}
