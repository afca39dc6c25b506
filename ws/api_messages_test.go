package ws_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// loanSizes are of messages that lie in the read buffer, and of some that do not.
var loanSizes = []int{1, 40, 1000, 20_000, 100_000}

// What is lent stays what it is until the next step, whatever else is done with the connection meanwhile.
func TestLoan(t *testing.T) {
	meanwhile := map[string]func(t *testing.T, client, server *ws.Conn) (ends bool){
		"ping": func(t *testing.T, client, server *ws.Conn) bool {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go client.Read(ctx) // answers
			if _, err := server.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			return false
		},
		"read": func(t *testing.T, client, server *ws.Conn) bool {
			for i := range 3 {
				writeSoon(t, client, text(2000, byte(10+i)))
				mustRead(t, server, text(2000, byte(10+i)))
			}
			return false
		},
		"another loop": func(t *testing.T, client, server *ws.Conn) bool {
			for i := range 3 {
				writeSoon(t, client, text(2000, byte(10+i)))
				for m, err := range server.Messages(t.Context()) {
					if err != nil || m.String() != text(2000, byte(10+i)) {
						t.Errorf("%.20q, %v", m.Data, err)
					}
					break
				}
			}
			return false
		},
		"write": func(t *testing.T, client, server *ws.Conn) bool {
			mustWrite(t, server, text(2000, 20))
			mustRead(t, client, text(2000, 20))
			return false
		},
		"cancelled read": func(t *testing.T, _, server *ws.Conn) bool {
			if _, err := server.Read(cancelled()); err != errCancelled {
				t.Error(err)
			}
			return false
		},
		"close": func(t *testing.T, client, server *ws.Conn) bool {
			go client.Read(t.Context())
			if err := server.Close(t.Context(), ws.StatusNormalClosure, text(100, 30)); err != nil {
				t.Error(err)
			}
			return true
		},
		"close now": func(t *testing.T, _, server *ws.Conn) bool {
			server.CloseNow()
			if _, err := server.Read(t.Context()); err == nil {
				t.Error("read a message of a connection that has ended")
			}
			return true
		},
		"peer closes": func(t *testing.T, client, server *ws.Conn) bool {
			go client.Close(t.Context(), ws.StatusNormalClosure, text(100, 30))
			if _, err := server.Read(t.Context()); err == nil {
				t.Error("read a message of a connection that has ended")
			}
			return true
		},
		"peer is gone": func(t *testing.T, client, server *ws.Conn) bool {
			client.CloseNow()
			if _, err := server.Read(t.Context()); err == nil {
				t.Error("read a message of a connection that has ended")
			}
			return true
		},
	}
	for name, do := range meanwhile {
		t.Run(name, func(t *testing.T) {
			turn := 0
			eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
				other, otherEnd := openPipe(t, ws.AcceptOptions{})
				for range 2 {
					size := loanSizes[turn%len(loanSizes)]
					turn++
					writeSoon(t, client, text(size, 0))
					for m, err := range server.Messages(t.Context()) {
						if err != nil {
							t.Fatal(err)
						}
						ends := do(t, client, server)
						// Whatever was given back too early is in use again by now.
						for range 2 {
							writeSoon(t, other, text(30_000, 40))
							mustRead(t, otherEnd, text(30_000, 40))
						}
						if m.String() != text(size, 0) {
							t.Errorf("%.40q of %d bytes became %.40q", text(size, 0), size, m.Data)
						}
						if ends {
							return
						}
						break
					}
				}
			})
		})
	}
}

