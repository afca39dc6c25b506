package socketio_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"baro.dev/socketio"
)

// What is emitted to a socket whose client is just coming back does not overtake what that has missed.
func TestRecoveryEmitMeanwhile(t *testing.T) {
	o := recovering()
	o.ConnectionStateRecovery.RunMiddlewares = true
	io, url := start(t, o)
	entered, release := make(chan struct{}, 2), make(chan struct{}, 2)
	io.Use(func(*socketio.Socket) error { entered <- struct{}{}; <-release; return nil })
	release <- struct{}{}
	p := dial(t, url)
	p.send("0")
	sid, pid := p.sidAndPID()
	<-entered
	eventually(t, "it is connected", func() bool { return io.Socket(sid).Connected() })
	_ = io.Socket(sid).Emit("first")
	_, at := offset(t, p.recv())
	p.close()
	eventually(t, "the client is gone", func() bool { return io.Len() == 0 })
	_ = io.To(sid).Emit("missed", 1)
	p = back(t, url, pid, at)
	<-entered
	if err := io.Socket(sid).Emit("meanwhile", 2); err != nil {
		t.Error(err)
	}
	_ = io.To(sid).Emit("meanwhile", 3)
	release <- struct{}{}
	for _, want := range []string{`2["missed",1]`, `2["meanwhile",2]`, `2["meanwhile",3]`} {
		if event, _ := offset(t, p.recv()); event != want {
			t.Errorf("%s, want %s", event, want)
		}
	}
	if again, _ := p.sidAndPID(); again != sid {
		t.Error("not recovered")
	}
}

// A client that comes back and goes again while its middleware runs has not spent its session, whether it comes back a second
// time before the middleware has returned or after that.
func TestRecoveryGoneMeanwhile(t *testing.T) {
	for _, early := range []bool{false, true} {
		o := recovering()
		o.ConnectionStateRecovery.RunMiddlewares = true
		io, url := start(t, o)
		entered, release := make(chan struct{}, 3), make(chan struct{}, 3)
		io.Use(func(*socketio.Socket) error { entered <- struct{}{}; <-release; return nil })
		io.OnConnection(func(s *socketio.Socket) { s.Join("room") })
		release <- struct{}{}
		p := dial(t, url)
		p.send("0")
		sid, pid := p.sidAndPID()
		<-entered
		eventually(t, "it is in the room", func() bool { return io.Socket(sid) != nil && len(io.Socket(sid).Rooms()) == 2 })
		_ = io.To("room").Emit("first")
		_, at := offset(t, p.recv())
		p.close()
		eventually(t, "the client is gone", func() bool { return io.Len() == 0 })
		_ = io.To("room").Emit("missed", 1)
		p = back(t, url, pid, at)
		<-entered
		p.close()
		eventually(t, "its session has ended", func() bool { return io.ClientsCount() == 0 })
		_ = io.To("room").Emit("missed", 2)
		if !early {
			release <- struct{}{}
			eventually(t, "the client is gone again", func() bool { return io.Len() == 0 })
		}
		p = back(t, url, pid, at)
		<-entered
		release <- struct{}{}
		release <- struct{}{}
		for _, want := range []string{`2["missed",1]`, `2["missed",2]`} {
			if event, _ := offset(t, p.recv()); event != want {
				t.Fatalf("early %v: %s, want %s", early, event, want)
			}
		}
		if again, _ := p.sidAndPID(); again != sid {
			t.Errorf("early %v: not recovered", early)
		}
		eventually(t, "nobody else is there", func() bool { return io.Len() == 1 })
		if rooms := io.Socket(sid).Rooms(); !slices.Contains(rooms, "room") {
			t.Errorf("early %v: it is in %v", early, rooms)
		}
	}
}

// What middleware refuses may come again.
func TestRecoveryRefused(t *testing.T) {
	o := recovering()
	o.ConnectionStateRecovery.RunMiddlewares = true
	io, url := start(t, o)
	var refuse atomic.Bool
	io.Use(func(*socketio.Socket) error {
		if refuse.Load() {
			return errors.New("not now")
		}
		return nil
	})
	p := dial(t, url)
	p.send("0")
	sid, pid := p.sidAndPID()
	_ = io.To(sid).Emit("first")
	_, at := offset(t, p.recv())
	p.close()
	eventually(t, "the client is gone", func() bool { return io.Len() == 0 })
	refuse.Store(true)
	p = back(t, url, pid, at)
	p.expect(`4{"message":"not now"}`)
	refuse.Store(false)
	p.send(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, pid, at))
	if again, _ := p.sidAndPID(); again != sid {
		t.Error("not recovered")
	}
}

// Clients take the last argument of a volatile event for an offset, too, if it is a string: such a client begins anew, and does not
// get again what it has.
func TestRecoveryForeignOffset(t *testing.T) {
	io, url := start(t, recovering())
	for _, foreign := range []string{"2", "1", "0", "zz", strings.Repeat("x", 13), "", " 1", "-1"} {
		p := dial(t, url)
		p.send("0")
		sid, pid := p.sidAndPID()
		for i := range 5 {
			_ = io.To(sid).Emit("n", i)
			p.recv()
		}
		p.close()
		eventually(t, "the socket is gone", func() bool { return io.Socket(sid) == nil })
		p = dial(t, url)
		p.send(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, pid, foreign))
		if again, _ := p.sidAndPID(); again == sid {
			t.Errorf("%q was taken for an offset", foreign)
		}
	}
}

// An offset of the future is not believed, whatever it is made from.
func TestRecoveryFutureOffset(t *testing.T) {
	io, url := start(t, recovering())
	p := dial(t, url)
	p.send("0")
	sid, pid := p.sidAndPID()
	_ = io.To(sid).Emit("a")
	_, at := offset(t, p.recv())
	p.close()
	eventually(t, "the socket is gone", func() bool { return io.Socket(sid) == nil })
	if again, _ := back(t, url, pid, at+"0").sidAndPID(); again == sid {
		t.Error("it was believed")
	}
}

// Only so many clients are waited for: the oldest are forgotten.
func TestRecoveryMaxSessions(t *testing.T) {
	o := recovering()
	o.ConnectionStateRecovery.MaxSessions = 2
	io, url := start(t, o)
	type gone struct{ sid, pid string }
	var all []gone
	for range 3 {
		p := dial(t, url)
		p.send("0")
		sid, pid := p.sidAndPID()
		all = append(all, gone{sid, pid})
		p.close()
		eventually(t, "the socket is gone", func() bool { return io.Socket(sid) == nil })
	}
	for i, g := range all {
		if sid, _ := back(t, url, g.pid, "").sidAndPID(); (sid == g.sid) != (i > 0) {
			t.Errorf("client %d of 3, 2 are waited for: recovered: %t", i+1, sid == g.sid)
		}
	}
}
