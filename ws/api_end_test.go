package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

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
