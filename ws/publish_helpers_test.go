package ws_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/ws"
)

// A forum is a Server with two doors, one of TLS and one without, whose connections tell the test when they open and close.
type forum struct {
	*ws.Server
	plain, secure *house
	mu            sync.Mutex
	opened        map[string]chan *ws.Socket
}

// openForum serves s, whose OnOpen and OnClose are called as well, until the end of the test.
func openForum(t testing.TB, s *ws.Server) *forum {
	t.Helper()
	f := &forum{Server: s, opened: make(map[string]chan *ws.Socket)}
	open := s.OnOpen
	s.OnOpen = func(c *ws.Socket, r *http.Request) {
		if open != nil {
			open(c, r)
		}
		f.of(r.Header.Get("X-Peer")) <- c
	}
	f.plain = openDoor(t, s, listen(t, "tcp"), false)
	f.secure = openDoor(t, s, tls.NewListener(listen(t, "tcp"), testTLS().server), false)
	return f
}

func (f *forum) of(name string) chan *ws.Socket {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opened[name] == nil {
		f.opened[name] = make(chan *ws.Socket, 1)
	}
	return f.opened[name]
}

// member is a peer of the given name and what it is to the server. It reads nothing yet.
func (f *forum) member(t testing.TB, name string, secure bool, lines ...string) (*peer, *ws.Socket) {
	t.Helper()
	h := f.plain
	if secure {
		h = f.secure
	}
	p := h.connect(t)
	if secure {
		p.secure(true)
	}
	for _, line := range lines {
		if extensions, ok := strings.CutPrefix(line, "Sec-WebSocket-Extensions: "); ok {
			p.inflater = newPeerInflater(extensions, false)
		}
	}
	p.sendBytes([]byte(with(append(lines, "X-Peer: "+name)...)))
	if err := p.welcomed(); err != nil {
		t.Fatal(err)
	}
	return p, <-f.of(name)
}

// reads is member for a peer that collects what comes.
func (f *forum) reads(t testing.TB, name string, secure bool, lines ...string) (*peer, *ws.Socket) {
	t.Helper()
	p, c := f.member(t, name, secure, lines...)
	go p.collect()
	return p, c
}

// A crowd is a way in which subscribers are there: what they run over, how they compress, and on how many loops they are.
type crowd struct {
	name        string
	loops       int
	inline      bool
	compression string // the extension that is offered
}

// eachCrowd runs test with each. The suite itself is run on both drivers, but TLS is only on one of them.
func eachCrowd(t *testing.T, test func(t *testing.T, c crowd)) {
	t.Helper()
	crowds := []crowd{
		{"one loop", 1, false, ""},
		{"four loops", 4, false, noTakeover},
		{"Inline", 1, true, takeover},
		{"four loops, Inline", 4, true, ""},
		{"no loops", -1, false, ""},
		{"no loops, compressed", -1, false, noTakeover},
		{"no loops, takeover", -1, false, takeover},
	}
	if testing.Short() {
		crowds = []crowd{crowds[0], crowds[2], crowds[5]}
	}
	for _, c := range crowds {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			test(t, c)
		})
	}
}

func (c crowd) server() *ws.Server {
	s := &ws.Server{Loops: c.loops, Inline: c.inline, OnMessage: echoBack, Options: ws.AcceptOptions{Compression: compression(c.compression)}}
	if runtime.GOOS != "linux" {
		s.Loops = 0
	}
	return s
}

// lines are what a subscriber says in its request: every other one compresses, where the server does.
func (c crowd) lines(i int) []string {
	if c.compression == "" || i%2 == 0 {
		return nil
	}
	return []string{"Sec-WebSocket-Extensions: " + c.compression}
}

// people are n members, of whom every third is there over TLS.
func (f *forum) people(t testing.TB, c crowd, n int) ([]*peer, []*ws.Socket) {
	t.Helper()
	peers, sockets := make([]*peer, n), make([]*ws.Socket, n)
	for i := range n {
		peers[i], sockets[i] = f.reads(t, fmt.Sprint(i), i%3 == 2, c.lines(i)...)
	}
	return peers, sockets
}

func mustSubscribe(t testing.TB, c *ws.Socket, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		if err := c.Subscribe(topic); err != nil {
			t.Fatal(err)
		}
	}
}

func mustPublish(t testing.TB, s *ws.Server, topic, text string) {
	t.Helper()
	if err := s.Publish(topic, ws.Text, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what comes about by itself.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, patience)
		case <-time.After(time.Millisecond):
		}
	}
}

// oneRead returns what one read of nc brings.
func oneRead(nc net.Conn) (string, error) {
	b := make([]byte, 1<<20)
	n, err := nc.Read(b)
	return string(b[:n]), err
}
