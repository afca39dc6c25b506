package engineio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// The groups are those of the project's list of hostile inputs. What names other transports and protocols is in TestRefusals.

// 20: ids that are none, and ids after their session's end.
func TestForgedIDs(t *testing.T) {
	s := open(t, calm())
	old := s.poll(4)
	s.post(4, old, "1").expect(t, 200, "ok")
	s.get(4, old).expect(t, 200, "6") // it may have been sent together with the goodbye, and is the last
	for _, sid := range []string{old, "zzz", " ", "\x00", "../../etc/passwd", "__proto__", strings.Repeat("A", 20), strings.Repeat("A", 60_000), "é", "%", "\r\nX: y"} {
		for _, a := range []answer{s.get(4, sid), s.post(4, sid, "4x")} {
			a.expect(t, 400, `{"code":1,"message":"Session ID unknown"}`)
		}
	}
	if _, err := s.tryDial("EIO=4&transport=websocket&sid=" + old); err == nil {
		t.Error("it has been upgraded after its end")
	}
}

// 20: ids are different, and of 120 random bits.
func TestIDs(t *testing.T) {
	s := open(t, calm())
	seen := map[string]bool{}
	for range 100 {
		sid := s.poll(4)
		if seen[sid] || len(sid) != 20 || strings.Trim(sid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatal(sid)
		}
		seen[sid] = true
	}
}

// 20: queries that are too long or malformed.
func TestQueries(t *testing.T) {
	s := open(t, calm())
	for _, q := range []string{"EIO=4&transport=polling&t=" + strings.Repeat("x", 500_000), "EIO=4&transport=polling" + strings.Repeat("&a", 50_000)} {
		if a := s.do("GET", "/engine.io/?"+q, ""); a.err == nil && a.status != 200 && a.status != 431 && a.status != 400 {
			t.Error(a)
		}
	}
	for _, q := range []string{"", "EIO=4", "%zz", "EIO=4;transport=polling", "EIO=4&EIO=3&transport=x&transport=polling", strings.Repeat("&", 10_000)} {
		a := s.do("GET", "/engine.io/?"+q, "")
		a.expect(t, 400, `{"code":0,"message":"Transport unknown"}`)
	}
}

// 20: two GETs at once, two POSTs at once: the session ends, and both are answered.
func TestConcurrentRequests(t *testing.T) {
	t.Run("POST", func(t *testing.T) {
		e := calm()
		all := ends(e)
		s := open(t, e)
		sid := s.poll(4)
		r, w := io.Pipe()
		first := make(chan answer, 1)
		go func() { first <- s.doContext(context.Background(), "POST", s.query(4, sid), r) }()
		_, _ = w.Write([]byte("4x"))
		until(t, "the overlap is noticed", func() bool { return s.post(4, sid, "4y").status == 400 })
		w.Close()
		receive(t, "the first", first)
		expectReason(t, all, engineio.TransportError)
	})
	t.Run("GET", func(t *testing.T) {
		e := calm()
		all := ends(e)
		s := open(t, e)
		sid := s.poll(4)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if a := s.get(4, sid); a.err != nil || a.status == 200 && a.body != "1" {
					t.Error(a)
				}
			})
		}
		group.Wait()
		expectReason(t, all, engineio.TransportError)
	})
}

// 20, 22: a GET and an upgrade race, again and again.
func TestPollAndUpgradeRace(t *testing.T) {
	e := calm()
	s := open(t, e)
	for range 50 {
		sid := s.poll(4)
		session := e.Session(sid)
		got := make(chan string, 1)
		go func() { got <- s.get(4, sid).body }()
		c := s.dial("EIO=4&transport=websocket&sid=" + sid)
		c.send("2probe", "5")
		c.expect("3probe")
		_ = session.Send(text("x"))
		select {
		case body := <-got: // by polling, or over WebSocket
			switch body {
			case "4x":
			case "6", `{"code":3,"message":"Bad request"}`:
				c.expect("4x")
			default:
				t.Fatal(body)
			}
		case <-time.After(patience):
			t.Fatal("the poll waits on")
		}
		c.echoes(ws.Text, "4last")
		c.CloseNow()
	}
	until(t, "all have gone", func() bool { return e.Len() == 0 })
}

