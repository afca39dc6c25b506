package ws_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"baro.dev/ws"
)

// The contract of net.Conn, as golang.org/x/net/nettest has it.
func TestNetConnContract(t *testing.T) {
	o := ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 16 << 10}}
	for _, l := range links {
		if l.name == "wss" {
			continue // as "pipe", for all that a net.Conn can tell
		}
		t.Run(l.name, func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				client, server := l.open(t, o)
				a := ws.NetConn(context.Background(), client, ws.Binary)
				b := ws.NetConn(context.Background(), server, ws.Binary)
				return a, b, func() {
					var wg sync.WaitGroup
					wg.Go(func() { a.Close() })
					wg.Go(func() { b.Close() })
					wg.Wait()
				}, nil
			})
		})
	}
}

// netConns returns both ends of a stream.
func netConns(t *testing.T, ctx context.Context) (a, b net.Conn, client, server *ws.Conn) {
	client, server = openPipe(t, ws.AcceptOptions{})
	return ws.NetConn(ctx, client, ws.Binary), ws.NetConn(ctx, server, ws.Binary), client, server
}

func TestNetConnStream(t *testing.T) {
	ctx := t.Context()
	a, b, client, server := netConns(t, ctx)
	// A message for each Write, joined by Read, whatever the sizes; empty ones say nothing.
	go func() {
		for _, p := range []string{"ab", "", "cdef", text(100_000, 0)} {
			io.WriteString(a, p)
		}
		client.Write(ctx, ws.Binary, nil)
		a.Close()
	}()
	var p [3]byte
	if _, err := io.ReadFull(b, p[:]); err != nil || string(p[:]) != "abc" {
		t.Fatal(string(p[:]), err)
	}
	rest, err := io.ReadAll(b)
	if err != nil || string(rest) != "def"+text(100_000, 0) {
		t.Fatal(len(rest), err)
	}
	// A close that is not normal is not the end of the data; nor is EOF what a write returns.
	if _, err := b.Write([]byte("x")); err == nil || err == io.EOF {
		t.Error(err)
	}
	if ws.CloseStatus(server.Err()) != ws.StatusNormalClosure {
		t.Error(server.Err())
	}
	for _, c := range []net.Conn{a, b} {
		if c.LocalAddr() == nil || c.RemoteAddr() == nil || c.LocalAddr().String() == "" {
			t.Error(c.LocalAddr(), c.RemoteAddr())
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := a.Read(p[:]); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := a.Write(p[:]); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}

	a, b, _, server = netConns(t, ctx)
	go server.Close(ctx, ws.StatusInternalError, "")
	if _, err := a.Read(p[:]); ws.CloseStatus(err) != ws.StatusInternalError {
		t.Error(err)
	}
	_ = b
}

// A message of the other type is not data.
func TestNetConnType(t *testing.T) {
	a, _, client, server := netConns(t, t.Context())
	writeSoon(t, server, "text")
	if _, err := a.Read(make([]byte, 10)); ws.CloseStatus(err) != ws.StatusUnsupportedData || !strings.Contains(err.Error(), "text message") {
		t.Error(err)
	}
	if _, err := server.Read(t.Context()); ws.CloseStatus(err) != ws.StatusUnsupportedData {
		t.Error(err)
	}
	if client.Err() == nil {
		t.Error("still open")
	}
}

// The connection goes on after a deadline, in the middle of a message too. The end of ctx is the end.
func TestNetConnDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		a, b, client, server := netConns(t, ctx)
		w, err := client.Writer(t.Context(), ws.Binary)
		if err != nil {
			t.Fatal(err)
		}
		written := make(chan struct{})
		go func() {
			io.WriteString(w, text(20_000, 0))
			close(written)
		}()
		p := make([]byte, 30_000)
		b.SetReadDeadline(time.Now().Add(time.Second))
		start := time.Now()
		n, err := io.ReadFull(b, p)
		var timeout net.Error
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatal(n, err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		b.SetReadDeadline(time.Time{})
		<-written
		go func() {
			w.Write([]byte("the end"))
			w.Close()
		}()
		rest := len(text(20_000, 0)) + len("the end") - n
		if m, err := io.ReadFull(b, p[n:n+rest]); m != rest || err != nil {
			t.Fatal(m, err)
		}
		if got := string(p[:n+rest]); got != text(20_000, 0)+"the end" {
			t.Errorf("%d bytes", len(got))
		}
		// A deadline that is moved while somebody waits.
		b.SetDeadline(time.Now().Add(time.Minute))
		time.AfterFunc(time.Second, func() { b.SetDeadline(time.Now().Add(time.Second)) })
		start = time.Now()
		if _, err := b.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Error(err, time.Since(start))
		}
		b.SetDeadline(time.Time{})
		go io.WriteString(a, "on")
		if n, err := b.Read(p); string(p[:n]) != "on" || err != nil {
			t.Error(n, err)
		}
		cancel(errCancelled)
		if _, err := b.Read(p); err != errCancelled {
			t.Error(err)
		}
		if _, err := a.Write(p); err != errCancelled {
			t.Error(err)
		}
		if err := server.Err(); err != nil {
			t.Error(err)
		}
	})
}
