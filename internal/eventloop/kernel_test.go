//go:build linux

package eventloop_test

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/eventloop"
	"baro.dev/internal/testkit"
)

// newKernel returns an epoll kernel that is released with the test.
func newKernel(t *testing.T) eventloop.Kernel {
	t.Helper()
	testkit.NoLeaks(t)
	k, err := eventloop.NewEpoll()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Release)
	return k
}

// parked has k park and returns how many events there were.
func parked(k eventloop.Kernel, deadline time.Time) <-chan int {
	n := make(chan int, 1)
	go func() { n <- k.Park(make([]eventloop.Event, 10), deadline) }()
	return n
}

// A kernel that is woken before it parks does not wait, and one that waits is woken; each Wake is good for one Park.
func TestWake(t *testing.T) {
	k := newKernel(t)
	for range 100 {
		k.Wake()
		soon(t, parked(k, time.Time{}))
		waiting := parked(k, time.Time{})
		select {
		case n := <-waiting:
			t.Fatalf("Park returned %d without a reason", n)
		case <-time.After(100 * time.Microsecond): // now and then it has not come as far, and is woken beforehand
		}
		k.Wake()
		soon(t, waiting)
	}
}

// However many wake a kernel, and whenever: it returns after each of them.
func TestWakeFromMany(t *testing.T) {
	k := newKernel(t)
	for range 300 {
		var all sync.WaitGroup
		for range 3 {
			all.Go(k.Wake)
		}
		soon(t, parked(k, time.Time{}))
		all.Wait()
		for events := make([]eventloop.Event, 10); k.Poll(events) > 0; {
		}
	}
}

// Park returns no earlier than its deadline without a reason, whether it is earlier or later than the one before.
func TestParkUntil(t *testing.T) {
	k := newKernel(t)
	for _, ms := range []int{5, 1, 20, 20, 0, -5, 3, 10, 1} {
		deadline := time.Now().Add(time.Duration(ms) * time.Millisecond)
		rounds := 0
		for ; time.Now().Before(deadline); rounds++ {
			if n := soon(t, parked(k, deadline)); n != 0 {
				t.Fatalf("%d events", n)
			}
		}
		if rounds > 2 { // a deadline set before may end it early, once
			t.Errorf("Park has returned %d times before its deadline", rounds)
		}
	}
	// One that was to be much later is not waited for.
	late := parked(k, time.Now().Add(time.Hour))
	k.Wake()
	soon(t, late)
	for deadline := time.Now().Add(5 * time.Millisecond); time.Now().Before(deadline); {
		soon(t, parked(k, deadline))
	}
	for events := make([]eventloop.Event, 10); k.Poll(events) > 0; {
	}
	// After all these, one without a deadline waits.
	forever := parked(k, time.Time{})
	select {
	case n := <-forever:
		// One that had been set before may end it, once.
		if n != 0 {
			t.Fatalf("%d events", n)
		}
		forever = parked(k, time.Time{})
		select {
		case <-forever:
			t.Fatal("Park has returned twice without a reason")
		case <-time.After(30 * time.Millisecond):
		}
	case <-time.After(30 * time.Millisecond):
	}
	k.Wake()
	soon(t, forever)
}

// An event ends a Park with a deadline, too, and the descriptor is named.
func TestParkUntilAnEvent(t *testing.T) {
	k := newKernel(t)
	p := openUnix(t)
	defer syscall.Close(p.fd)
	if err := k.Add(p.fd); err != nil {
		t.Fatal(err)
	}
	events := make([]eventloop.Event, 10)
	done := make(chan int)
	for _, deadline := range []time.Time{{}, time.Now().Add(time.Hour)} {
		go func() { done <- k.Park(events, deadline) }()
		p.send(t, "x")
		if n := soon(t, done); n != 1 || int(events[0].Fd) != p.fd || events[0].Events&syscall.EPOLLIN == 0 {
			t.Fatalf("%d events, the first of %d: %#x", n, events[0].Fd, events[0].Events)
		}
	}
	k.Remove(p.fd)
	p.send(t, "y")
	if n := k.Poll(events); n != 0 {
		t.Fatalf("%d events after Remove", n)
	}
}

// Wake may come after Release, as one who posts to a loop that ends does.
func TestWakeAfterRelease(t *testing.T) {
	testkit.NoLeaks(t)
	k, err := eventloop.NewEpoll()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				k.Wake()
			}
		})
	}
	k.Release()
	all.Wait()
	// The descriptor that woke it may be somebody else's by now.
	p := openUnix(t)
	defer syscall.Close(p.fd)
	k.Wake()
	if _, errno := p.drainFd(); errno != syscall.EAGAIN {
		t.Errorf("somebody has written to a descriptor that is not his: %v", errno)
	}
}

// drainFd reads the descriptor of a probe that is of no group.
func (p *pair) drainFd() (int, error) { return syscall.Read(p.fd, make([]byte, 16)) }

// Without descriptors there is no kernel, Join says so, and nothing is left of the attempt: as soon as there are some
// again, it succeeds.
func TestJoinWithoutDescriptors(t *testing.T) {
	testkit.NoLeaks(t)
	g := newGroup(2)
	p := openUnix(t)
	lowest := 0 // free descriptors below the limit
	for free := range 4 {
		lift := limitDescriptors(t, free)
		err := g.Join(&p.Conn, p, p.fd)
		lift()
		if err == nil {
			lowest = free
			break
		}
		if !errors.Is(err, syscall.EMFILE) {
			t.Fatalf("with %d descriptors: %v", free, err)
		}
		g.Loops(func(*eventloop.Loop) { t.Errorf("with %d descriptors a loop has started", free) })
	}
	if lowest != 2 { // epoll and eventfd
		t.Errorf("a loop takes %d descriptors", lowest)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.do(p.Close)
}

// limitDescriptors leaves so many descriptors to be opened, until lift is called.
func limitDescriptors(t *testing.T, free int) (lift func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	// The limit is of the numbers, not of how many there are: all those that are free below it are taken.
	var fill []*os.File
	highest := 0
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		fill = append(fill, f)
		if fd := int(f.Fd()); fd < highest {
			t.Fatal("descriptors are not numbered from below")
		} else if highest = fd; !openAbove(t, fd) {
			break
		}
	}
	limit := before
	limit.Cur = uint64(highest + 1 + free)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		for _, f := range fill {
			f.Close()
		}
	}
}

// openAbove reports whether a descriptor with a higher number is open.
func openAbove(t *testing.T, fd int) bool {
	t.Helper()
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && n > fd && n != int(dir.Fd()) {
			return true
		}
	}
	return false
}
