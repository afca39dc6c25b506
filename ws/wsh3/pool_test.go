package wsh3_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"baro.dev/internal/testkit"
	"baro.dev/ws"
	"baro.dev/ws/internal/streamtest"
	"baro.dev/ws/wsh3"
)

// echoServer starts a server that echoes.
func echoServer(t testing.TB) *server {
	return serve(t, streamtest.Echoes(ws.AcceptOptions{})["Server"], nil)
}

// open opens a WebSocket; t's cleanup ends it.
func open(t testing.TB, url string, streams *wsh3.Streams) *ws.Conn {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), url, &ws.DialOptions{Streams: streams})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// echo sends a message and waits for it to come back.
func echo(t testing.TB, c *ws.Conn, text string) {
	t.Helper()
	if err := c.Write(t.Context(), ws.Text, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Read(t.Context()); err != nil || m.String() != text {
		t.Fatalf("%q came back as %q, %v", text, m, err)
	}
}

// More WebSockets than a server lets a connection have make further connections.
func TestMaxStreams(t *testing.T) {
	testkit.NoLeaks(t)
	s := echoServer(t) // allows 100, which is the default here, too
	streams := s.streams(t)
	conns := make([]*ws.Conn, 150)
	for i := range conns {
		conns[i] = open(t, s.url, streams)
	}
	for _, c := range conns {
		echo(t, c, "hello")
	}
	if n := len(s.accepted()); n != 2 {
		t.Errorf("%d connections", n)
	}
	// Room that has become free is used.
	for _, c := range conns[:20] {
		if err := c.Close(t.Context(), ws.StatusNormalClosure, ""); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		echo(t, open(t, s.url, streams), "again")
	}
	if n := len(s.accepted()); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// Where the server allows fewer, who comes too many waits, as long as ctx allows.
func TestStreamLimitOfServer(t *testing.T) {
	testkit.NoLeaks(t)
	s := serve(t, streamtest.Echoes(ws.AcceptOptions{})["Server"], &quic.Config{MaxIncomingStreams: 2})
	streams := s.streams(t)
	first := open(t, s.url, streams)
	open(t, s.url, streams)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := ws.Dial(ctx, s.url, &ws.DialOptions{Streams: streams}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	third := make(chan *ws.Conn)
	go func() {
		c, _, err := ws.Dial(t.Context(), s.url, &ws.DialOptions{Streams: streams})
		if err != nil {
			t.Error(err)
		}
		third <- c
	}()
	first.Close(t.Context(), ws.StatusNormalClosure, "")
	c := testkit.Within(t, "room", third)
	defer c.CloseNow()
	echo(t, c, "hello")
}

// A connection that has died is replaced.
func TestRedial(t *testing.T) {
	testkit.NoLeaks(t)
	s := echoServer(t)
	streams := s.streams(t)
	for i := range 5 {
		c := open(t, s.url, streams)
		echo(t, c, "hello")
		if n := len(s.accepted()); n != i+1 {
			t.Fatalf("%d connections, not %d", n, i+1)
		}
		s.cut()
		if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
			t.Error(err)
		}
	}
}

// A server that shuts down lets what is open go on, and what is new goes elsewhere (RFC 9114 5.2).
func TestGoAway(t *testing.T) {
	testkit.NoLeaks(t)
	old, next := echoServer(t), echoServer(t)
	target := atomic.Pointer[server]{}
	target.Store(old)
	cert := old.roots
	streams := &wsh3.Streams{Transport: &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: cert},
		Dial: func(ctx context.Context, _ string, config *tls.Config, quicConfig *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, target.Load().socket.LocalAddr().String(), config, quicConfig)
		},
	}}
	t.Cleanup(func() { streams.Close() })
	const url = "wss://127.0.0.1"
	first := open(t, url, streams)
	shut := make(chan error, 1)
	go func() { shut <- old.Shutdown(t.Context()) }()
	target.Store(next)
	for len(next.accepted()) == 0 { // until the old one has said so
		c := open(t, url, streams)
		echo(t, c, "which?")
		c.Close(t.Context(), ws.StatusNormalClosure, "")
	}
	echo(t, first, "still here")
	if err := first.Close(t.Context(), ws.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	if err := testkit.Within(t, "Shutdown", shut); err != nil {
		t.Error(err)
	}
	echo(t, open(t, url, streams), "hello")
}

