//go:build linux

package eventloop_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/eventloop"
	"baro.dev/internal/eventloop/eventlooptest"
	"baro.dev/internal/testkit"
)

// logged is a probe that writes down what it is called with, on a simulated system that moves when told.
func logged(t *testing.T, s *eventlooptest.System, g *eventloop.Group, name string, log *[]string) (*probe, *eventlooptest.Socket) {
	t.Helper()
	p, far := startSim(t, s, g)
	p.onAtt = func() { *log = append(*log, name+" Attend") }
	p.onReady = func(readable, hungUp, writable bool) {
		*log = append(*log, fmt.Sprint(name, " Ready ", readable, hungUp, writable))
	}
	p.onFlush = func() { *log = append(*log, name+" Flush") }
	p.onTimer = func() { *log = append(*log, name+" Expire") }
	p.onDrain = func() { *log = append(*log, name+" Drain") }
	return p, far
}

// onLoop runs f on the loop of p while the system is paused.
func onLoop(s *eventlooptest.System, p *probe, f func()) {
	p.post(f)
	s.Run()
}

// A turn handles what was posted, in order, then the events, then what is to be read again, and flushes at its end, once.
func TestOrderInATurn(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		s.Pause()
		var log []string
		a, farA := logged(t, s, g, "a", &log)
		b, farB := logged(t, s, g, "b", &log)
		s.Run()
		log = nil
		onLoop(s, a, func() {
			log = append(log, "task")
			b.Dirty()
			a.Again()
			a.Dirty()
			b.Dirty()
			b.Again()
			b.Again()
		})
		want := []string{"a Attend", "task", "a Flush", "b Flush", "b Ready true false false", "a Ready true false false"}
		if !slices.Equal(log, want) {
			t.Errorf("the turn was %q, want %q", log, want)
		}
		log = nil
		farB.Feed([]byte("x"))
		farA.End()
		b.Conn.Attend()
		a.Conn.Attend()
		b.Conn.Attend()
		s.Run()
		want = []string{"b Attend", "a Attend", "b Ready true false false", "a Ready true true false"}
		if !slices.Equal(log, want) {
			t.Errorf("the turn was %q, want %q", log, want)
		}
		onLoop(s, a, func() { a.Close(); b.Close() })
		s.Resume()
	})
}

// Whoever is made dirty is flushed at the end of the same turn, whatever has made him so, and once.
func TestDirty(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		s.Pause()
		var log []string
		a, far := logged(t, s, g, "a", &log)
		b, _ := logged(t, s, g, "b", &log)
		s.Run()
		dirty := func() { b.Dirty(); b.Dirty() }
		for what, prepare := range map[string]func(){
			"Attend": func() { a.onAtt = dirty; a.Conn.Attend() },
			"Ready":  func() { a.onReady = func(_, _, _ bool) { dirty() }; far.Feed([]byte("x")) },
			"Flush":  func() { a.onFlush = dirty; a.post(a.Dirty) },
		} {
			log, a.onAtt, a.onReady, a.onFlush = nil, nil, nil, nil
			prepare()
			s.Run()
			if !slices.Equal(log, []string{"b Flush"}) {
				t.Errorf("%s: %q", what, log)
			}
		}
		onLoop(s, a, func() { a.Close(); b.Close() })
		s.Resume()
	})
}

// One that takes the place of another has its events from then on, and none of the other's timers, turns and flushes.
func TestReplace(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		s.Pause()
		var log []string
		old, far := logged(t, s, g, "old", &log)
		s.Run()
		heir := newProbe(old.fd)
		heir.onReady = func(readable, _, _ bool) { log = append(log, fmt.Sprint("heir Ready ", readable)) }
		log = nil
		old.onReady = func(_, _, _ bool) {
			old.SetTimer(old.Loop().Now())
			old.Dirty()
			old.Again()
			heir.Replace(&old.Conn, heir)
		}
		far.Feed([]byte("hello"))
		s.Run()
		if len(log) > 0 {
			t.Errorf("called: %q", log)
		}
		if heir.Fd() != far.Fd() || heir.Loop() != old.Loop() {
			t.Error("the heir is somewhere else")
		}
		far.Feed([]byte(" world"))
		old.Conn.Attend()
		s.Run()
		if want := []string{"old Attend", "heir Ready true"}; !slices.Equal(log, want) {
			t.Errorf("called: %q, want %q", log, want)
		}
		log = nil
		onLoop(s, heir, func() {
			if all, _ := heir.drain(); all != "hello world" {
				t.Errorf("read %q", all)
			}
			old.Close() // does nothing
			heir.onTimer = heir.Close
			heir.SetTimer(heir.Loop().Now())
		})
		if s.Opened() != 1 {
			t.Errorf("%d are open", s.Opened())
		}
		s.Resume()
		time.Sleep(time.Second) // it is one connection still: with it the loop ends
		if s.Kernels() != 0 {
			t.Error("the loop has not ended")
		}
	})
}

