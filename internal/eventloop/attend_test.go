//go:build linux

package eventloop_test

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/internal/eventloop"
	"baro.dev/internal/testkit"
)

// No call of Attend is lost, however many goroutines make them: what was done before one is seen by the handler.
func TestAttendIsNeverLost(t *testing.T) {
	testkit.NoLeaks(t)
	const goroutines, each = 8, 3000
	var posted atomic.Int64
	var mu sync.Mutex
	var handled int64
	calls := 0
	changed := sync.NewCond(&mu)
	p := start(t, newGroup(1), func(p *pair) {
		p.onAtt = func() {
			mu.Lock()
			defer mu.Unlock()
			handled = posted.Load()
			calls++
			changed.Broadcast()
		}
	})
	// Who waits too long fails the test by its stacks: there is nothing else to be waited for.
	watchdog := time.AfterFunc(testkit.Patience, func() { panic("a call of Attend is lost") })
	defer watchdog.Stop()
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range each {
				n := posted.Add(1)
				p.Conn.Attend()
				mu.Lock()
				for handled < n {
					changed.Wait()
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%d calls for %d", calls, goroutines*each)
}

// Calls that come before the handler's are one.
func TestAttendIsCoalesced(t *testing.T) {
	testkit.NoLeaks(t)
	calls := 0
	g := newGroup(1)
	p := start(t, g, nil)
	q := start(t, g, func(q *pair) { q.onAtt = func() { calls++ } })
	q.do(func() {})
	resume := p.stop()
	calls = 0
	for range 1000 {
		q.Conn.Attend()
	}
	resume()
	p.do(func() {})
	p.do(func() {
		if calls != 1 {
			t.Errorf("%d calls for a thousand while the loop was busy", calls)
		}
	})
}

// A handler that calls Attend is called again, in another turn.
func TestAttendFromAttend(t *testing.T) {
	testkit.NoLeaks(t)
	done := make(chan struct{})
	calls := 0
	p := start(t, newGroup(1), func(q *pair) {
		q.onAtt = func() {
			calls++
			if calls < 1000 {
				q.Conn.Attend()
			} else if calls == 1000 {
				close(done)
			}
		}
	})
	soon(t, done)
	p.do(func() {})
}

// Nothing is called before Start, and Attend is what is called first.
func TestNothingBeforeStart(t *testing.T) {
	testkit.NoLeaks(t)
	g := newGroup(1)
	other := start(t, g, nil)
	var calls []string
	p := openUnix(t)
	p.onAtt = func() { calls = append(calls, "Attend") }
	ready := make(chan struct{}, 100)
	p.onReady = func(_, _, _ bool) { calls = append(calls, "Ready"); ready <- struct{}{} }
	if err := g.Join(&p.Conn, p, p.fd); err != nil {
		t.Fatal(err)
	}
	p.send(t, "early")
	for range 3 {
		p.Conn.Attend()
		other.do(func() {})
	}
	if n, errno := p.Write([]byte("x"), nil); n != 1 || errno != 0 {
		t.Fatalf("wrote %d, %v", n, errno)
	}
	other.do(func() {
		if len(calls) > 0 {
			t.Errorf("called before Start: %v", calls)
		}
	})
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	soon(t, ready)
	p.do(func() {
		if len(calls) < 2 || calls[0] != "Attend" || calls[1] != "Ready" {
			t.Errorf("called: %v", calls)
		}
		p.Close()
	})
}

// A descriptor that cannot be watched is an error of Start, and the handler is told by Attend, to close it.
func TestStartOfWhatCannotBeWatched(t *testing.T) {
	testkit.NoLeaks(t)
	g := newGroup(1)
	start(t, g, nil).do(func() {}) // the loop waits
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := openUnix(t)
	fd := p.fd
	dup2(t, int(file.Fd()), fd)
	attended := make(chan struct{}, 10)
	p.onAtt = func() {
		p.Close()
		attended <- struct{}{}
	}
	if err := g.Join(&p.Conn, p, fd); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err == nil {
		t.Error("a file is watched") // EPERM, epoll_ctl(2)
	}
	soon(t, attended)
}

// A connection that is closed by its first Attend has not been added to anything after that.
func TestCloseBeforeTheFirstEvent(t *testing.T) {
	testkit.NoLeaks(t)
	g := eventloop.NewGroup(1, func() (eventloop.Kernel, error) {
		k, err := eventloop.NewEpoll()
		return slowToAdd{k}, err
	}, func(*eventloop.Loop) {})
	busy := start(t, g, nil)
	var spin func()
	spin = func() { busy.post(spin) } // a loop that does not wait sees a new connection as early as can be
	busy.post(spin)
	defer func() { busy.do(func() { spin = func() {} }) }()
	for range 300 {
		p := openUnix(t)
		closed := make(chan struct{})
		p.onReady = func(_, _, _ bool) { t.Error("Ready after Close") }
		p.onAtt = func() { p.Close(); p.onAtt = nil; close(closed) }
		p.join(t, g)
		soon(t, closed)
		p.peer.Close()
	}
}

// slowToAdd is a kernel that lets others run before it adds anything.
type slowToAdd struct{ eventloop.Kernel }

func (k slowToAdd) Add(fd int) error {
	for range 100 {
		runtime.Gosched()
	}
	return k.Kernel.Add(fd)
}

// Attend may be called after Close, and is heard even when there is no loop any more; always one call at a time.
func TestAttendAfterTheEnd(t *testing.T) {
	testkit.NoLeaks(t)
	kernels := 0
	g := eventloop.NewGroup(1, func() (eventloop.Kernel, error) {
		kernels++
		return eventloop.NewEpoll()
	}, func(*eventloop.Loop) {})
	calls := 0
	p := start(t, g, func(p *pair) { p.onAtt = func() { calls++ } })
	p.do(p.Close)
	p.do(func() {})
	for retired := false; !retired; time.Sleep(time.Millisecond) { // as long as it lingers
		retired = true
		g.Loops(func(*eventloop.Loop) { retired = false })
	}
	var before int
	p.do(func() { before = calls })
	const goroutines, each = 4, 100
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range each {
				heard := make(chan struct{})
				p.post(func() { close(heard) })
				<-heard
			}
		})
	}
	all.Wait()
	p.do(func() {
		if calls == before {
			t.Error("Attend was not called")
		}
	})
	if kernels != 1 {
		t.Errorf("%d kernels", kernels)
	}
}
