package ws_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"baro.dev/ws"
)

// seen is what a handler can see of a request, but for its context's own.
func seen(r *http.Request) []any {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	_, server := r.Context().Value(http.ServerContextKey).(*http.Server)
	localAddr := "none"
	if local != nil {
		localAddr = local.Network() + " " + local.String()
	}
	return []any{r.Method, *r.URL, r.Proto, r.Header, r.Host, r.RequestURI, r.ContentLength, r.TransferEncoding, r.Close, r.Form, r.Trailer, r.TLS,
		r.RemoteAddr, localAddr, server}
}

// OnOpen and CheckOrigin see the request that net/http would show them, and a Socket knows the same addresses.
func TestFrontRequest(t *testing.T) {
	for network, address := range map[string]string{"tcp": ":0", "tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": fmt.Sprintf("@baro-ws-front-%p", t)} {
		t.Run(network, func(t *testing.T) {
			noLeaks(t)
			l, err := net.Listen(network, address)
			if err != nil {
				t.Skip(err)
			}
			type sighting struct {
				opened, asked []any
				local, remote net.Addr
				subprotocol   string
				compressed    bool
			}
			sightings, closed := make(chan sighting, 1), make(chan net.Addr, 1)
			var asked []any
			s := &ws.Server{
				Options: ws.AcceptOptions{
					Subprotocols: []string{"chat", "superchat"},
					Compression:  ws.Compression{Enabled: true},
					CheckOrigin:  func(r *http.Request) error { asked = seen(r); return nil },
				},
				OnOpen: func(c *ws.Socket, r *http.Request) {
					sightings <- sighting{seen(r), asked, c.LocalAddr(), c.RemoteAddr(), c.Subprotocol(), c.Compressed()}
				},
				OnClose: func(c *ws.Socket, _ error) { closed <- c.RemoteAddr() },
			}
			h := openDoor(t, s, l, false)
			if network == "tcp" { // by IPv4, on a listener of all addresses
				_, port, _ := net.SplitHostPort(l.Addr().String())
				if h.addr, err = net.ResolveTCPAddr("tcp", "127.0.0.1:"+port); err != nil {
					t.Fatal(err)
				}
			}
			lines := []string{"X: y", "x: z", "Origin: http://elsewhere", "Sec-WebSocket-Protocol: superchat, chat", "Sec-WebSocket-Extensions: permessage-deflate", "Cookie: a=b"}
			raw := strings.Replace(with(lines...), "GET /", "GET /a%20b?c=d&e", 1)
			ask := func() (sighting, string) {
				p := h.connect(t)
				p.sendBytes([]byte(raw))
				if err := p.welcomed(); err != nil {
					t.Fatal(err)
				}
				s, local := <-sightings, p.LocalAddr().String()
				p.Close()
				<-closed
				return s, local
			}
			ours, mine := ask()
			if ours.subprotocol != "chat" || !ours.compressed {
				t.Errorf("subprotocol %q, compressed %v", ours.subprotocol, ours.compressed)
			}
			if !reflect.DeepEqual(ours.opened, ours.asked) {
				t.Errorf("OnOpen %v\nCheckOrigin %v", ours.opened, ours.asked)
			}
			std := &http.Server{Handler: s}
			l2, err := net.Listen(network, strings.Replace(address, "front", "std", 1))
			if err != nil {
				t.Fatal(err)
			}
			go std.Serve(l2)
			defer std.Close()
			first := h.addr
			if h.addr = l2.Addr(); network == "tcp" {
				h.addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l2.Addr().(*net.TCPAddr).Port}
			}
			theirs, other := ask()
			plain := func(s sighting, local, remote string) string {
				text := fmt.Sprint(s.opened, s.local, s.remote)
				if network != "unix" { // the names of what is connected are all that may differ
					text = strings.ReplaceAll(strings.ReplaceAll(text, local, "LOCAL"), remote, "REMOTE")
				}
				return strings.ReplaceAll(text, "baro-ws-std", "baro-ws-front")
			}
			got, want := plain(ours, first.String(), mine), plain(theirs, h.addr.String(), other)
			if got != want {
				t.Errorf("%s, net/http says\n%s", got, want)
			}
		})
	}
}

