package ws_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/ws"
)

// Many goroutines write in every way at once, to a peer that reads in small pieces: each one's messages come whole and in order,
// whatever the kernel takes at a time.
func TestManyWritersAndASlowPeer(t *testing.T) {
	const writers, each = 6, 24
	sizes := []int{0, 1, 125, 126, 2000, 5000, 17_000, 66_000}
	text := func(writer, i int) string {
		return fmt.Sprintf("%d %d %s", writer, i, pattern(byte(writer), sizes[(writer+i)%len(sizes)]))
	}
	for _, s := range []subject{subjects[0], subjects[3], subjects[5]} {
		for _, agreed := range []string{"", takeover} {
			t.Run(s.name+"/"+agreed, func(t *testing.T) {
				noLeaks(t)
				ctx := context.Background()
				failures := make(chan error, writers*each)
				p, err := newStand(t, s, "tcp", options{
					AcceptOptions: ws.AcceptOptions{Compression: compression(agreed), Queue: ws.Queue{MaxBytes: 100_000, Full: ws.Block}},
					extensions:    agreed,
					opened: func(c sender) {
						for writer := range writers {
							go func() {
								for i := range each {
									m := text(writer, i)
									switch (writer + i/5) % 4 {
									case 0:
										failures <- c.Write(ctx, ws.Text, []byte(m))
									case 1:
										failures <- c.Send(ws.Text, []byte(m))
									case 2:
										prepared, _ := ws.NewPreparedMessage(ws.Text, []byte(m))
										failures <- c.SendPrepared(prepared)
									case 3:
										failures <- written(ws.Text, m[:len(m)/2], m[len(m)/2:])(c)
									}
									sendPing(c)
								}
							}()
						}
					},
				}).openMute(t)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				p.Conn.(*net.TCPConn).SetReadBuffer(32 << 10)
				p.r = bufio.NewReader(slowReader{p.r})
				go p.collect()
				var next [writers]int
				for range writers * each {
					s, ok := <-p.sights
					for s.op == opPing {
						s, ok = <-p.sights
					}
					var writer, i int
					if n, _ := fmt.Sscan(s.data, &writer, &i); n != 2 || !ok {
						t.Fatal(s, p.end)
					}
					if i != next[writer] || s.data != text(writer, i) {
						t.Fatalf("message %d of writer %d is %v, want %d", i, writer, s, next[writer])
					}
					next[writer]++
				}
				for range writers * each {
					if err := <-failures; err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// slowReader reads little at a time.
type slowReader struct{ io.Reader }

func (r slowReader) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), 1500)]) }

// A peer that reads nothing holds up no broadcast, and what waits for it is bounded.
func TestBroadcastWithADeafPeer(t *testing.T) {
	noLeaks(t)
	const peers, messages = 8, 3000
	var mu sync.Mutex
	var all []*ws.Socket
	opened := make(chan struct{}, peers+1)
	s := &ws.Server{
		Options: ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 1 << 20, Full: ws.Drop}},
		OnOpen: func(c *ws.Socket, _ *http.Request) {
			mu.Lock()
			all = append(all, c)
			mu.Unlock()
			opened <- struct{}{}
		},
	}
	defer s.Close()
	l := &chanListener{conns: make(chan net.Conn), done: make(chan struct{})}
	go s.Serve(l)
	var reading sync.WaitGroup
	for i := range peers {
		p := upgraded(t, l, fmt.Sprint(i))
		<-opened
		defer p.Close()
		reading.Go(func() {
			for i := range messages {
				if s, ok := <-p.sights; !ok || !strings.HasPrefix(s.data, fmt.Sprint(i, " ")) {
					t.Errorf("message %d: %v, %v", i, s, p.end)
					return
				}
			}
		})
	}
	near, far := connPair(t, "tcp")
	l.conns <- near
	deaf := rawPeer(far, false)
	defer deaf.Close()
	deaf.sendBytes([]byte(request() + "\r\n"))
	<-opened

	payload := pattern('p', 4000)
	for i := range messages {
		m, err := ws.NewPreparedMessage(ws.Text, fmt.Appendf(nil, "%d %s", i, payload))
		if err != nil {
			t.Fatal(err)
		}
		for n, c := range all {
			err := c.SendPrepared(m)
			for n < peers && err != nil { // it reads, but this machine is slow
				time.Sleep(time.Millisecond)
				err = c.SendPrepared(m)
			}
			if c.Buffered() > 1<<20+5000 {
				t.Fatalf("%d bytes are buffered", c.Buffered())
			}
		}
	}
	reading.Wait()
	if all[peers].Buffered() == 0 {
		t.Error("the deaf peer has read all")
	}
}

