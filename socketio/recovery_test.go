package socketio_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/socketio"
)

func recovering() *socketio.Options {
	return &socketio.Options{ConnectionStateRecovery: &socketio.ConnectionStateRecovery{}}
}

// offset cuts the offset off an event and returns both.
func offset(t *testing.T, event string) (rest, offset string) {
	t.Helper()
	var args []any
	at := strings.IndexByte(event, '[')
	if err := json.Unmarshal([]byte(event[at:]), &args); err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	offset, ok := args[len(args)-1].(string)
	if !ok {
		t.Fatalf("%s has no offset", event)
	}
	return strings.TrimSuffix(event, `,"`+offset+`"]`) + "]", offset
}

// back connects again. A client that has no offset says none.
func back(t *testing.T, url, pid, offset string) *peer {
	t.Helper()
	p := dial(t, url)
	if offset == "" {
		p.send(fmt.Sprintf(`0{"pid":%q}`, pid))
		return p
	}
	p.send(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, pid, offset))
	return p
}

func TestRecovery(t *testing.T) {
	io, url := start(t, recovering())
	middleware := 0
	io.Use(func(*socketio.Socket) error { middleware++; return nil })
	recovered := make(chan bool, 1)
	io.OnConnection(func(s *socketio.Socket) { recovered <- s.Recovered() })

	p := dial(t, url)
	p.send("0")
	sid, pid := p.sidAndPID()
	if pid == "" || got(t, recovered) {
		t.Fatal("a new socket")
	}
	s := io.Socket(sid)
	s.Join("room")
	s.SetData(42)
	// "every EVENT that is not volatile and has no ack id gets an offset string appended as last argument"
	_ = s.Emit("hi", 1)
	event, at := offset(t, p.recv())
	if event != `2["hi",1]` {
		t.Fatal(event)
	}
	_ = s.Volatile().Emit("volatile")
	_ = s.EmitFunc("ack", func(socketio.Args, error) {})
	p.expect(`2["volatile"]`, `20["ack"]`)
	p.close()
	eventually(t, "the socket is gone", func() bool { return io.Len() == 0 })

	_ = io.Emit("missed", "a")
	_ = io.To("other").Emit("not for it")
	_ = io.Except("room").Emit("not for it")
	_ = io.To("room").Emit("binary", []byte("x"))
	_ = io.To(sid).Emit("own room")
	_ = io.Volatile().Emit("volatile")

	// "missed events first (with their offsets), then 40{"sid","pid"}"
	p = back(t, url, pid, at)
	for _, want := range []string{`2["missed","a"]`, `51-["binary",{"_placeholder":true,"num":0}]`, "", `2["own room"]`} {
		if want == "" {
			p.expect("b:x")
			continue
		}
		if event, _ := offset(t, p.recv()); event != want {
			t.Errorf("got %s, want %s", event, want)
		}
	}
	if sid2, pid2 := p.sidAndPID(); sid2 != sid || pid2 != pid {
		t.Errorf("sid %s and pid %s, want %s and %s", sid2, pid2, sid, pid)
	}
	if !got(t, recovered) {
		t.Error("not recovered")
	}
	s = io.Socket(sid)
	if s.Data() != 42 || !slices.Equal(s.Rooms(), []string{sid, "room"}) || middleware != 1 {
		t.Error(s.Data(), s.Rooms(), middleware)
	}
	_ = io.To("room").Emit("live")
	if event, _ := offset(t, p.recv()); event != `2["live"]` {
		t.Error(event)
	}

	// Not after a disconnection from the namespace.
	p.send("1")
	eventually(t, "the socket is gone", func() bool { return io.Len() == 0 })
	p = back(t, url, pid, at)
	if sid2, _ := p.sidAndPID(); sid2 == sid || got(t, recovered) {
		t.Error("recovered after a disconnection by the client")
	}
}

