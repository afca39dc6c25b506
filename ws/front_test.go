package ws_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"baro.dev/ws"
)

// A request may come in any two pieces, with frames behind it in the second.
func TestFrontCut(t *testing.T) {
	noLeaks(t)
	h := openHouse(t, &ws.Server{OnMessage: echoBack, OnOpen: func(*ws.Socket, *http.Request) {}}, "unix", false)
	raw := append([]byte(with("X-Peer: cut")), wireBytes(true, textFrame("early"), textFrame(pattern('e', 20_000)))...)
	head := len(with("X-Peer: cut"))
	for at := 1; at < head+12; at++ {
		p := h.connect(t)
		p.stand.over = "unix"
		if err := p.sendPiece(raw[:at]); err != nil {
			t.Fatal(err)
		}
		p.sendBytes(raw[at:])
		if err := p.welcomed(); err != nil {
			t.Fatalf("cut at %d: %v", at, err)
		}
		go p.collect()
		for _, want := range sights(sawText("early"), sawText(pattern('e', 20_000))) {
			if err := p.expect(want); err != nil {
				t.Fatalf("cut at %d: %v", at, err)
			}
		}
		p.Close()
	}
}

// say answers with all that a handler can see of a request.
var say = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %q %v %d %v\n", r.Method, r.RequestURI, r.Proto, r.Host, r.Header, r.ContentLength, r.TransferEncoding)
	fmt.Fprintf(w, "%q %v %v\n", body, err, r.Trailer)
})

// answers are what comes back for raw: every response until the end of the stream.
func answers(t *testing.T, l net.Listener, raw string) (all []string) {
	t.Helper()
	nc, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	p := rawPeer(nc, false)
	go func() {
		io.WriteString(p, raw)
		if c, ok := nc.(interface{ CloseWrite() error }); ok {
			c.CloseWrite()
		}
	}()
	br := bufio.NewReader(p)
	for {
		method, _, _ := strings.Cut(raw, " ")
		r, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			return all
		}
		body, _ := io.ReadAll(r.Body)
		r.Header.Del("Date")
		all = append(all, fmt.Sprint(r.Status, r.Header, string(body)))
	}
}

// What is not for a WebSocket arrives at Handler as it does from net/http, and what is wrong is answered as net/http does.
func TestFrontHandsOver(t *testing.T) {
	const host = "Host: x\r\n"
	requests := map[string]string{
		"GET":                   "GET /a?b=c HTTP/1.1\r\n" + host + "X: y\r\nX: z\r\n\r\n",
		"HEAD":                  "HEAD / HTTP/1.1\r\n" + host + "\r\n",
		"HTTP/1.0":              "GET / HTTP/1.0\r\n\r\n",
		"HTTP/1.0 kept alive":   "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
		"a body":                "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello",
		"a large body":          "POST / HTTP/1.1\r\n" + host + "Content-Length: 100000\r\n\r\n" + pattern('b', 100_000),
		"chunks":                "PUT / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTrailer: T\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n",
		"expects":               "POST / HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
		"pipelined":             "GET /1 HTTP/1.1\r\n" + host + "\r\nPOST /2 HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"OPTIONS *":             "OPTIONS * HTTP/1.1\r\n" + host + "\r\n",
		"an absolute resource":  "GET http://y/z HTTP/1.1\r\n" + host + "\r\n",
		"another upgrade":       "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"a head of 16 KiB":      "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 16<<10-30) + "\r\n\r\n",
		"a head of 40 KiB":      "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 40<<10) + "\r\n\r\n",
		"a head of 80 KiB":      "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 80<<10) + "\r\n\r\n",
		"no Host":               "GET / HTTP/1.1\r\n\r\n",
		"two Hosts":             "GET / HTTP/1.1\r\n" + host + host + "\r\n",
		"a bad Host":            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"a bad Host, upgrading": strings.Replace(with(), "Host: server.example.com", "Host: a b", 1),
		"a space in a name":     "GET / HTTP/1.1\r\n" + host + "X : y\r\n\r\n",
		"a folded line":         "GET / HTTP/1.1\r\n" + host + "X: y\r\n z\r\n\r\n",
		"no colon":              "GET / HTTP/1.1\r\n" + host + "X\r\n\r\n",
		"NUL":                   "GET / HTTP/1.1\r\n" + host + "X: \x00\r\n\r\n",
		"line feeds alone":      "GET / HTTP/1.1\nHost: x\n\n",
		"no version":            "GET /\r\n\r\n",
		"a bad version":         "GET / HTTP/1.x\r\n" + host + "\r\n",
		"HTTP/2":                "GET / HTTP/2.0\r\n" + host + "\r\n",
		"HTTP/3":                "GET / HTTP/3.0\r\n" + host + "\r\n",
		"a bad method":          "G(T / HTTP/1.1\r\n" + host + "\r\n",
		"a bad resource":        "GET nowhere HTTP/1.1\r\n" + host + "\r\n",
		"a bad escape":          "GET /%zz HTTP/1.1\r\n" + host + "\r\n",
		"two lengths":           "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"a negative length":     "POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n",
		"unknown coding":        "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n",
		"length and chunks":     "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"unknown expectation":   "POST / HTTP/1.1\r\n" + host + "Expect: wonders\r\nContent-Length: 1\r\n\r\na",
		"TLS":                   "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x00", 200),
		"the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	}
	for _, over := range []string{"tcp", "unix"} {
		t.Run(over, func(t *testing.T) {
			noLeaks(t)
			theirs, ours := listen(t, over), listen(t, over)
			std := &http.Server{Handler: say, MaxHeaderBytes: 64 << 10}
			go std.Serve(theirs)
			defer std.Close()
			openDoor(t, &ws.Server{Handler: say}, ours, false)
			for name, raw := range requests {
				want, got := answers(t, theirs, raw), answers(t, ours, raw)
				if !reflect.DeepEqual(want, got) {
					t.Errorf("%s:\n%.600q, net/http says\n%.600q", name, got, want)
				}
			}
		})
	}
}

// A connection that has been used for requests of another kind may become a WebSocket, frames behind its request included.
func TestFrontUpgradesLater(t *testing.T) {
	for _, over := range []string{"tcp", "unix"} {
		noLeaks(t)
		looped := make(chan bool, 1)
		h := openHouse(t, &ws.Server{
			Handler:   say,
			OnOpen:    func(c *ws.Socket, _ *http.Request) { looped <- c.Looped() },
			OnMessage: echoBack,
		}, over, false)
		p := h.connect(t)
		raw := "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: x\r\n\r\n" + with()
		p.sendBytes(append([]byte(raw), wireBytes(true, textFrame("early"))...))
		for _, line := range []string{"POST /1", "GET /2"} {
			r, err := http.ReadResponse(p.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(r.Body); err != nil || !strings.HasPrefix(string(body), line) {
				t.Errorf("%q, %v", body, err)
			}
		}
		if err := p.welcomed(); err != nil {
			t.Fatal(err)
		}
		go p.collect()
		if err := p.expect(sawText("early")); err != nil {
			t.Error(err)
		}
		if got := <-looped; got != ws.OnLoops() {
			t.Errorf("read by an event loop: %v", got)
		}
		if err := p.echo("goes on"); err != nil {
			t.Error(err)
		}
	}
}