// Peers that are stuck in the middle of whatever hold up nobody else.
func TestStuckPeers(t *testing.T) {
	for _, s := range []subject{subjects[0], subjects[3], subjects[4]} {
		t.Run(s.name, func(t *testing.T) {
			noLeaks(t)
			st := newStand(t, s, "tcp", options{AcceptOptions: ws.AcceptOptions{Compression: compression(takeover)}, extensions: takeover})
			stuck := [][]wireFrame{
				frames(rawBytes("\x81")), frames(textFrame("x").announcing(1000)), frames(firstFrame(opText, "x")), frames(pingFrame("").announcing(100)),
				frames(firstFrame(opBinary, "\xf2").with(rsv1)), frames(binaryFrame(pattern('x', 10_000)).announcing(1 << 20)), nil,
			}
			for i := range 100 {
				p, err := st.open(t)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				p.send(stuck[i%len(stuck)]...)
			}
			p, err := st.open(t)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			for range 100 {
				if err := p.echo("through"); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Connections that come and go in every way leave nothing behind.
func TestChurn(t *testing.T) {
	ways := map[string]func(p *peer){
		"at once":         func(p *peer) { p.Close() },
		"by the book":     func(p *peer) { p.send(closeFrame(1000, "")) },
		"by a reset":      func(p *peer) { p.Conn.(*net.TCPConn).SetLinger(0); p.Close() },
		"in a message":    func(p *peer) { p.send(firstFrame(opText, "x")); p.Close() },
		"in a frame":      func(p *peer) { p.send(textFrame("x").announcing(100_000)); p.Close() },
		"with a failure":  func(p *peer) { p.send(newFrame(fin|3, "")); p.Close() },
		"unread":          func(p *peer) { p.send(textFrame(pattern('x', 50_000)), textFrame(pattern('x', 50_000))); p.Close() },
		"half":            func(p *peer) { p.Conn.(*net.TCPConn).CloseWrite() },
		"with half a bye": func(p *peer) { p.send(closeFrame(1000, "").announcing(50)); p.Close() },
	}
	for _, s := range []subject{subjects[0], subjects[2], subjects[3], subjects[4], subjects[5], subjects[7]} {
		for way, leave := range ways {
			t.Run(s.name+"/"+way, func(t *testing.T) {
				noLeaks(t)
				st := newStand(t, s, "tcp", options{AcceptOptions: ws.AcceptOptions{Compression: compression(takeover)}, extensions: takeover})
				var all sync.WaitGroup
				for range 8 {
					p, err := st.open(t)
					if err != nil {
						t.Fatal(err)
					}
					all.Go(func() {
						p.echo("hello")
						leave(p)
						for range p.sights {
						}
						p.Close()
						<-p.ended
					})
				}
				all.Wait()
			})
		}
	}
}

// The same from this side: connections that are closed while they are read, written and pinged.
func TestCloseAmidEverything(t *testing.T) {
	for way, end := range map[string]func(c *ws.Conn) error{
		"Close":    func(c *ws.Conn) error { return c.Close(context.Background(), ws.StatusNormalClosure, "") },
		"CloseNow": func(c *ws.Conn) error { return c.CloseNow() },
		"Close twice": func(c *ws.Conn) error {
			go c.Close(context.Background(), 1001, "")
			return c.Close(context.Background(), 1000, "")
		},
		"Close and go": func(c *ws.Conn) error { go c.Close(context.Background(), 1001, ""); return c.CloseNow() },
	} {
		both(t, func(t *testing.T, client bool) {
			t.Run(way, func(t *testing.T) {
				noLeaks(t)
				for range 5 {
					c, p := bareConn(t, "tcp", client, nil)
					go func() { // a peer that reads, and answers what must be answered
						for s := range p.sights {
							switch s.op {
							case opPing:
								p.send(pongFrame(s.data))
							case opClose:
								p.send(newFrame(fin|opClose, s.data))
								p.Close()
							default:
								p.send(textFrame("and you"))
							}
						}
					}()
					var all sync.WaitGroup
					busy := make(chan struct{}, 3)
					for _, do := range []func() error{
						func() error { _, err := c.Read(context.Background()); return err },
						func() error { return c.Write(context.Background(), ws.Text, []byte("hello")) },
						func() error { _, err := c.Ping(context.Background()); return err },
						func() error { return written(ws.Text, "a", "b")(c) },
					} {
						all.Go(func() {
							for i := 0; do() == nil; i++ {
								if i == 3 {
									busy <- struct{}{}
								}
							}
						})
					}
					for range 3 {
						<-busy
					}
					end(c)
					<-c.Done()
					all.Wait()
					p.Close()
				}
			})
		})
	}
}