// The connection looks after itself while a loan is out.
func TestLoanAndWatch(t *testing.T) {
	for _, size := range loanSizes {
		synctest.Test(t, func(t *testing.T) {
			client, server := openPipe(t, ws.AcceptOptions{})
			writeSoon(t, client, text(size, 0))
			for m, err := range server.Messages(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				// Nobody reads here, and pings are answered nevertheless, as long as no message waits.
				for range 3 {
					if _, err := client.Ping(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				writeSoon(t, client, text(500, 1))
				time.Sleep(2 * time.Second)
				if m.String() != text(size, 0) {
					t.Errorf("%.40q of %d bytes became %.40q", text(size, 0), size, m.Data)
				}
				break
			}
			mustRead(t, server, text(500, 1))
		})
	}
}

// A connection that is failed by somebody else takes nothing back that is lent.
func TestLoanAndFailure(t *testing.T) {
	for name, o := range map[string]ws.AcceptOptions{
		"queue full": {Queue: ws.Queue{MaxBytes: 10}},
		"idle":       {Limits: ws.Limits{IdleTimeout: 100 * time.Millisecond}},
	} {
		for _, size := range loanSizes {
			synctest.Test(t, func(t *testing.T) {
				client, server := openPipe(t, ws.AcceptOptions{})
				a, b := openPipe(t, o)
				writeSoon(t, a, text(size, 0))
				go func() {
					for a.Err() == nil {
						a.Read(t.Context())
					}
				}()
				for m, err := range b.Messages(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					for b.Err() == nil {
						if name == "idle" {
							time.Sleep(time.Millisecond)
						} else {
							b.Send(ws.Text, []byte(text(100, 1)))
						}
					}
					synctest.Wait()
					for range 4 {
						writeSoon(t, client, text(30_000, 40))
						mustRead(t, server, text(30_000, 40))
					}
					if m.String() != text(size, 0) {
						t.Errorf("%s: %.40q of %d bytes became %.40q", name, text(size, 0), size, m.Data)
					}
					break
				}
				a.CloseNow()
				b.CloseNow()
			})
		}
	}
}

// Read gives bytes for good.
func TestReadOwns(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		var kept []ws.Message
		for i := range 4 {
			for _, size := range loanSizes {
				writeSoon(t, client, text(size, byte(i)))
				m, err := server.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				kept = append(kept, m)
			}
		}
		for i, m := range kept {
			if m.String() != text(loanSizes[i%len(loanSizes)], byte(i/len(loanSizes))) {
				t.Errorf("message %d of %d bytes has changed", i, len(m.Data))
			}
		}
	})
}

// How a loop over messages ends.
func TestMessagesEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(client, server *ws.Conn)
		want ws.StatusCode // 0: without an error
	}{
		{"normal closure", func(c, _ *ws.Conn) { c.Close(context.Background(), ws.StatusNormalClosure, "") }, 0},
		{"going away", func(c, _ *ws.Conn) { c.Close(context.Background(), ws.StatusGoingAway, "") }, 0},
		{"no status", func(c, _ *ws.Conn) { c.Close(context.Background(), ws.StatusNoStatus, "") }, ws.StatusNoStatus},
		{"error", func(c, _ *ws.Conn) { c.Close(context.Background(), ws.StatusInternalError, "") }, ws.StatusInternalError},
		{"application", func(c, _ *ws.Conn) { c.Close(context.Background(), 4000, "") }, 4000},
		{"gone", func(c, _ *ws.Conn) { c.CloseNow() }, ws.StatusAbnormalClosure},
		{"closed here", func(_, s *ws.Conn) { s.Close(context.Background(), ws.StatusNormalClosure, "") }, 0},
		{"cut here", func(_, s *ws.Conn) { s.CloseNow() }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
				go client.Read(context.Background())
				n := 0
				var last error
				mustWrite(t, client, "one")
				for m, err := range server.Messages(t.Context()) {
					if err != nil {
						last = err
						continue // there is no further step
					}
					if n++; m.String() != "one" {
						t.Error(m)
					}
					go tt.end(client, server)
				}
				if n != 1 || ws.CloseStatus(last) != tt.want {
					t.Errorf("after %d messages: %v", n, last)
				}
				for range server.Messages(t.Context()) {
					if tt.want == 0 {
						t.Error("a step after the end")
					}
				}
			})
		})
	}
}

// A context ends the loop and leaves the connection as it was.
func TestMessagesCancelled(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		ctx, cancel := context.WithCancelCause(t.Context())
		mustWrite(t, client, "one")
		defer cancel(nil)
		var got []error
		for _, err := range server.Messages(ctx) {
			got = append(got, err)
			time.AfterFunc(time.Millisecond, func() { cancel(errCancelled) })
		}
		if len(got) != 2 || got[0] != nil || got[1] != errCancelled {
			t.Error(got)
		}
		mustWrite(t, client, "two")
		mustRead(t, server, "two")
		// A message that has come is returned whether or not anybody would have waited for it, or not at all.
		if _, err := server.Read(cancelled()); err != errCancelled {
			t.Error(err)
		}
		mustWrite(t, server, "still here")
		mustRead(t, client, "still here")
	})
}

// Reads wait for each other, and each message goes to one of them.
func TestConcurrentReads(t *testing.T) {
	const each = 50
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		got := make(chan string, each)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for {
					ctx, cancel := context.WithCancel(context.Background())
					if i%2 == 0 {
						time.AfterFunc(time.Millisecond, cancel)
					}
					m, err := server.Read(ctx)
					cancel()
					if err == nil {
						got <- m.String()
					} else if err != context.Canceled {
						return
					}
				}
			})
		}
		for i := range each {
			mustWrite(t, client, text(10+i, byte(i)))
		}
		seen := map[string]bool{}
		for range each {
			seen[<-got] = true
		}
		for i := range each {
			if !seen[text(10+i, byte(i))] {
				t.Errorf("message %d is missing", i)
			}
		}
		client.CloseNow()
		wg.Wait()
	})
}
