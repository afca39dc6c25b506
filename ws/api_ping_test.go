package ws_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// A Ping needs no reader on either side: the peer looks after its connection by itself, within half a second.
func TestPingNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := openPipe(t, ws.AcceptOptions{})
		for _, c := range []*ws.Conn{client, server} {
			for range 3 {
				rtt, err := c.Ping(t.Context())
				if err != nil || rtt > 500*time.Millisecond {
					t.Fatal(rtt, err)
				}
			}
		}
		// From now on somebody is reading, so that the answer comes right away.
		for range 3 {
			if rtt, err := client.Ping(t.Context()); err != nil || rtt != 0 {
				t.Fatal(rtt, err)
			}
		}
	})
}

func TestPing(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for _, c := range []*ws.Conn{client, server} {
			wg.Go(func() { c.Read(ctx) })
		}
		// Many at once, each answered, while the other side is being read and pings too.
		var pings sync.WaitGroup
		for _, c := range []*ws.Conn{client, server} {
			for range 8 {
				pings.Go(func() {
					for range 5 {
						if rtt, err := c.Ping(t.Context()); err != nil || rtt <= 0 {
							t.Error(rtt, err)
						}
					}
				})
			}
		}
		pings.Wait()
		cancel()
		wg.Wait()
		// Between writes and reads, and inside a loop over messages.
		go func() {
			for m, err := range server.Messages(t.Context()) {
				if err != nil {
					return
				}
				server.Write(t.Context(), m.Type, m.Data)
			}
		}()
		for range 3 {
			mustWrite(t, client, "echo")
			for m, err := range client.Messages(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := client.Ping(t.Context()); err != nil {
					t.Fatal(err)
				}
				if m.String() != "echo" {
					t.Errorf("%q", m.Data)
				}
				break
			}
		}
	})
}

// A message that comes before the pong waits to be read, and does not keep the pong from being seen.
func TestPingBehindMessage(t *testing.T) {
	for _, size := range []int{0, 10, 10_000, 60_000} {
		synctest.Test(t, func(t *testing.T) {
			client, server := openPipe(t, ws.AcceptOptions{})
			go func() {
				mustWrite(t, server, text(size, 0)) // the client waits for the pong, so that this is read ahead
				server.Read(t.Context())
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := client.Ping(ctx); err != nil {
				t.Errorf("behind %d bytes: %v", size, err)
			}
			mustRead(t, client, text(size, 0))
			mustWrite(t, client, "done")
		})
	}
}

func TestPingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := openPipe(t, ws.AcceptOptions{})
		// A peer that does not answer, since a message waits for it to be read.
		mustWrite(t, client, "unread")
		mustWrite(t, client, "and another")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCancelled)
		defer cancel()
		if _, err := client.Ping(ctx); err != errCancelled {
			t.Fatal(err)
		}
		if client.Err() != nil {
			t.Fatal(client.Err())
		}
		mustRead(t, server, "unread")
		mustRead(t, server, "and another")
		if _, err := client.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}

		// The end of the connection is the end of waiting.
		mustWrite(t, client, "unread")
		mustWrite(t, client, "and another")
		done := make(chan error)
		for range 2 {
			go func() {
				_, err := client.Ping(t.Context())
				done <- err
			}()
		}
		synctest.Wait()
		server.CloseNow()
		for range 2 {
			if err := <-done; ws.CloseStatus(err) != ws.StatusAbnormalClosure {
				t.Error(err)
			}
		}
		if _, err := client.Ping(t.Context()); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
			t.Error(err)
		}
		if _, err := server.Ping(t.Context()); !errors.Is(err, ws.ErrClosed) {
			t.Error(err)
		}
	})
}

// Peers that are gone are noticed whether or not anybody reads; those that answer are not disturbed.
func TestKeepalive(t *testing.T) {
	o := ws.AcceptOptions{Keepalive: ws.Keepalive{Interval: 10 * time.Second, Timeout: 5 * time.Second}}
	for name, read := range map[string]bool{"reading": true, "not reading": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				c, peer := openRaw(t, o)
				if read {
					go c.Read(t.Context())
				}
				// A ping comes after the interval, and nothing answers.
				if f := readFrame(t, peer); f.opcode != 9 || len(f.payload) > 125 {
					t.Fatalf("%+v", f)
				}
				if after := time.Since(start); after < 10*time.Second || after > 13*time.Second {
					t.Errorf("ping after %v", after)
				}
				<-c.Done()
				if after := time.Since(start); after < 15*time.Second || after > 21*time.Second {
					t.Errorf("ended after %v", after)
				}
				if !errors.Is(c.Err(), ws.ErrPeerTimeout) || ws.CloseStatus(c.Err()) != ws.StatusAbnormalClosure {
					t.Error(c.Err())
				}

				client, server := openPipe(t, o)
				if read {
					go client.Read(t.Context())
					go server.Read(t.Context())
				}
				time.Sleep(10 * time.Minute)
				if client.Err() != nil || server.Err() != nil {
					t.Error(client.Err(), server.Err())
				}
			})
		})
	}
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := openPipe(t, ws.AcceptOptions{Limits: ws.Limits{IdleTimeout: time.Minute}})
		go client.Read(t.Context())
		for range 10 { // messages keep it alive
			time.Sleep(50 * time.Second)
			writeSoon(t, client, "here")
			mustRead(t, server, "here")
			writeSoon(t, server, "here")
			client.Ping(t.Context())
			go client.Read(t.Context())
		}
		start := time.Now()
		for range 5 { // pings do not
			time.Sleep(10 * time.Second)
			if _, err := server.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		_, err := server.Read(t.Context())
		if ws.CloseStatus(err) != ws.StatusPolicyViolation {
			t.Error(err)
		}
		if after := time.Since(start); after < 50*time.Second || after > 80*time.Second {
			t.Errorf("after %v", after)
		}
		<-client.Done()
		if s := ws.CloseStatus(client.Err()); s != ws.StatusPolicyViolation {
			t.Error(client.Err())
		}
	})
}
