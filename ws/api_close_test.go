package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// Both sides learn how the connection ended, by every way of asking.
func TestClose(t *testing.T) {
	for _, tt := range []struct {
		code         ws.StatusCode
		reason, want string
	}{
		{ws.StatusNormalClosure, "", ""},
		{ws.StatusNormalClosure, "안녕", "안녕"},
		{ws.StatusNoStatus, "not sent", ""},
		{ws.StatusBadGateway, "gateway", "gateway"},
		{3000, "library", "library"},
		{4999, strings.Repeat("x", 123), strings.Repeat("x", 123)},
		{1001, strings.Repeat("x", 124), strings.Repeat("x", 123)},
		{1001, strings.Repeat("한", 42), strings.Repeat("한", 41)}, // cut between characters
		{1001, "bad \xff", ""},
	} {
		eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
			for _, c := range []*ws.Conn{client, server} {
				if c.Err() != nil || c.Context().Err() != nil {
					t.Fatal("ended before it began")
				}
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := server.Read(t.Context())
				var ce *ws.CloseError
				if !errors.As(err, &ce) || !ce.Remote || ce.Code != tt.code || ce.Reason != tt.want || err != server.Err() {
					t.Error(err)
				}
			})
			if err := client.Close(t.Context(), tt.code, tt.reason); err != nil {
				t.Error(err)
			}
			wg.Wait()
			for _, c := range []*ws.Conn{client, server} {
				<-c.Done()
				<-c.Context().Done()
				if context.Cause(c.Context()) != c.Err() || ws.CloseStatus(c.Err()) != tt.code {
					t.Error(c.Err(), context.Cause(c.Context()))
				}
			}
			if !errors.Is(client.Err(), ws.ErrClosed) || !errors.Is(client.Err(), net.ErrClosed) || errors.Is(server.Err(), ws.ErrClosed) {
				t.Error(client.Err(), server.Err())
			}
		})
	}
}

func TestCloseRefused(t *testing.T) {
	client, server := openPipe(t, ws.AcceptOptions{})
	for _, code := range []ws.StatusCode{0, 999, 1004, ws.StatusAbnormalClosure, ws.StatusTLSHandshake, 1016, 2999, 5000} {
		if err := client.Close(t.Context(), code, ""); err == nil || client.Err() != nil {
			t.Errorf("%v: %v", code, err)
		}
	}
	writeSoon(t, client, "still here")
	mustRead(t, server, "still here")
}

// Any number of goroutines may close, on both sides at once; both close frames are exchanged.
func TestCloseConcurrently(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		var wg sync.WaitGroup
		for _, c := range []*ws.Conn{client, server} {
			wg.Go(func() { c.Read(t.Context()) })
			wg.Go(func() { c.Ping(t.Context()) })
			for i := range 4 {
				wg.Go(func() {
					if err := c.Close(t.Context(), 4000+ws.StatusCode(i), ""); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		for _, c := range []*ws.Conn{client, server} {
			<-c.Done()
			if err := c.Close(t.Context(), ws.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
			if code := ws.CloseStatus(c.Err()); code < 4000 || code > 4003 {
				t.Error(c.Err())
			}
		}
	})
}

// What was written before Close arrives before the close, all of it; what the peer sends meanwhile is dropped.
func TestCloseAfterWrites(t *testing.T) {
	const messages = 40
	o := ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: -1}} // however busy this machine is
	eachLink(t, o, func(t *testing.T, client, server *ws.Conn) {
		mustWrite(t, server, "dropped")
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range messages {
				client.Write(t.Context(), ws.Text, []byte(text(10_000, byte(i))))
			}
			if err := client.Close(t.Context(), ws.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
		})
		n := 0
		for m, err := range server.Messages(t.Context()) {
			if err != nil || m.String() != text(10_000, byte(n)) {
				t.Fatalf("message %d: %.20q, %v", n, m.Data, err)
			}
			n++
		}
		if n != messages {
			t.Errorf("%d messages", n)
		}
		wg.Wait()
		if _, err := client.Read(t.Context()); !errors.Is(err, ws.ErrClosed) {
			t.Error(err)
		}
	})
}

// Whoever reads finds that the connection is being closed, and its deferred CloseNow must not cut the closing short.
func TestCloseBesideReader(t *testing.T) {
	const messages = 20
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		for _, c := range []*ws.Conn{client, server} {
			for range 3 { // readers that have begun, and others that begin later
				go func() {
					defer c.CloseNow()
					for _, err := range c.Messages(t.Context()) {
						if err != nil {
							return
						}
					}
				}()
			}
		}
		for i := range messages {
			mustWrite(t, client, text(20_000, byte(i)))
		}
		if err := client.Close(t.Context(), 4000, "done"); err != nil {
			t.Error(err)
		}
		<-server.Done()
		var ce *ws.CloseError
		if !errors.As(server.Err(), &ce) || !ce.Remote || ce.Code != 4000 {
			t.Error(server.Err())
		}
	})
}

