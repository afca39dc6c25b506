package ws_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// A raceEnd is how a connection ends while others are sending.
type raceEnd struct {
	name string
	end  func(r *race)
	// lossless says that all that was taken before has to arrive, and then a close frame with the code; a code of 0: what
	// comes is only held to the protocol.
	code uint16
}

var raceEnds = []raceEnd{
	{"Close", func(r *race) { r.socket.Close(4000, "") }, 4000},
	{"Close twice", func(r *race) { go r.socket.Close(4000, "a"); r.socket.Close(4000, "b") }, 4000},
	{"Close and CloseNow", func(r *race) { r.socket.Close(4000, ""); go r.socket.CloseNow() }, 0},
	{"CloseNow", func(r *race) { r.socket.CloseNow() }, 0},
	{"Shutdown", func(r *race) { go r.house.server.Shutdown(context.Background()) }, 1001},
	{"Server.Close", func(r *race) { r.house.server.Close() }, 0},
	{"the peer's close", func(r *race) { r.peer.send(closeFrame(4000, "")) }, 4000},
	{"the peer's violation", func(r *race) { r.peer.send(newFrame(fin|3, "")) }, 1002},
	{"the peer's end", func(r *race) { r.peer.Conn.(*net.TCPConn).CloseWrite() }, 0},
	{"the peer's reset", func(r *race) { r.peer.Conn.(*net.TCPConn).SetLinger(0); r.peer.Close() }, 0},
	{"a panic", func(r *race) { r.peer.send(textFrame("panic")) }, 1011},
}

type race struct {
	house  *house
	socket *ws.Socket
	peer   *peer
}

// Many goroutines send in every way while the connection ends. The peer sees whole frames, those of each goroutine in order, and
// nothing behind a close frame; what was taken before that is there.
func TestSendsRaceTheEnd(t *testing.T) {
	eachHandling(t, func(t *testing.T, inline bool) {
		noLeaks(t)
		for _, e := range raceEnds {
			t.Run(e.name, func(t *testing.T) {
				e.run(t, inline, false, false)
				e.run(t, inline, true, false)
				e.run(t, inline, true, true)
			})
		}
	})
}

// run is one race. With pause, the peer does not read for a moment around the end. With a Writer among those who send, what
// waits for its message to end is lost with it.
func (e raceEnd) run(t *testing.T, inline, pause, writer bool) {
	const senders = 4
	opened, closed := make(chan *ws.Socket, 1), make(chan error, 2)
	l := listen(t, "tcp")
	narrow(t, l.(*net.TCPListener))
	h := openDoor(t, &ws.Server{
		Options: ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 100_000, Full: ws.Block}, Limits: ws.Limits{CloseTimeout: patience}},
		Inline:  inline,
		OnOpen:  func(c *ws.Socket, _ *http.Request) { opened <- c },
		OnMessage: func(_ *ws.Socket, m ws.Message) {
			if m.String() == "panic" {
				panic("on purpose")
			}
		},
		OnClose: func(_ *ws.Socket, err error) { closed <- err },
	}, l, false)
	h.narrow = true
	r := &race{house: h, peer: h.visit(t, "")}
	r.socket = <-opened
	var taken [senders]int
	var total atomic.Int64
	var sending sync.WaitGroup
	for n := range senders {
		sending.Go(func() {
			for taken[n] < 1<<20 {
				if err := r.send(n, taken[n], writer); err != nil {
					return
				}
				taken[n]++
				total.Add(1)
			}
			t.Error("it never ended")
		})
	}
	sending.Go(func() {
		for r.socket.Ping() == nil {
			time.Sleep(100 * time.Microsecond)
		}
	})
	var seen [senders]int
	end := sync.OnceFunc(func() { go e.end(r) })
	got, closeCode := 0, ""
	for s := range r.peer.sights {
		switch s.op {
		case opPing:
		case opClose:
			if len(s.data) >= 2 {
				closeCode = s.data[:2]
			}
			r.peer.send(newFrame(fin|opClose, s.data[:min(2, len(s.data))]))
		default:
			var n, i int
			fmt.Sscan(s.data, &n, &i)
			if i != seen[n] || s.data != raceText(n, i) {
				t.Fatalf("%v, want message %d of sender %d", s, seen[n], n)
			}
			seen[n]++
			got++
		}
		if got == 60 {
			if pause {
				time.Sleep(10 * time.Millisecond) // the queue gets full
			}
			end()
			if pause {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	if !isEnd(r.peer.end) && !strings.Contains(r.peer.end.Error(), "unexpected EOF") && !strings.Contains(r.peer.end.Error(), "closed network connection") {
		t.Fatal(r.peer.end) // a protocol violation, or nothing came any more
	}
	r.peer.Close()
	sending.Wait()
	select {
	case err := <-closed:
		if err == nil {
			t.Error("no reason")
		}
	case <-time.After(patience):
		t.Fatal("OnClose was not called")
	}
	<-r.socket.Done()
	for start := time.Now(); r.socket.Buffered() > 0; time.Sleep(time.Millisecond) { // who was writing lets go of it
		if time.Since(start) > patience {
			t.Fatalf("%d bytes are still buffered", r.socket.Buffered())
		}
	}
	if e.code == 0 {
		return
	}
	if closeCode != closePayload(e.code, "") {
		t.Errorf("closed with %x, want %d", closeCode, e.code)
	}
	if seen != taken && !writer {
		t.Errorf("%v messages came, %v were taken", seen, taken)
	}
}

func raceText(n, i int) string { return fmt.Sprintf("%d %d %s", n, i, text((i*i*31)%3000, byte(n+i))) }

// send sends message i of sender n, in one of the ways.
func (r *race) send(n, i int, writer bool) error {
	ctx := context.Background()
	m := raceText(n, i)
	switch {
	case writer && n == 0:
		w, err := r.socket.Writer(ctx, ws.Text)
		if err != nil {
			return err
		}
		_, err = w.Write([]byte(m[:len(m)/2]))
		if err == nil {
			_, err = w.Write([]byte(m[len(m)/2:]))
		}
		if closeErr := w.Close(); err == nil {
			err = closeErr
		}
		return err
	case (n+i)%3 == 0:
		return r.socket.Write(ctx, ws.Text, []byte(m))
	case (n+i)%3 == 1:
		p, err := ws.NewPreparedMessage(ws.Text, []byte(m))
		if err != nil {
			return err
		}
		return r.socket.SendPrepared(p)
	}
	return r.socket.Send(ws.Text, []byte(m))
}