// One that is released has no events any more, and its descriptor stays open.
func TestRelease(t *testing.T) {
	testkit.NoLeaks(t)
	g := newGroup(1)
	other := start(t, g, nil)
	p := openUnix(t)
	p.join(t, g)
	var fd int
	p.do(func() {
		p.Again()
		p.Dirty()
		p.SetTimer(p.Loop().Now())
		fd = p.Release()
		p.onReady = func(_, _, _ bool) { t.Error("Ready after Release") }
		p.onFlush = func() { t.Error("Flush after Release") }
		p.onTimer = func() { t.Error("Expire after Release") }
		p.Again()
		p.Dirty()
		p.SetTimer(p.Loop().Now())
	})
	if fd != p.fd {
		t.Fatalf("released %d, want %d", fd, p.fd)
	}
	p.send(t, "x")
	for range 3 {
		other.do(func() {})
	}
	if n, err := p.drainFd(); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	// It can be taken on again.
	q := &pair{probe: newProbe(fd), peer: p.peer}
	seen := q.watch()
	q.join(t, g)
	q.send(t, "y")
	expect(t, seen, "R", "H")
	q.do(q.Close)
	if n, err := p.peer.Read(make([]byte, 1)); err == nil {
		t.Errorf("the peer reads %d bytes", n)
	}
}

// What is attached to a loop has no descriptor, but is attended, flushed and has timers.
func TestAttach(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, _ *eventloop.Group) {
		hub := newProbe(-1)
		g := eventloop.NewGroup(1, s.NewKernel, func(l *eventloop.Loop) { l.Attach(&hub.Conn, hub) })
		defer g.Close()
		p, _ := startSim(t, s, g)
		var log []string
		p.do(func() {
			hub.onAtt = func() { log = append(log, "Attend") }
			hub.onFlush = func() { log = append(log, "Flush") }
			hub.onTimer = func() { log = append(log, "Expire"); hub.ran <- struct{}{} }
		})
		hub.do(hub.Dirty)
		hub.do(func() { hub.SetTimer(hub.Loop().Now()) })
		<-hub.ran
		p.do(func() {
			if want := []string{"Attend", "Flush", "Attend", "Expire"}; !slices.Equal(log, want) {
				t.Errorf("called: %q, want %q", log, want)
			}
			if hub.Loop() != p.Loop() {
				t.Error("it is somewhere else")
			}
			p.Close()
		})
	})
}

// What a loop opens on itself is attended at once, and has events from then on; what it opens on another is as if
// started from elsewhere.
func TestOpen(t *testing.T) {
	testkit.NoLeaks(t)
	const loops, each = 3, 20
	g := newGroup(loops)
	first := start(t, g, nil)
	seen := make(chan int, loops*each)
	var all []*pair
	on := map[*eventloop.Loop]int{}
	for i := range loops * each {
		p := openUnix(t)
		attends := 0
		p.onAtt = func() { attends++ }
		p.onReady = func(readable, _, _ bool) {
			if s, errno := p.drain(); s != fmt.Sprint(i) || errno != syscall.EAGAIN || attends == 0 {
				t.Errorf("connection %d: %q, %v, %d calls of Attend", i, s, errno, attends)
			}
			seen <- i
		}
		first.do(func() {
			if err := g.Open(first.Loop(), &p.Conn, p, p.fd); err != nil {
				t.Error(err)
			}
			if p.Loop() == first.Loop() && attends != 1 {
				t.Errorf("%d calls of Attend", attends)
			}
		})
		on[p.Loop()]++
		all = append(all, p)
	}
	for i, p := range all {
		p.send(t, fmt.Sprint(i))
	}
	for range all {
		soon(t, seen)
	}
	for _, n := range on {
		if n < each-1 || n > each {
			t.Errorf("a loop has %d connections of %d", n, loops*each)
		}
	}
	for _, p := range all {
		p.do(p.Close)
	}
}
