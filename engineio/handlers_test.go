package engineio_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// transports are the ways for a client to send.
var transports = []string{"polling", "websocket"}

// client opens a session, and returns how to send packets.
func (s *site) sender(transport string) (send func(packets ...string) error, sid string, c *wire) {
	if transport == "polling" {
		sid = s.poll(4)
		return func(packets ...string) error {
			if a := s.post(4, sid, strings.Join(packets, "\x1e")); a.err != nil || a.status != 200 {
				return fmt.Errorf("%v", a)
			}
			return nil
		}, sid, nil
	}
	c, h := s.connect(4)
	return func(packets ...string) error {
		for _, p := range packets {
			if err := c.Write(context.Background(), ws.Text, []byte(p)); err != nil {
				return err
			}
		}
		return nil
	}, h.SID, c
}

// each runs a test for both transports, with and without Inline.
func each(t *testing.T, f func(t *testing.T, transport string, inline bool)) {
	for _, transport := range transports {
		for _, inline := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Inline %v", transport, inline), func(t *testing.T) { f(t, transport, inline) })
		}
	}
}

// The handlers of a session run one after another, OnOpen first, the messages in order, OnClose last and once.
func TestHandlerOrder(t *testing.T) {
	each(t, func(t *testing.T, transport string, inline bool) {
		const messages = 1000
		e := calm()
		e.Options.Inline = inline
		var busy atomic.Int32
		next := -1
		enter := func(want int) {
			if busy.Add(1) != 1 {
				t.Error("two handlers at once")
			}
			if next != want {
				t.Errorf("handler %d runs when it is the turn of %d", want, next)
			}
			next++
			runtime.Gosched()
			busy.Add(-1)
		}
		closed := make(chan error, 10)
		e.OnOpen = func(s *engineio.Session, _ *http.Request) { s.Data = "mine"; time.Sleep(time.Millisecond); enter(-1) }
		e.OnMessage = func(s *engineio.Session, m engineio.Message) {
			var i int
			fmt.Sscan(string(m.Data), &i)
			enter(i)
			if s.Data != "mine" {
				t.Error(s.Data)
			}
			if i == messages-1 {
				s.CloseNow()
				s.CloseNow()
				s.Close()
				if err := s.Send(m); err != engineio.ErrClosed {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		}
		e.OnClose = func(_ *engineio.Session, err *engineio.CloseError) { enter(messages); closed <- err }
		s := open(t, e)
		send, _, _ := s.sender(transport)
		for i := 0; i < messages; i += 10 {
			var packets []string
			for j := range 10 {
				packets = append(packets, fmt.Sprint("4", i+j))
			}
			if err := send(packets...); err != nil && i < messages-10 {
				t.Fatal(err)
			}
		}
		receive(t, "OnClose", closed)
		time.Sleep(5 * time.Millisecond)
		if len(closed) > 0 {
			t.Error("OnClose ran twice")
		}
	})
}

// Ending a session in OnOpen is followed by OnClose, when OnOpen has returned.
func TestCloseInOnOpen(t *testing.T) {
	each(t, func(t *testing.T, transport string, inline bool) {
		for _, now := range []bool{false, true} {
			e := calm()
			e.Options.Inline = inline
			var opening atomic.Bool
			all := make(chan bool, 10)
			e.OnOpen = func(s *engineio.Session, _ *http.Request) {
				opening.Store(true)
				_ = s.Send(engineio.Message{Data: []byte("bye")})
				if now {
					s.CloseNow()
				} else {
					s.Close()
				}
				time.Sleep(5 * time.Millisecond)
				opening.Store(false)
			}
			e.OnClose = func(*engineio.Session, *engineio.CloseError) { all <- opening.Load() }
			s := openBeside(t, e)
			if transport == "polling" {
				sid := s.poll(4)
				if !now {
					s.get(4, sid).expect(t, 200, "4bye")
					s.get(4, sid).expect(t, 200, "1")
				}
			} else if c, err := s.tryDial("EIO=4&transport=websocket"); err == nil {
				c.expectEnd()
			}
			if receive(t, "OnClose", all) {
				t.Error("OnClose ran during OnOpen")
			}
		}
	})
}

// While a handler blocks, only so much is read; then everything goes on. What Arrive deals with comes meanwhile.
func TestBlockingHandler(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			blockingHandler(t, transport, 10_000, 2000, 50, 100)
			blockingHandler(t, transport, 0, 100_000, 1000, 50_000) // messages cost something even if there is nothing in them
		})
	}
}

