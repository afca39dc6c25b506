package ws_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"baro.dev/ws"
)

// Times are kept by event loops as by goroutines: not before they are over, and not long after.
func TestTimes(t *testing.T) {
	const slack = 4 * time.Second // this machine may be busy, or stand still; the default times are longer
	cases := []struct {
		name    string
		options ws.AcceptOptions
		open    func(c *ws.Socket)
		peer    func(p *peer) // after the handshake
		from    time.Duration // when it is over
		err     error
		code    ws.StatusCode
		says    uint16 // the close frame that comes; 0: none
	}{
		{name: "no answer to a ping", options: ws.AcceptOptions{Keepalive: ws.Keepalive{Interval: 60 * time.Millisecond, Timeout: 60 * time.Millisecond}},
			from: 110 * time.Millisecond, err: ws.ErrPeerTimeout, code: 1006},
		{name: "answers for a while", options: ws.AcceptOptions{Keepalive: ws.Keepalive{Interval: 50 * time.Millisecond, Timeout: 3 * time.Second}},
			peer: func(p *peer) {
				for range 5 {
					if s := <-p.sights; s.op == opPing {
						p.send(pongFrame(s.data))
					}
				}
			}, from: 3250 * time.Millisecond, err: ws.ErrPeerTimeout, code: 1006},
		{name: "any byte is an answer", options: ws.AcceptOptions{Keepalive: ws.Keepalive{Interval: 100 * time.Millisecond, Timeout: 3 * time.Second}},
			peer: func(p *peer) {
				p.send(binaryFrame("x").announcing(1000))
				for range 12 {
					time.Sleep(300 * time.Millisecond)
					p.sendBytes([]byte("y"))
				}
			}, from: 6500 * time.Millisecond, err: ws.ErrPeerTimeout, code: 1006},
		{name: "idle", options: ws.AcceptOptions{Limits: ws.Limits{IdleTimeout: 100 * time.Millisecond, CloseTimeout: 50 * time.Millisecond}, Keepalive: ws.Keepalive{Interval: -1}},
			peer: func(p *peer) {
				for range 8 { // control frames are none of it
					p.send(pingFrame("p"))
					time.Sleep(5 * time.Millisecond)
				}
			}, from: 95 * time.Millisecond, err: ws.ErrPeerTimeout, code: 1008, says: 1008},
		{name: "idle after messages", options: ws.AcceptOptions{Limits: ws.Limits{IdleTimeout: 3 * time.Second, CloseTimeout: 50 * time.Millisecond}, Keepalive: ws.Keepalive{Interval: -1}},
			peer: func(p *peer) {
				for range 10 {
					p.send(textFrame("m"))
					time.Sleep(300 * time.Millisecond)
				}
			}, from: 5500 * time.Millisecond, err: ws.ErrPeerTimeout, code: 1008, says: 1008},
		{name: "no answer to a close frame", options: ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: 100 * time.Millisecond}},
			open: func(c *ws.Socket) { c.Close(4000, "") }, from: 95 * time.Millisecond, err: ws.ErrClosed, code: 4000, says: 4000},
		{name: "no answer to a close frame but pings", options: ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: 100 * time.Millisecond}},
			open: func(c *ws.Socket) { c.Close(4000, "") },
			peer: func(p *peer) {
				for range 100 {
					if p.send(pingFrame("p")) != nil {
						return
					}
					time.Sleep(2 * time.Millisecond)
				}
			}, from: 95 * time.Millisecond, err: ws.ErrClosed, code: 4000, says: 4000},
		{name: "no end after a failure", options: ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: 100 * time.Millisecond}},
			peer: func(p *peer) { p.send(newFrame(fin|3, "")) }, code: 1002, says: 1002},
	}
	eachHandling(t, func(t *testing.T, inline bool) {
		noLeaks(t)
		var all sync.WaitGroup // since each takes its time
		for _, tt := range cases {
			closed, sockets := make(chan error, 1), make(chan *ws.Socket, 1)
			h := openHouse(t, &ws.Server{
				Options: tt.options,
				Inline:  inline,
				OnOpen: func(c *ws.Socket, _ *http.Request) {
					sockets <- c
					if tt.open != nil {
						tt.open(c)
					}
				},
				OnClose: func(_ *ws.Socket, err error) { closed <- err },
			}, "tcp", false)
			start := time.Now()
			p := h.visit(t, "")
			all.Go(func() {
				if tt.peer != nil {
					tt.peer(p)
				}
				err := <-closed
				took := time.Since(start)
				<-(<-sockets).Done()
				whole := time.Since(start)
				if took < tt.from {
					t.Errorf("%s: OnClose after %v, want %v", tt.name, took, tt.from)
				}
				if whole > tt.from+tt.options.Limits.CloseTimeout+slack {
					t.Errorf("%s: it has ended after %v, want %v", tt.name, whole, tt.from)
				}
				if ws.CloseStatus(err) != tt.code || tt.err != nil && !errors.Is(err, tt.err) {
					t.Errorf("%s: OnClose was told %v", tt.name, err)
				}
				var said uint16
				for s := range p.sights {
					if s.op == opClose {
						said = uint16(s.data[0])<<8 | uint16(s.data[1])
					}
				}
				if said != tt.says {
					t.Errorf("%s: the peer was told %d, want %d", tt.name, said, tt.says)
				}
			})
		}
		all.Wait()
	})
}

// A peer that answers its pings lives as long as it likes; one that has nothing to say has its request awaited so long, and no
// longer.
func TestTimesThatAreKept(t *testing.T) {
	noLeaks(t)
	h := openHouse(t, &ws.Server{
		Options: ws.AcceptOptions{
			Keepalive: ws.Keepalive{Interval: 30 * time.Millisecond, Timeout: patience},
			Limits:    ws.Limits{HandshakeTimeout: 150 * time.Millisecond},
		},
		OnMessage: echoBack,
	}, "tcp", false)
	p := h.visit(t, "")
	start := time.Now()
	late := h.connect(t)
	late.sendBytes([]byte(with()[:50]))
	if _, err := late.Read(make([]byte, 100)); !isEnd(err) {
		t.Error(err)
	}
	if took := time.Since(start); took < 140*time.Millisecond || took > 5*time.Second {
		t.Errorf("the request was awaited for %v", took)
	}
	for range 10 {
		s := <-p.sights
		if s.op != opPing {
			t.Fatal(s, p.end)
		}
		p.send(pongFrame(s.data))
	}
	p.send(textFrame("alive"))
	for s := range p.sights {
		if s == sawText("alive") {
			return
		}
		p.send(pongFrame(s.data))
	}
	t.Error(p.end)
}