// A request that a server has not looked at is sent again, on another connection (RFC 9114 4.1.1), but not for ever.
func TestRejected(t *testing.T) {
	testkit.NoLeaks(t)
	var requests atomic.Int32
	var rejecting atomic.Bool
	s := serveGated(t, streamtest.Echoes(ws.AcceptOptions{})["Server"], func() bool {
		return requests.Add(1) != 2 && !rejecting.Load()
	})
	streams := s.streams(t)
	first := open(t, s.url, streams)
	echo(t, open(t, s.url, streams), "hello")
	echo(t, first, "still here")
	if n := len(s.accepted()); n != 2 || requests.Load() != 3 {
		t.Errorf("%d connections, %d requests", n, requests.Load())
	}
	rejecting.Store(true)
	_, _, err := ws.Dial(t.Context(), s.url, &ws.DialOptions{Streams: streams})
	if he, ok := errors.AsType[*http3.Error](err); !ok || he.ErrorCode != http3.ErrCodeRequestRejected {
		t.Error(err)
	}
	if requests.Load() != 5 {
		t.Errorf("%d requests", requests.Load())
	}
}

func TestIdleTimeout(t *testing.T) {
	for _, timeout := range []time.Duration{-1, time.Nanosecond, 20 * time.Millisecond} {
		t.Run(timeout.String(), func(t *testing.T) {
			testkit.NoLeaks(t)
			s := echoServer(t)
			streams := s.streams(t)
			streams.IdleTimeout = timeout
			for i := range 3 {
				c, other := open(t, s.url, streams), open(t, s.url, streams)
				c.Close(t.Context(), ws.StatusNormalClosure, "")
				echo(t, other, "hello")
				other.Close(t.Context(), ws.StatusNormalClosure, "")
				conns := s.accepted()
				if len(conns) != i+1 {
					t.Fatalf("%d connections", len(conns))
				}
				testkit.Within(t, "the connection to close", conns[i].Context().Done())
			}
		})
	}
}

// Dialling goes on as long as somebody waits for it.
func TestDialCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, ended := 0, 0
		streams := &wsh3.Streams{Transport: &http3.Transport{
			Dial: func(ctx context.Context, _ string, _ *tls.Config, _ *quic.Config) (*quic.Conn, error) {
				begun++
				<-ctx.Done()
				ended++
				return nil, ctx.Err()
			},
		}}
		cause := errors.New("changed my mind")
		dial := func() (context.CancelCauseFunc, chan error) {
			ctx, cancel := context.WithCancelCause(t.Context())
			result := make(chan error, 1)
			go func() {
				_, _, err := ws.Dial(ctx, "wss://example.com", &ws.DialOptions{Streams: streams})
				result <- err
			}()
			synctest.Wait()
			return cancel, result
		}
		check := func(wantBegun, wantEnded int) {
			t.Helper()
			synctest.Wait()
			if begun != wantBegun || ended != wantEnded {
				t.Errorf("dialling begun %d times, ended %d times; not %d, %d", begun, ended, wantBegun, wantEnded)
			}
		}
		cancel1, result1 := dial()
		cancel2, result2 := dial()
		check(1, 0)
		cancel1(cause)
		if err := <-result1; !errors.Is(err, cause) {
			t.Error(err)
		}
		check(1, 0)
		cancel2(cause)
		if err := <-result2; !errors.Is(err, cause) {
			t.Error(err)
		}
		check(1, 1)
		// It is begun anew for who comes then.
		cancel3, result3 := dial()
		check(2, 1)
		streams.Close()
		if err := <-result3; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		check(2, 2)
		cancel3(nil)
	})
}

func TestClose(t *testing.T) {
	testkit.NoLeaks(t)
	s := echoServer(t)
	streams := s.streams(t)
	c := open(t, s.url, streams)
	echo(t, c, "hello")
	if err := streams.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
		t.Error(err)
	}
	if _, _, err := ws.Dial(t.Context(), s.url, &ws.DialOptions{Streams: streams}); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := streams.Close(); err != nil {
		t.Error(err)
	}
}

// Everything at once, for the race detector.
func TestTurmoil(t *testing.T) {
	testkit.NoLeaks(t)
	s := echoServer(t)
	streams := s.streams(t)
	streams.MaxStreams = 3
	streams.IdleTimeout = time.Millisecond
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			for j := range 10 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i*j)*time.Millisecond)
				c, _, err := ws.Dial(ctx, s.url, &ws.DialOptions{Streams: streams})
				if err == nil {
					if c.Write(ctx, ws.Text, []byte("hello")) == nil {
						c.Read(ctx)
					}
					if j%2 == 0 {
						c.Close(ctx, ws.StatusNormalClosure, "")
					}
					c.CloseNow()
				}
				cancel()
				if i == 0 && j%3 == 0 {
					s.cut()
				}
			}
		})
	}
	group.Wait()
	c, _, err := ws.Dial(t.Context(), s.url, &ws.DialOptions{Streams: streams})
	if err != nil { // it had not heard yet that the last connection was cut, and has now
		c = open(t, s.url, streams)
	}
	defer c.CloseNow()
	echo(t, c, "all is well")
}