// Whoever is quiet for long recovers nevertheless: nothing that it was sent is missing.
func TestRecoveryQuiet(t *testing.T) {
	o := recovering()
	o.ConnectionStateRecovery.MaxLogBytes = 2000
	io, url := start(t, o)
	for _, first := range []bool{true, false} {
		p := dial(t, url)
		p.send("0")
		sid, pid := p.sidAndPID()
		at := ""
		if first {
			eventually(t, "it is connected", func() bool { return io.Socket(sid).Connected() })
			_ = io.To(sid).Emit("first")
			_, at = offset(t, p.recv())
		}
		for range 100 {
			_ = io.To("others").Emit("much")
		}
		p.close()
		eventually(t, "the socket is gone", func() bool { return io.Len() == 0 })
		_ = io.Emit("missed")
		p = back(t, url, pid, at)
		if event, _ := offset(t, p.recv()); event != `2["missed"]` {
			t.Fatal(event)
		}
		if sid2, _ := p.sidAndPID(); sid2 != sid {
			t.Error("not recovered")
		}
		p.close()
		eventually(t, "the socket is gone", func() bool { return io.Len() == 0 })
		// But not if what was missed is gone.
		for range 100 {
			_ = io.Emit("much")
		}
		p = back(t, url, pid, at)
		if sid2, _ := p.sidAndPID(); sid2 == sid {
			t.Error("recovered with a gap")
		}
		p.close()
		eventually(t, "the socket is gone", func() bool { return io.Len() == 0 })
	}
}

// The client is back before its end has been noticed.
func TestRecoveryBeforeTheEnd(t *testing.T) {
	io, url := start(t, recovering())
	p := dial(t, url)
	p.send("0")
	sid, pid := p.sidAndPID()
	eventually(t, "it is connected", func() bool { return io.Socket(sid).Connected() })
	_ = io.Emit("a")
	_, at := offset(t, p.recv())
	q := back(t, url, pid, at)
	if sid2, _ := q.sidAndPID(); sid2 != sid {
		t.Error("not recovered")
	}
	p.ended()
}

func TestRecoveryForged(t *testing.T) {
	io, url := start(t, recovering())
	p := dial(t, url)
	p.send("0")
	sid, pid := p.sidAndPID()
	eventually(t, "it is connected", func() bool { return io.Socket(sid).Connected() })
	_ = io.Emit("a")
	_, at := offset(t, p.recv())
	for _, auth := range []string{
		`{"pid":"` + strings.Repeat("A", 20) + sid + `","offset":"` + at + `"}`, `{"pid":"` + sid + `","offset":"` + at + `"}`,
		`{"pid":1,"offset":2}`, `{"pid":{},"offset":[]}`, `{"pid":"` + strings.Repeat("x", 5000) + `"}`, `{"pid":""}`, `{"pid":null,"offset":null}`,
	} {
		q := dial(t, url)
		q.send("0" + auth)
		if sid2, pid2 := q.sidAndPID(); sid2 == sid || pid2 == pid {
			t.Errorf("%s: recovered", auth)
		}
	}
	p.expectOpen()
	for i, forged := range []string{"zzzzzzzzzzzzz", "3w5e11264sgsf", "-1", "Q83Mk-d", strings.Repeat("9", 99), "1000"} {
		p = dial(t, url)
		p.send("0")
		sid, pid := p.sidAndPID()
		p.close()
		eventually(t, "the socket is gone", func() bool { return io.Socket(sid) == nil })
		if sid2, _ := back(t, url, pid, forged).sidAndPID(); sid2 == sid {
			t.Errorf("offset %d was believed", i)
		}
		// It is spent all the same.
		if sid2, _ := back(t, url, pid, "").sidAndPID(); sid2 == sid {
			t.Errorf("the session was there twice")
		}
	}
}

// expectOpen fails if the connection has ended.
func (p *peer) expectOpen() {
	p.t.Helper()
	select {
	case <-p.c.Done():
		p.t.Error("the connection has ended")
	default:
	}
}

// Many events from many goroutines while the client comes and goes: it gets each one once, in order for each goroutine.
func TestRecoveryUnderLoad(t *testing.T) {
	io, url := start(t, recovering())
	const senders, events = 4, 2000
	var wg sync.WaitGroup
	p := dial(t, url)
	p.send("0")
	sid, pid := p.sidAndPID()
	eventually(t, "it is connected", func() bool { return io.Socket(sid).Connected() })
	for g := range senders {
		wg.Go(func() {
			for i := range events {
				_ = io.Emit("n", g, i)
				if i%50 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	var next [senders]int
	total, cuts := 0, 0
	for total < senders*events {
		m, err := p.read()
		if err != nil {
			t.Fatal(err)
		}
		if connectAnswer.MatchString(m) {
			if !strings.Contains(m, sid) {
				t.Fatalf("not recovered after %d cuts", cuts)
			}
			continue
		}
		event, o := offset(t, m)
		var g, i int
		if _, err := fmt.Sscanf(event, `2["n",%d,%d]`, &g, &i); err != nil || next[g] != i {
			t.Fatalf("%s %v, want %d", m, err, next[g])
		}
		next[g]++
		total++
		if total%1000 == 0 {
			cuts++
			p.close()
			p = back(t, url, pid, o)
		}
	}
	wg.Wait()
}
