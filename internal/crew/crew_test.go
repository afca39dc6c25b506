package crew_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/crew"
)

// work is a Worker.
type work func()

func (w work) Work() { w() }

// Everything that is handed over is done, at the same time if need be: nobody waits for somebody else's work.
func TestHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew.Crew
		defer c.Close()
		gate := make(chan struct{})
		var done sync.WaitGroup
		for range 50 {
			done.Add(1)
			c.Handle(work(func() {
				<-gate
				done.Done()
			}))
		}
		synctest.Wait() // all of them wait at the gate
		close(gate)
		done.Wait()
	})
}

// goroutine returns what the runtime calls this one.
func goroutine() string {
	var b [64]byte
	name, _, _ := strings.Cut(string(b[:runtime.Stack(b[:], false)]), " [")
	return name
}

// Goroutines are used again, and end when there has been nothing to do for a while: synctest does not let a test end that
// leaves some.
func TestKeptForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew.Crew
		worked := map[string]bool{}
		for range 3 {
			for range 20 {
				c.Handle(work(func() { worked[goroutine()] = true }))
				synctest.Wait()
			}
			time.Sleep(50 * time.Millisecond)
		}
		if len(worked) != 1 {
			t.Errorf("%d goroutines have done what one can", len(worked))
		}
		time.Sleep(time.Second)
	})
}

// After Close work is still done, and nobody is kept.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew.Crew
		gate := make(chan struct{})
		c.Handle(work(func() { <-gate }))
		c.Handle(work(func() {}))
		synctest.Wait()
		c.Close()
		done := false
		c.Handle(work(func() { done = true }))
		close(gate)
		synctest.Wait()
		if !done {
			t.Error("what came after Close was not done")
		}
	})
}

// A worker may end its goroutine.
func TestGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew.Crew
		defer c.Close()
		c.Handle(work(runtime.Goexit))
		synctest.Wait()
		done := false
		c.Handle(work(func() { done = true }))
		synctest.Wait()
		if !done {
			t.Error("nobody works any more")
		}
	})
}

func BenchmarkHandle(b *testing.B) {
	var c crew.Crew
	defer c.Close()
	done := make(chan struct{})
	w := work(func() { done <- struct{}{} })
	b.ReportAllocs()
	for b.Loop() {
		c.Handle(w)
		<-done
	}
}
