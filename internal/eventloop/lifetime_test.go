//go:build linux

package eventloop_test

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/eventloop"
	"baro.dev/internal/eventloop/eventlooptest"
	"baro.dev/internal/testkit"
)

// Loops end when there has been nothing for them for a while, with all they have, and start again when there is something.
func TestRetirement(t *testing.T) {
	simulated(t, 2, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		for range 3 {
			var all []*probe
			for range 4 {
				p, _ := startSim(t, s, g)
				all = append(all, p)
			}
			time.Sleep(time.Hour)
			if s.Kernels() != 2 {
				t.Fatalf("%d loops", s.Kernels())
			}
			for _, p := range all {
				p.do(p.Close)
			}
			time.Sleep(eventloop.Linger - 1)
			if s.Kernels() != 2 {
				t.Errorf("%d loops, which should linger", s.Kernels())
			}
			time.Sleep(2 * time.Millisecond)
			if s.Kernels() != 0 {
				t.Errorf("%d loops, which should have ended", s.Kernels())
			}
		}
	})
}

// A connection that comes while a loop lingers finds it there; the time begins anew after it.
func TestLinger(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		p, _ := startSim(t, s, g)
		first := p.Loop()
		for range 10 {
			p.do(p.Close)
			time.Sleep(eventloop.Linger * 3 / 4)
			if p, _ = startSim(t, s, g); p.Loop() != first {
				t.Fatal("another loop has started")
			}
		}
		p.do(p.Close)
	})
}

// A connection that joins but is not started yet keeps its loop.
func TestRetirementWaitsForStart(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		far := s.Open()
		p := newProbe(far.Fd())
		if err := g.Join(&p.Conn, p, p.fd); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if s.Kernels() != 1 {
			t.Fatal("the loop has ended")
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		p.do(p.Close)
	})
}

// A connection that joins at the very moment when a loop is about to end keeps it.
func TestJoinAtTheEnd(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, _ *eventloop.Group) {
		var atTheEnd func()
		g := eventloop.NewGroup(1, func() (eventloop.Kernel, error) {
			k, err := s.NewKernel()
			return hesitant{k, &atTheEnd}, err
		}, func(*eventloop.Loop) {})
		defer g.Close()
		first, _ := startSim(t, s, g)
		far := s.Open()
		p := newProbe(far.Fd())
		joined := make(chan struct{})
		first.do(func() {
			first.Close()
			atTheEnd = func() {
				atTheEnd = nil
				if err := g.Join(&p.Conn, p, p.fd); err != nil {
					t.Error(err)
				}
				close(joined)
			}
		})
		<-joined
		time.Sleep(time.Hour)
		if s.Kernels() != 1 {
			t.Fatal("the loop has ended")
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		p.do(p.Close)
	})
}

// hesitant is a kernel that does something else before it says that nothing has happened for a while.
type hesitant struct {
	eventloop.Kernel
	before *func()
}

func (k hesitant) Park(events []eventloop.Event, deadline time.Time) int {
	n := k.Kernel.Park(events, deadline)
	if n == 0 && *k.before != nil {
		(*k.before)()
	}
	return n
}

// After Group.Close each connection is told once, also one that comes later, and a loop ends with the last of them, at once.
func TestGroupClose(t *testing.T) {
	simulated(t, 2, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		g.Close() // nothing has started
		g = eventloop.NewGroup(2, s.NewKernel, func(*eventloop.Loop) {})
		var all []*probe
		drained := make(chan int, 100)
		open := func() {
			p, _ := startSim(t, s, g)
			i := len(all)
			p.do(func() { p.onDrain = func() { drained <- i } })
			all = append(all, p)
		}
		for range 6 {
			open()
		}
		g.Close()
		g.Close()
		synctest.Wait()
		var told []int
		for len(drained) > 0 {
			told = append(told, <-drained)
		}
		slices.Sort(told)
		if !slices.Equal(told, []int{0, 1, 2, 3, 4, 5}) {
			t.Errorf("told: %v", told)
		}
		late, _ := startSim(t, s, g)
		for range 2 { // on either loop
			p := newProbe(s.Open().Fd())
			told := 0
			p.onDrain = func() { told++ }
			late.do(func() {
				if err := g.Open(late.Loop(), &p.Conn, p, p.fd); err != nil {
					t.Error(err)
				}
			})
			p.do(func() {})
			p.do(func() {
				if told != 1 {
					t.Errorf("one that a loop opens is told %d times", told)
				}
			})
			all = append(all, p)
		}
		heard := make(chan struct{}, 10)
		early := newProbe(s.Open().Fd())
		early.onDrain = func() { heard <- struct{}{} }
		if err := g.Join(&early.Conn, early, early.fd); err != nil {
			t.Fatal(err)
		}
		if err := early.Start(); err != nil {
			t.Fatal(err)
		}
		<-heard
		time.Sleep(time.Hour)
		if s.Kernels() != 2 || len(heard) > 0 {
			t.Errorf("%d loops, told %d times more", s.Kernels(), len(heard))
		}
		began := time.Now()
		for _, p := range append(all, late, early) {
			p.do(p.Close)
		}
		synctest.Wait()
		if s.Kernels() != 0 || time.Since(began) != 0 {
			t.Errorf("%d loops after %v", s.Kernels(), time.Since(began))
		}
		// One that comes after the end has a loop as long as it needs one.
		p, _ := startSim(t, s, g)
		time.Sleep(time.Hour)
		p.do(p.Close)
		synctest.Wait()
		if s.Kernels() != 0 {
			t.Error("the loop has not ended")
		}
	})
}

