package ws_test

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"baro.dev/ws"
)

// A house is a Server behind a listener of its own, reached through one of its two doors: Server.Serve, or net/http.
// What is asked of it holds for either driver; on Linux it is that of event loops unless the suite is run with -loops=-1.
type house struct {
	server *ws.Server
	addr   net.Addr
	narrow bool // the kernel takes little for peers that do not read: some megabytes of what waits for them over TCP
}

// openHouse opens a Server until the end of the test.
func openHouse(t testing.TB, s *ws.Server, over string, http bool) *house {
	t.Helper()
	l := listen(t, over)
	return openDoor(t, s, l, http)
}

func openDoor(t testing.TB, s *ws.Server, l net.Listener, throughHTTP bool) *house {
	served := make(chan struct{})
	front := &http.Server{Handler: s}
	go func() {
		defer close(served)
		if throughHTTP {
			front.Serve(l)
		} else {
			s.Serve(l)
		}
	}()
	t.Cleanup(func() {
		front.Close()
		s.Close()
		<-served
	})
	return &house{server: s, addr: l.Addr()}
}

// connect is a connection over which nothing has been sent.
func (h *house) connect(t testing.TB) *peer {
	t.Helper()
	nc, err := net.Dial(h.addr.Network(), h.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if tcp, ok := nc.(*net.TCPConn); ok && h.narrow {
		tcp.SetReadBuffer(256 << 10)
	}
	return rawPeer(nc, false)
}

// enter is a peer that has done its handshake and reads nothing yet; early is sent in one piece with it.
func (h *house) enter(t testing.TB, name string, early ...wireFrame) *peer {
	t.Helper()
	p := h.connect(t)
	p.sendBytes(append([]byte(with("X-Peer: "+name)), wireBytes(true, early...)...))
	if err := p.welcomed(); err != nil {
		t.Fatal(err)
	}
	return p
}

// visit is enter for a peer that collects what comes.
func (h *house) visit(t testing.TB, name string, early ...wireFrame) *peer {
	t.Helper()
	p := h.enter(t, name, early...)
	go p.collect()
	return p
}

// welcomed reads the response.
func (p *peer) welcomed() error {
	r, err := http.ReadResponse(p.r, nil)
	if err == nil && r.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("the server answered %s", r.Status)
	}
	return err
}

// A way is how handlers are called, and the door through which connections come.
type way struct {
	name   string
	inline bool
	http   bool
}

// eachWay runs test in each.
func eachWay(t *testing.T, test func(t *testing.T, w way)) {
	t.Helper()
	for _, w := range []way{{name: "default"}, {"Inline", true, false}, {"default after http", false, true}, {"Inline after http", true, true}} {
		t.Run(w.name, func(t *testing.T) { test(t, w) })
	}
}

// eachHandling runs test with both ways of calling handlers, through Serve.
func eachHandling(t *testing.T, test func(t *testing.T, inline bool)) {
	t.Helper()
	t.Run("default", func(t *testing.T) { test(t, false) })
	t.Run("Inline", func(t *testing.T) { test(t, true) })
}

// echoBack sends every message back.
func echoBack(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) }

// oneLoop is for a Server.Loops whose connections are all to be on the same, if there are any.
func oneLoop() int {
	if ws.OnLoops() {
		return 1
	}
	return 0
}
