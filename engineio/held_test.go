package engineio_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// held opens a WebSocket whose handler is stuck, with so much behind it that nothing more is read.
func held(t *testing.T, e *engineio.Server) *ws.Conn {
	t.Helper()
	release := make(chan struct{})
	e.OnMessage = func(*engineio.Session, engineio.Message) { <-release }
	opened := make(chan *engineio.Session, 1)
	e.OnOpen = func(s *engineio.Session, _ *http.Request) { opened <- s }
	s := open(t, e)
	t.Cleanup(func() { close(release) }) // before those of open
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(s.http.URL, "http")+"/engine.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	session := receive(t, "OnOpen", opened)
	for range 2 {
		if err := c.Write(ctx, ws.Text, []byte("4"+strings.Repeat("x", 300_000))); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "reading pauses", func() bool { return engineio.Crowded(session) })
	return c
}

// A client whose messages are not read goes on getting pings, or it would take the server for gone.
func TestPingsWhileHandlerBlocks(t *testing.T) { pinged(t, held(t, echo()), 4) }

// pinged reads until so many pings have come.
func pinged(t *testing.T, c *ws.Conn, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for pings := 0; pings < times; {
		m, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("after %d pings: %v", pings, err)
		}
		if string(m.Data) == "2" {
			pings++
		}
	}
}

// That a client has vanished is noticed though nothing is read from it.
func TestVanishedWhileHandlerBlocks(t *testing.T) {
	e := echo()
	ended := make(chan *engineio.CloseError, 1)
	e.Ended = func(_ *engineio.Session, why *engineio.CloseError) { ended <- why }
	c := held(t, e)
	pinged(t, c, 1)
	_ = c.UnderlyingConn().(*net.TCPConn).SetLinger(0) // a reset, as that of a machine that has begun anew
	_ = c.CloseNow()
	receive(t, "the end", ended)
}

// A client that polls is gone when its poll is, though its messages wait for a handler that is stuck.
func TestVanishedPollWhileHandlerBlocks(t *testing.T) {
	e := echo()
	var release chan struct{}
	e.OnMessage = func(*engineio.Session, engineio.Message) { <-release }
	var ended atomic.Pointer[engineio.CloseError]
	e.Ended = func(_ *engineio.Session, why *engineio.CloseError) { ended.Store(why) }
	inBubble(t, e, func(b *bubble) {
		release = make(chan struct{})
		sid := b.open("4")
		big := "4" + strings.Repeat("x", 300_000)
		go b.do("POST", "EIO=4&sid="+sid, big+"\x1e"+big)
		for range 10 { // it is there, and answers the pings in vain
			if a := b.do("GET", "EIO=4&sid="+sid, ""); a.body != "2" {
				t.Fatal(a)
			}
		}
		synctest.Wait()
		if why := ended.Load(); why != nil {
			t.Error(why)
		}
		time.Sleep(5 * time.Second)
		if ended.Load() == nil {
			t.Error("that it has gone was not noticed")
		}
		close(release)
		synctest.Wait()
	})
}
