package socketio_test

import (
	"fmt"
	"strings"
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
