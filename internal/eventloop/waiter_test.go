//go:build linux

package eventloop_test

import (
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/eventloop"
)

// A Waiter waits until something comes, or somebody wakes it, or the time is over; for short times and for long ones.
func TestWaiter(t *testing.T) {
	w, err := eventloop.NewWaiter()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Release()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pair[0])
	defer syscall.Close(pair[1])
	if err := w.Add(pair[0]); err != nil {
		t.Fatal(err)
	}
	events := make([]eventloop.Event, 8)
	for _, d := range []time.Duration{-time.Second, 0, 100 * time.Microsecond, 20 * time.Millisecond} {
		begin := time.Now()
		n := 0
		for n == 0 && time.Since(begin) < d { // a signal may end it early
			n = w.Wait(events, d-time.Since(begin))
		}
		if n != 0 {
			t.Errorf("%v: %d events of nothing", d, n)
		}
	}
	comes := func(what string, fd int, f func()) {
		t.Helper()
		for _, late := range []bool{false, true} {
			if late {
				go func() { time.Sleep(20 * time.Millisecond); f() }()
			} else {
				f()
			}
			n := 0
			for begin := time.Now(); n == 0 && time.Since(begin) < time.Minute; {
				n = w.Wait(events, time.Hour)
			}
			if n != 1 || fd >= 0 && int(events[0].Fd) != fd {
				t.Errorf("%s: %d events, %+v", what, n, events[:n])
			}
		}
	}
	comes("a byte", pair[0], func() { _, _ = syscall.Write(pair[1], []byte{1}) })
	comes("to be woken", -1, w.Wake)
}
