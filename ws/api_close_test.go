package ws_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

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