func blockingHandler(t *testing.T, transport string, size, messages, together int, most int64) {
	e := calm()
	release, arrived := make(chan struct{}), make(chan string, 10)
	var handled, offered atomic.Int64
	e.Arrive = func(_ *engineio.Session, m engineio.Message) bool {
		if strings.HasPrefix(string(m.Data), "ack") {
			arrived <- string(m.Data)
			return true
		}
		offered.Add(1)
		return false
	}
	e.OnMessage = func(*engineio.Session, engineio.Message) {
		<-release
		handled.Add(1)
	}
	s := open(t, e)
	send, sid, _ := s.sender(transport)
	if err := send("4first", "4ack1"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, "Arrive", arrived); got != "ack1" {
		t.Error(got)
	}
	done := make(chan error, 1)
	packet := "4" + strings.Repeat("x", size)
	var packets []string
	for range together {
		packets = append(packets, packet)
	}
	go func() {
		for i := 0; i < messages; i += len(packets) {
			if err := send(packets...); err != nil {
				done <- err
				return
			}
		}
		done <- send("4last")
	}()
	session := e.Session(sid)
	until(t, "reading pauses", func() bool { return engineio.Crowded(session) })
	time.Sleep(20 * time.Millisecond)
	if n := offered.Load(); n > most {
		t.Errorf("%d messages have been read for a handler that is stuck", n)
	}
	close(release)
	if err := receive(t, "everything is sent", done); err != nil {
		t.Fatal(err)
	}
	until(t, "everything is handled", func() bool { return handled.Load() == int64(messages)+2 })
}

// A session that ends while its handler blocks lets its POST go on.
func TestEndWhileHandlerBlocks(t *testing.T) {
	e := calm()
	release := make(chan struct{})
	started := make(chan struct{}, 3)
	e.OnMessage = func(*engineio.Session, engineio.Message) { started <- struct{}{}; <-release }
	all := ends(e)
	s := open(t, e)
	sid := s.poll(4)
	got := make(chan answer, 1)
	big := "4" + strings.Repeat("x", 300_000)
	go func() { got <- s.post(4, sid, big+"\x1e"+big+"\x1e"+big) }()
	session := e.Session(sid)
	receive(t, "the handler", started)
	until(t, "reading pauses", func() bool { return engineio.Crowded(session) })
	session.CloseNow()
	receive(t, "the answer", got)
	if len(all) > 0 {
		t.Error("OnClose runs before the handler has returned")
	}
	close(release)
	expectReason(t, all, engineio.ForcedClose)
}

// A client that gives up its POSTs while the handler is stuck cannot have the server collect them.
func TestAbortedPostsWhileHandlerBlocks(t *testing.T) {
	e := calm()
	release := make(chan struct{})
	defer close(release)
	var offered atomic.Int64
	e.Arrive = func(*engineio.Session, engineio.Message) bool { offered.Add(1); return false }
	e.OnMessage = func(*engineio.Session, engineio.Message) { <-release }
	s := openBeside(t, e)
	sid := s.poll(4)
	big := "4" + strings.Repeat("x", 300_000)
	body := big + "\x1e" + big + "\x1e" + big
	for range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		s.doContext(ctx, "POST", s.query(4, sid), strings.NewReader(body))
		cancel()
	}
	if n := offered.Load(); n > 4 {
		t.Errorf("%d messages of 300,000 bytes have been taken", n)
	}
}

// Close lets a POST go on that waits for the handler, though the client has yet to learn of the end.
func TestCloseWhileHandlerBlocks(t *testing.T) {
	e := calm()
	release, started := make(chan struct{}), make(chan struct{}, 3)
	e.OnMessage = func(*engineio.Session, engineio.Message) { started <- struct{}{}; <-release }
	all := ends(e)
	s := open(t, e)
	sid := s.poll(4)
	got := make(chan answer, 1)
	big := "4" + strings.Repeat("x", 300_000)
	go func() { got <- s.post(4, sid, big+"\x1e"+big+"\x1e"+big) }()
	session := e.Session(sid)
	receive(t, "the handler", started)
	until(t, "reading pauses", func() bool { return engineio.Crowded(session) })
	session.Close()
	receive(t, "the answer", got).expect(t, 200, "ok")
	s.get(4, sid).expect(t, 200, "1")
	close(release)
	expectReason(t, all, engineio.ForcedClose)
}