// A handler may end the goroutine it is called on (runtime.Goexit): all others are called, and the loop goes on.
func TestGoexitInEachCallback(t *testing.T) {
	for _, method := range callbacks {
		t.Run(method, func(t *testing.T) {
			testkit.NoLeaks(t)
			const peers = 300 // more than a turn handles at once
			g := newGroup(1)
			var all []*pair
			for range peers {
				all = append(all, start(t, g, nil))
			}
			came := make(chan int, peers)
			counts := make([]int, peers)
			provoke(t, g, all, func() {
				for i, p := range all {
					p.set(method, func() {
						if counts[i]++; counts[i] > 1 {
							return
						}
						came <- i
						if i%3 == 0 {
							runtime.Goexit()
						}
					})
				}
			})
			for range peers {
				soon(t, came)
			}
			all[0].do(func() {
				for i, n := range counts {
					if n != 1 && method != "Ready" && method != "Attend" {
						t.Errorf("connection %d is called %d times", i, n)
					}
				}
			})
		})
	}
}

// A loop that yields lets goroutines that have been started run before its next turn, though it never waits.
func TestYield(t *testing.T) {
	testkit.NoLeaks(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // with more, they run by themselves
	const times = 100
	var turns atomic.Int64
	started, prompt, running := 0, 0, false
	done := make(chan struct{})
	p := start(t, newGroup(1), nil)
	p.do(func() {
		p.onReady = func(_, _, _ bool) {
			now := turns.Add(1)
			switch {
			case running:
			case started == times:
				close(done)
				p.onReady = nil
				return
			default:
				running = true
				started++
				go func() {
					then := turns.Load()
					p.post(func() {
						running = false
						if then == now {
							prompt++
						}
					})
				}()
				p.Loop().Yield()
			}
			p.Again()
		}
		p.Again()
	})
	soon(t, done)
	if prompt < times*9/10 {
		t.Errorf("%d of %d goroutines ran at once", prompt, times)
	}
}

// Loops have about as many connections each, their own state, and call nobody at once that shares it.
func TestManyLoops(t *testing.T) {
	testkit.NoLeaks(t)
	const loops, each = 7, 10
	type local struct{ calls int } // guarded by nothing
	prepared := 0
	g := eventloop.NewGroup(loops, eventloop.NewEpoll, func(l *eventloop.Loop) {
		prepared++
		l.Local = &local{}
	})
	on := map[*eventloop.Loop]int{}
	var all []*pair
	var echoed sync.WaitGroup
	for range loops * each {
		p := start(t, g, nil)
		p.do(func() {
			l := p.Loop().Local.(*local)
			p.onReady = func(_, _, _ bool) {
				l.calls++
				if s, _ := p.drain(); s != "" {
					p.Write([]byte(s), nil)
				}
			}
		})
		on[p.Loop()]++
		all = append(all, p)
	}
	for _, p := range all {
		echoed.Go(func() {
			for range 50 {
				p.send(t, "x")
				if n, err := p.peer.Read(make([]byte, 1)); n != 1 {
					t.Errorf("no echo: %v", err)
					return
				}
			}
		})
	}
	echoed.Wait()
	if prepared != loops || len(on) != loops {
		t.Errorf("%d loops were prepared, %d are used, want %d", prepared, len(on), loops)
	}
	for _, n := range on {
		if n != each {
			t.Errorf("a loop has %d connections, want %d", n, each)
		}
	}
	seen := 0
	g.Loops(func(*eventloop.Loop) { seen++ })
	if seen != loops {
		t.Errorf("Loops tells of %d", seen)
	}
}

// A kernel that cannot be made is Join's error, and the next one to join tries again.
func TestJoinWithoutAKernel(t *testing.T) {
	simulated(t, 2, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		s.Err = errors.New("no kernel")
		far := s.Open()
		p := newProbe(far.Fd())
		for range 3 {
			if err := g.Join(&p.Conn, p, p.fd); !errors.Is(err, s.Err) {
				t.Fatalf("error %v", err)
			}
		}
		s.Err = nil
		if err := g.Join(&p.Conn, p, p.fd); err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		p.do(p.Close)
	})
}