// 21: a POST that takes too long is cut off, and its session with it.
func TestSlowPost(t *testing.T) {
	e := echo()
	all := ends(e)
	s := open(t, e)
	within(t, "a POST", 2*time.Second, func() time.Duration {
		start := time.Now()
		sid := s.poll(4)
		_, r := s.raw(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4", s.query(4, sid)))
		if err := receive(t, "OnClose", all); err.Reason != engineio.PingTimeout && err.Reason != engineio.TransportError { // whichever clock is faster
			t.Error(err)
		}
		resp, err := http.ReadResponse(r, nil)
		took := time.Since(start)
		if took < 400*time.Millisecond || err == nil && resp.StatusCode != 400 {
			t.Error(took, resp, err)
		}
		return took
	})
}

// A POST that is broken off ends the session.
func TestAbortedPost(t *testing.T) {
	e := calm()
	all := ends(e)
	s := open(t, e)
	sid := s.poll(4)
	c, _ := s.raw(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4", s.query(4, sid)))
	c.Close()
	expectReason(t, all, engineio.TransportError)
}

// A poll that is broken off ends the session, and what it would have got is not lost without a word.
func TestAbortedPoll(t *testing.T) {
	e := calm()
	all := ends(e)
	s := open(t, e)
	for range 20 {
		sid := s.poll(4)
		session := e.Session(sid)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan answer, 1)
		go func() { done <- s.doContext(ctx, "GET", s.query(4, sid), nil) }()
		until(t, "a poll", session.Writable)
		cancel()
		<-done
		expectReason(t, all, engineio.TransportError)
		if err := session.Send(text("x")); err != engineio.ErrClosed {
			t.Error(err)
		}
	}
}

// Who does not take the answer to his poll holds nobody up for ever.
func TestDeafPoll(t *testing.T) {
	e := echo()
	e.Options.MaxBuffered = 64 << 20
	e.OnOpen = func(s *engineio.Session, _ *http.Request) {
		_ = s.Send(engineio.Message{Data: bytes.Repeat([]byte("x"), 32<<20)})
	}
	all := ends(e)
	s := open(t, e)
	sid := s.poll(4)
	c, _ := s.raw("GET " + s.query(4, sid) + " HTTP/1.1\r\nHost: x\r\n\r\n")
	err := receive(t, "OnClose", all)
	if err.Reason != engineio.PingTimeout && err.Reason != engineio.TransportError {
		t.Error(err)
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.http.Config.Shutdown(ctx); err != nil {
		t.Error("somebody still writes:", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Error(took)
	}
	c.Close()
}

// 22: POSTs flood in while the client upgrades: what is handled is in order, and nothing twice.
func TestFloodWhileUpgrading(t *testing.T) {
	e := calm()
	next := 0
	done := make(chan struct{})
	e.OnMessage = func(_ *engineio.Session, m engineio.Message) {
		var i int
		if fmt.Sscan(string(m.Data), &i); i < next {
			t.Errorf("%d came after %d", i, next)
		}
		if next = i + 1; i == 1<<30 {
			close(done)
		}
	}
	s := open(t, e)
	sid := s.poll(4)
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for i := 0; ; i += 2 {
			select {
			case <-stop:
				return
			default:
				s.post(4, sid, fmt.Sprintf("4%d\x1e4%d", i, i+1)) // refused after the upgrade
			}
		}
	})
	until(t, "an upgrade amid it", func() bool {
		c, err := s.tryDial("EIO=4&transport=websocket&sid=" + sid)
		if err != nil {
			return false
		}
		c.send("2probe")
		if _, err := c.read(); err != nil {
			return false
		}
		c.send("5")
		if until(t, "it has taken over, or failed", func() bool {
			return e.Session(sid).Transport() == engineio.WebSocket || c.Write(context.Background(), ws.Text, []byte("6")) != nil
		}); e.Session(sid).Transport() != engineio.WebSocket {
			return false
		}
		c.send(fmt.Sprint("4", 1<<30))
		return true
	})
	close(stop)
	group.Wait()
	receive(t, "the last", done)
}

// How a client leaves is told.
func TestReasons(t *testing.T) {
	for _, test := range []struct {
		name   string
		leave  func(c *wire)
		reason engineio.Reason
	}{
		{"normal", func(c *wire) { _ = c.Close(context.Background(), ws.StatusNormalClosure, "") }, engineio.TransportClose},
		{"going away", func(c *wire) { _ = c.Close(context.Background(), ws.StatusGoingAway, "") }, engineio.TransportClose},
		{"no status", func(c *wire) { _ = c.Close(context.Background(), ws.StatusNoStatus, "") }, engineio.TransportClose},
		{"cut", func(c *wire) { c.CloseNow() }, engineio.TransportClose},
		{"failed", func(c *wire) { _ = c.Close(context.Background(), ws.StatusInternalError, "") }, engineio.TransportError},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := calm()
			all := ends(e)
			s := open(t, e)
			c, h := s.connect(4)
			session := e.Session(h.SID)
			test.leave(c)
			err := expectReason(t, all, test.reason)
			if !strings.HasPrefix(err.Error(), "engineio: "+string(test.reason)) || errors.Unwrap(err) == nil {
				t.Error(err)
			}
			if session.Send(text("x")) != engineio.ErrClosed {
				t.Error("it can be sent something")
			}
		})
	}
}