// A handshake that is refused is refused by the right status, and CheckOrigin has its say once for each request, and only if there
// is nothing else wrong.
func TestFrontRefuses(t *testing.T) {
	for _, inline := range []bool{false, true} {
		t.Run(fmt.Sprint("inline ", inline), func(t *testing.T) {
			noLeaks(t)
			var asked atomic.Int64
			h := openHouse(t, &ws.Server{Inline: inline, Handler: say, OnMessage: echoBack, Options: ws.AcceptOptions{CheckOrigin: func(r *http.Request) error {
				asked.Add(1)
				switch r.Header.Get("Origin") {
				case "no":
					return errors.New("not you")
				case "panic":
					panic("in CheckOrigin")
				}
				return nil
			}}}, "tcp", false)
			for _, test := range []struct {
				raw    string
				status int
				body   string
				asked  int64
			}{
				{with("Origin: yes"), 101, "", 1},
				{with("Origin: no"), 403, "not you", 1},
				{request("Sec-WebSocket-Version: 8") + "\r\n", 426, "", 0},
				{request("Sec-WebSocket-Key: short") + "\r\n", 400, "", 0},
				{request("-Sec-WebSocket-Key") + "\r\n", 400, "", 0},
				{with("Content-Length: 1") + "x", 400, "", 0},
				{with("Sec-WebSocket-Extensions: ,,,"), 400, "", 1},
				{request("-Upgrade") + "\r\n", 200, "GET /", 0},
			} {
				asked.Store(0)
				p := h.connect(t)
				p.sendBytes([]byte(test.raw))
				r, err := http.ReadResponse(p.r, nil)
				if err != nil {
					t.Fatalf("%s: %v", test.raw, err)
				}
				body := ""
				if r.StatusCode != 101 {
					b, _ := io.ReadAll(r.Body)
					body = string(b)
				}
				if r.StatusCode != test.status || !strings.Contains(body, test.body) {
					t.Errorf("%q: %s %q", test.raw, r.Status, body)
				}
				if n := asked.Load(); n != test.asked {
					t.Errorf("%q: CheckOrigin was called %d times", test.raw, n)
				}
				p.Close()
			}
			if !ws.OnLoops() {
				return // net/http closes the connection
			}
			p := h.connect(t)
			p.sendBytes([]byte(with("Origin: panic")))
			if r, err := http.ReadResponse(p.r, nil); err != nil || r.StatusCode != 500 {
				t.Error(r, err)
			}
			if err := h.visit(t, "").echo("lives"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A CheckOrigin that takes long holds up its own connection only; what came behind the request is not lost.
func TestFrontOriginTakesLong(t *testing.T) {
	noLeaks(t)
	release, asked := make(chan struct{}), make(chan struct{}, 10)
	h := openHouse(t, &ws.Server{Loops: oneLoop(), OnMessage: echoBack, Options: ws.AcceptOptions{
		CheckOrigin: func(r *http.Request) error {
			if r.Header.Get("X-Peer") != "" {
				return nil
			}
			asked <- struct{}{}
			<-release
			return nil
		},
	}}, "tcp", false)
	var slow []*peer
	for range 5 {
		p := h.connect(t)
		p.sendBytes(append([]byte(with()), wireBytes(true, textFrame("in the same piece"))...))
		slow = append(slow, p)
		<-asked
		p.sendBytes(wireBytes(true, textFrame("later")))
	}
	slow[4].Close()
	if err := h.visit(t, "quick").echo("meanwhile"); err != nil {
		t.Error(err)
	}
	close(release)
	for _, p := range slow[:4] {
		if err := p.welcomed(); err != nil {
			t.Fatal(err)
		}
		go p.collect()
		for _, want := range []string{"in the same piece", "later"} {
			if err := p.expect(sawText(want)); err != nil {
				t.Error(err)
			}
		}
	}
}