func TestCloseNow(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := client.Read(t.Context()); err != ws.ErrClosed {
				t.Error(err)
			}
		})
		wg.Go(func() {
			_, err := server.Read(t.Context())
			var ce *ws.CloseError
			if !errors.As(err, &ce) || ce.Remote || ce.Code != ws.StatusAbnormalClosure || ce.Err == nil {
				t.Error(err)
			}
		})
		for range 3 {
			wg.Go(func() {
				if err := client.CloseNow(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		<-client.Done()
		if err := context.Cause(client.Context()); err != ws.ErrClosed { // asked for after the end
			t.Error(err)
		}
		if err := client.Close(t.Context(), ws.StatusNormalClosure, ""); err == nil {
			t.Error("a closing handshake without a connection")
		}
	})
}

// Close gives up on a peer that does not answer: when it was told to, or after CloseTimeout.
func TestCloseTimeout(t *testing.T) {
	for _, tt := range []struct {
		name   string
		client bool
		answer string // what the peer says, and no more
	}{
		{"silence", false, ""},
		{"silence to a client", true, ""},
		{"an open end", true, "\x88\x02\x03\xe8"}, // the server does not close the stream
	} {
		for _, told := range []bool{true, false} {
			t.Run(tt.name, func(t *testing.T) {
				for range 10 { // where there is a choice
					synctest.Test(t, func(t *testing.T) {
						near, peer := net.Pipe()
						defer peer.Close()
						c := ws.NewConn(near, tt.client, "", &ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: 3 * time.Second}})
						go io.Copy(io.Discard, peer)
						go io.WriteString(peer, tt.answer)
						ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, errCancelled)
						want := 3 * time.Second
						if told {
							ctx, cancel = context.WithTimeoutCause(t.Context(), time.Second, errCancelled)
							want = time.Second
						}
						defer cancel()
						start := time.Now()
						err := c.Close(ctx, ws.StatusNormalClosure, "")
						if took := time.Since(start); took != want {
							t.Errorf("took %v", took)
						}
						switch {
						case tt.answer != "" && err == nil: // both close frames were exchanged
						case told && err == errCancelled:
						case !told && err != nil && strings.Contains(err.Error(), "timed out"):
						default:
							t.Error(err)
						}
						<-c.Done()
					})
				}
			})
		}
	}
}

// A peer that vanishes while the connection is being closed is not a clean end.
func TestCloseCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := openRaw(t, ws.AcceptOptions{})
		go func() {
			readFrame(t, peer)
			peer.Close()
		}()
		if err := c.Close(t.Context(), ws.StatusNormalClosure, ""); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
}

// What came before the end can be read after it, however long nobody has been reading.
func TestUnreadBeforeTheEnd(t *testing.T) {
	for name, end := range map[string]func(c *ws.Conn){
		"close":     func(c *ws.Conn) { c.Close(context.Background(), ws.StatusNormalClosure, "") },
		"close now": func(c *ws.Conn) { c.CloseNow() },
	} {
		for _, messages := range []int{1, 2, 5} {
			for way, next := range nexts {
				t.Run(fmt.Sprint(name, "/", messages, "/", way), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						client, server := openPipe(t, ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: time.Minute}})
						go func() {
							for i := range messages {
								client.Write(context.Background(), ws.Text, []byte(text(1000, byte(i))))
							}
							for client.Buffered() > 0 {
								time.Sleep(time.Millisecond)
							}
							end(client)
						}()
						time.Sleep(10 * time.Second)
						for i := range messages {
							time.Sleep(time.Second)
							ctx, cancel := context.WithTimeout(t.Context(), time.Second)
							server.Ping(ctx)
							cancel()
							if got, err := next(t.Context(), server); err != nil || got != text(1000, byte(i)) {
								t.Fatalf("message %d: %.20q, %v", i, got, err)
							}
						}
						if got, err := next(t.Context(), server); err == nil {
							t.Fatalf("%q", got)
						}
					})
				})
			}
		}
	}
}

// After the end has been seen, calls return at once, whatever the peer does.
func TestCallsAfterFailure(t *testing.T) {
	for name, client := range map[string]bool{"server": false, "client": true} {
		for what, bytes := range map[string]string{"violation": "\xff\xff", "close": "\x88\x80\x00\x00\x00\x00"} {
			if client && what == "close" {
				bytes = "\x88\x00"
			}
			t.Run(name+"/"+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					near, peer := net.Pipe()
					defer peer.Close()
					c := ws.NewConn(near, client, "", nil)
					defer c.CloseNow()
					go io.Copy(io.Discard, peer)
					go io.WriteString(peer, bytes)
					start := time.Now()
					_, first := c.Read(t.Context())
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					for range 10 {
						if _, err := c.Read(ctx); err != first {
							t.Fatal(err, first)
						}
						if _, _, err := c.Reader(ctx); err != first {
							t.Fatal(err, first)
						}
						if _, err := c.Ping(ctx); err != first {
							t.Fatal(err, first)
						}
						if err := c.Write(ctx, ws.Text, nil); err != first {
							t.Fatal(err, first)
						}
					}
					if took := time.Since(start); took != 0 {
						t.Errorf("took %v", took)
					}
				})
			})
		}
	}
}

// Close from inside a loop over messages ends the loop.
func TestCloseInLoop(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		go func() {
			for range client.Messages(t.Context()) {
			}
		}()
		mustWrite(t, client, "stop")
		mustWrite(t, client, "not delivered")
		n := 0
		for m, err := range server.Messages(t.Context()) {
			if err != nil || m.String() != "stop" {
				t.Fatal(m, err)
			}
			n++
			if err := server.Close(t.Context(), ws.StatusNormalClosure, "as asked"); err != nil {
				t.Error(err)
			}
		}
		if n != 1 {
			t.Errorf("%d messages", n)
		}
		<-client.Done()
		var ce *ws.CloseError
		if !errors.As(client.Err(), &ce) || ce.Reason != "as asked" {
			t.Error(client.Err())
		}
	})
}
