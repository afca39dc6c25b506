// Package testkit is what tests of several packages share. Only tests import it.
package testkit

import (
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// Patience is how long a test waits for what has to come: long enough for a machine that is busy with something else.
const Patience = 30 * time.Second

// NoLeaks fails the test if there are more goroutines or descriptors at its end than now, and does so when all that is
// cleaned up later has been. It waits for [Patience] for the last of them to end. Tests beside it must not run in parallel.
func NoLeaks(t testing.TB) {
	t.Helper()
	startPoller()
	goroutines, descriptors := runtime.NumGoroutine(), Descriptors()
	t.Cleanup(func() {
		start := time.Now()
		for {
			g, d := runtime.NumGoroutine(), Descriptors()
			if g <= goroutines && d <= descriptors {
				return
			}
			if time.Since(start) > Patience {
				t.Errorf("%d goroutines, %d descriptors; there were %d and %d\n%s", g, d, goroutines, descriptors, stacks())
				return
			}
			time.Sleep(time.Millisecond) // nothing tells when another package's goroutine has ended
		}
	})
}

// Within returns what comes from c, or the zero value if c is closed. It fails the test if neither happens within
// [Patience].
func Within[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(Patience):
		t.Fatalf("waited for %s:\n%s", what, stacks())
	}
	return v
}

// Descriptors counts the descriptors of the process, where the system tells, as Linux does; elsewhere it returns 0.
func Descriptors() int {
	all, _ := os.ReadDir("/proc/self/fd")
	return len(all)
}

// startPoller has Go's own poller make the descriptors that it keeps.
func startPoller() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

func stacks() string {
	var s strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&s, 1)
	return s.String()
}
