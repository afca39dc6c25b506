package bridge_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/cli/bridge"
	"baro.dev/internal/cli/listener"
	"baro.dev/internal/neterr"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// question reads to the end of a half, and answers with what it was.
func question(c *net.TCPConn) {
	h := sha256.New()
	n, err := io.Copy(h, c)
	if err == nil {
		fmt.Fprintf(c, "%d %x", n, h.Sum(nil))
	}
}

// Both halves of a connection end by themselves, through two bridges, and nothing of several MB is lost or changed.
func TestHalfClose(t *testing.T) {
	testkit.NoLeaks(t)
	for name, change := range map[string]func(*bridge.Config){
		"plain":      nil,
		"compressed": func(c *bridge.Config) { c.Compression = ws.Compression{Enabled: true} },
	} {
		t.Run(name, func(t *testing.T) {
			c := dialTCP(t, both(t, listenTCP(t, question), change))
			data := make([]byte, 4<<20)
			random := rand.NewChaCha8([32]byte{1})
			_, _ = random.Read(data[:len(data)/2])
			if _, err := c.Write(data); err != nil {
				t.Fatal(err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c)
			if want := fmt.Sprintf("%d %x", len(data), sha256.Sum256(data)); string(got) != want || err != nil {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		})
	}
}

// What a target says before it ends the connection comes whole, and then the WebSocket is closed with 1000.
func TestTargetEnds(t *testing.T) {
	testkit.NoLeaks(t)
	said := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	c := dialWS(t, front(t, listenTCP(t, func(c *net.TCPConn) { _, _ = c.Write(said) }), nil), nil)
	var got []byte
	for {
		m, err := c.Read(t.Context())
		if err != nil {
			if ws.CloseStatus(err) != ws.StatusNormalClosure {
				t.Error(err)
			}
			break
		}
		got = append(got, m.Data...)
	}
	if !bytes.Equal(got, said) {
		t.Errorf("%d bytes have come of %d", len(got), len(said))
	}
}

// What a client says before it closes comes whole, though the target still speaks, and then the end of its half.
func TestClientCloses(t *testing.T) {
	testkit.NoLeaks(t)
	got := make(chan int64, 1)
	url := front(t, listenTCP(t, func(c *net.TCPConn) {
		_, _ = c.Write(make([]byte, 100<<10)) // which nobody reads
		n, err := io.Copy(io.Discard, c)
		if err != nil {
			t.Error(err)
		}
		got <- n
	}), nil)
	c := dialWS(t, url, nil)
	const n = 3 << 20
	for range 3 {
		if err := c.Write(t.Context(), ws.Binary, make([]byte, n/3)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(t.Context(), ws.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	if n2 := testkit.Within(t, "what was sent", got); n2 != n {
		t.Errorf("%d bytes have come of %d", n2, n)
	}
}

// A connection that breaks is no orderly end on the other side.
func TestBreaks(t *testing.T) {
	testkit.NoLeaks(t)
	t.Run("of the client", func(t *testing.T) {
		ended := make(chan error, 1)
		c := dialWS(t, front(t, listenTCP(t, func(c *net.TCPConn) {
			_, err := io.Copy(io.Discard, c)
			ended <- err
		}), nil), nil)
		if err := c.Write(t.Context(), ws.Binary, []byte("half of")); err != nil {
			t.Fatal(err)
		}
		c.CloseNow()
		if err := testkit.Within(t, "the end", ended); !errors.Is(err, neterr.ErrReset) {
			t.Errorf("the target sees %v", err)
		}
	})
	t.Run("of the target", func(t *testing.T) {
		c := dialWS(t, front(t, listenTCP(t, func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 1))
			_ = c.SetLinger(0)
		}), nil), nil)
		if err := c.Write(t.Context(), ws.Binary, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusInternalError {
			t.Errorf("the client sees %v", err)
		}
	})
	t.Run("both bridges", func(t *testing.T) {
		c := dialTCP(t, both(t, listenTCP(t, func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 1))
			_ = c.SetLinger(0)
		}), nil))
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, neterr.ErrReset) {
			t.Errorf("the client sees %v", err)
		}
	})
}

// A target that does not answer its door is said by the close code, and nothing else of it.
func TestNoTarget(t *testing.T) {
	testkit.NoLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := l.Addr().String()
	l.Close()
	c := dialWS(t, front(t, gone, nil), nil)
	_, err = c.Read(t.Context())
	if ws.CloseStatus(err) != ws.StatusBadGateway || strings.Contains(err.Error(), gone) {
		t.Error(err)
	}
	// Over two bridges: the client is reset, since an end in good order would be an answer.
	isReset(t, both(t, gone, nil))
}

// The slow side sets the pace: what a fast one can send while nobody reads is bounded.
func TestBackpressure(t *testing.T) {
	testkit.NoLeaks(t)
	for _, toTarget := range []bool{true, false} {
		t.Run(map[bool]string{true: "to the target", false: "from the target"}[toTarget], func(t *testing.T) {
			small := func(c *net.TCPConn) {
				_ = c.SetReadBuffer(64 << 10)
				_ = c.SetWriteBuffer(64 << 10)
			}
			stop := make(chan struct{})
			sent := make(chan int, 1)
			flood := func(c *net.TCPConn) {
				small(c)
				total := 0
				for {
					// What stands still for this long is stopped by who does not read.
					_ = c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
					n, err := c.Write(make([]byte, 64<<10))
					total += n
					if err != nil || total > 256<<20 {
						sent <- total
						return
					}
				}
			}
			idle := func(c *net.TCPConn) {
				small(c)
				<-stop
			}
			handle, client := idle, flood
			if !toTarget {
				handle, client = flood, idle
			}
			c := dialTCP(t, both(t, listenTCP(t, handle), nil))
			t.Cleanup(sync.OnceFunc(func() { close(stop) }))
			go client(c)
			// The kernel's buffers of three connections, 4 MB each at most, and two queues.
			if n := testkit.Within(t, "the stop", sent); n > 40<<20 {
				t.Errorf("%d MB were taken that nobody has read", n>>20)
			}
		})
	}
}

