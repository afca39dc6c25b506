package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/socketio"
)

// "No CONNECT within connectTimeout -> close"; a client that has connected, even if it has left again, stays.
func TestConnectTimeout(t *testing.T) {
	bubble(t, &socketio.Options{}, func(t *testing.T, io *socketio.Server) {
		io.Of("/no").Use(func(*socketio.Socket) error { return &socketio.Error{Message: "no"} })
		slow := make(chan struct{})
		io.Of("/slow").Use(func(*socketio.Socket) error { <-slow; return nil })
		silent, refused, waits, connected, left := call(t, io), call(t, io), call(t, io), call(t, io), call(t, io)
		ended := make(chan time.Duration)
		go func() { ended <- silent.ended() }()
		go func() {
			refused.send("0/no")
			refused.expect(`4/no,{"message":"no"}`)
			ended <- refused.ended()
		}()
		go func() { // middleware has no more time than the client
			waits.send("0/slow")
			ended <- waits.ended()
		}()
		for _, c := range []*caller{connected, left} {
			c.connect("0")
			go c.recv() // pings are answered
		}
		left.send("1")
		for range 3 {
			if took := <-ended; took != 45*time.Second {
				t.Error("closed after", took)
			}
		}
		close(slow)
		time.Sleep(time.Hour)
		if n := io.ClientsCount(); n != 2 {
			t.Errorf("%d clients are there", n)
		}
	})
}

// Whoever waits for an acknowledgement waits for the time that was given, and not for one that comes later.
func TestAckTimeout(t *testing.T) {
	bubble(t, &socketio.Options{}, func(t *testing.T, io *socketio.Server) {
		c := call(t, io)
		sid, _ := c.connect("0")
		synctest.Wait()
		s, start := io.Socket(sid), time.Now()
		after := func(want time.Duration) {
			t.Helper()
			if took := time.Since(start); took != want {
				t.Errorf("after %v, want %v", took, want)
			}
			start = time.Now()
		}
		_, err := s.Timeout(5*time.Second).EmitWithAck(t.Context(), "a")
		if after(5 * time.Second); !errors.Is(err, socketio.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err = s.Timeout(5*time.Second).EmitWithAck(ctx, "b")
		if after(3 * time.Second); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, socketio.ErrTimeout) {
			t.Error(err)
		}
		answers := make(chan error, 2)
		_ = s.Timeout(2*time.Second).EmitFunc("c", func(_ socketio.Args, err error) { answers <- err })
		err = <-answers
		if after(2 * time.Second); !errors.Is(err, socketio.ErrTimeout) {
			t.Error(err)
		}
		_, err = io.Timeout(4*time.Second).EmitWithAck(t.Context(), "d")
		partial, ok := errors.AsType[*socketio.PartialError](err)
		if after(4 * time.Second); !ok || partial.Missing != 1 || !errors.Is(err, socketio.ErrTimeout) {
			t.Error(err)
		}
		c.expect(`20["a"]`, `21["b"]`, `22["c"]`, `23["d"]`)
		c.send("30[]", "31[]", "32[]", "33[]") // too late, and no mistake of the client's
		_ = s.Timeout(time.Second).EmitFunc("e", func(_ socketio.Args, err error) { answers <- err })
		c.expect(`24["e"]`)
		c.send("34[]")
		if err := <-answers; err != nil {
			t.Error(err)
		}
		after(0)
		time.Sleep(time.Second)
		if len(answers) > 0 {
			t.Error("an acknowledgement that came in time has timed out as well")
		}
	})
}

// A client that comes back in time recovers, one that is later begins anew.
func TestRecoveryExpires(t *testing.T) {
	for away, want := range map[time.Duration]bool{119 * time.Second: true, 121 * time.Second: false} {
		t.Run(away.String(), func(t *testing.T) {
			bubble(t, recovering(), func(t *testing.T, io *socketio.Server) {
				c := call(t, io)
				sid, pid := c.connect("0")
				synctest.Wait()
				_ = io.Emit("first")
				_, at := offset(t, c.recv())
				io.Socket(sid).Conn().CloseNow()
				time.Sleep(time.Second)
				_ = io.Emit("missed")
				time.Sleep(away - time.Second)
				c = call(t, io)
				c.send(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, pid, at))
				if want {
					if missed, _ := offset(t, c.recv()); missed != `2["missed"]` {
						t.Error(missed)
					}
				}
				if m := connectAnswer.FindStringSubmatch(c.recv()); m == nil || (m[1] == sid) != want {
					t.Error(m)
				}
			})
		})
	}
}