// Connections that are cut at any moment, at any of their ends, leave nothing behind, and others go on.
func TestCuts(t *testing.T) {
	testkit.NoLeaks(t)
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	moment := func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(random.IntN(20_000)) * time.Microsecond
	}
	chance := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	cut := func(c *net.TCPConn) {
		switch chance(3) {
		case 0:
			_ = c.SetLinger(0)
		case 1:
			_ = c.CloseWrite()
		}
		c.Close()
	}
	addr := both(t, listenTCP(t, func(c *net.TCPConn) {
		if chance(2) == 0 {
			defer time.AfterFunc(moment(), func() { cut(c) }).Stop()
		}
		echo(c)
	}), func(c *bridge.Config) { c.Linger = time.Second })
	steady := dialTCP(t, addr)
	var all sync.WaitGroup
	for range 150 {
		all.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer time.AfterFunc(moment(), func() { cut(c.(*net.TCPConn)) }).Stop()
			go func() { _, _ = io.Copy(io.Discard, c) }()
			for {
				if _, err := c.Write(make([]byte, 1+chance(100_000))); err != nil {
					c.Close()
					return
				}
			}
		})
	}
	all.Wait()
	// The steady one may have been cut by its target, but not held up.
	_ = steady.SetDeadline(time.Now().Add(testkit.Patience))
	if _, err := steady.Write([]byte("x")); err == nil {
		if _, err := steady.Read(make([]byte, 1)); err != nil && errors.Is(err, syscall.ETIMEDOUT) {
			t.Error(err)
		}
	}
	steady.Close()
}

// Silence ends a connection, if that is wanted; data keeps it.
func TestIdle(t *testing.T) {
	testkit.NoLeaks(t)
	url := front(t, listenTCP(t, echo), func(c *bridge.Config) { c.IdleTimeout = 300 * time.Millisecond })
	c := dialWS(t, url, nil)
	began := time.Now()
	echoes(t, c)
	_, err := c.Read(t.Context())
	if ws.CloseStatus(err) != ws.StatusGoingAway || time.Since(began) < 300*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// As many connections as allowed: WebSocket says so by 503, TCP by a reset.
func TestFull(t *testing.T) {
	testkit.NoLeaks(t)
	one := func(c *bridge.Config) { c.MaxConnections = 1 }
	url := front(t, listenTCP(t, echo), one)
	c := dialWS(t, url, nil)
	echoes(t, c)
	if got := refused(t, url, nil); got != 503 {
		t.Errorf("status %d", got)
	}
	if err := c.Close(t.Context(), ws.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	addr := serve(t, bridge.Config{From: endpoint(t, "tcp://127.0.0.1:0"), To: endpoint(t, front(t, listenTCP(t, echo), nil)), MaxConnections: 1})
	first := dialTCP(t, addr)
	if _, err := first.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(first, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	isReset(t, addr)
}

// A bridge that stops says so to both sides.
func TestStop(t *testing.T) {
	testkit.NoLeaks(t)
	b := opened(t, bridge.Config{From: endpoint(t, "ws://127.0.0.1:0"), To: endpoint(t, "tcp://"+listenTCP(t, echo))})
	ctx, stop := context.WithCancelCause(context.Background())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx) }()
	c := dialWS(t, "ws://"+b.Addr().String(), nil)
	echoes(t, c)
	stop(errStopped)
	if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusGoingAway {
		t.Error(err)
	}
	if err := testkit.Within(t, "the end", served); !errors.Is(err, errStopped) {
		t.Error(err)
	}
}

// Text is bytes like any other, and one side may speak TLS, at a unix socket the other.
func TestEnds(t *testing.T) {
	testkit.NoLeaks(t)
	socket := t.TempDir() + "/s"
	config, _, err := listener.TLS{SelfMade: true}.Config()
	if err != nil {
		t.Fatal(err)
	}
	secure := "wss://" + serve(t, bridge.Config{From: endpoint(t, "wss://127.0.0.1:0/x"), To: endpoint(t, "unix://"+socket), TLS: config}) + "/x"
	serve2(t, socket, listenTCP(t, echo))
	c := dialWS(t, secure, &ws.DialOptions{TLS: &tls.Config{InsecureSkipVerify: true}, Subprotocols: []string{"base64", "binary"}})
	if c.Subprotocol() != "binary" {
		t.Errorf("the subprotocol is %q", c.Subprotocol())
	}
	if err := c.Write(t.Context(), ws.Text, []byte("pi")); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Read(t.Context()); err != nil || m.String() != "pi" {
		t.Fatal(m, err)
	}
	echoes(t, c)
	if got := refused(t, strings.TrimSuffix(secure, "x")+"y", &ws.DialOptions{TLS: &tls.Config{InsecureSkipVerify: true}}); got != 404 {
		t.Errorf("another path: %d", got)
	}
}

// serve2 is a unix socket whose connections come to a target of TCP over a WebSocket.
func serve2(t *testing.T, socket, to string) {
	t.Helper()
	b := opened(t, bridge.Config{From: endpoint(t, "unix://"+socket), To: endpoint(t, front(t, to, nil))})
	run(t, b)
}
