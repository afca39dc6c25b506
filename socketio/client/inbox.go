package client

import (
	"math"
	"sync"
	"time"
)

// inbox is what waits for the handlers of a socket. Its goroutine exists while something does.
type inbox struct {
	begin, end func() // of the goroutine
	limit      int

	mu      sync.Mutex
	queue   []job
	bytes   int
	running bool
	room    sync.Cond // told when bytes become fewer
}

type job struct {
	size int
	run  func()
}

// push has f called, after what was pushed before. Where as many bytes wait as may, who brings more waits too: events have a size, what
// handlers push themselves has none, so that they never wait for themselves. Nobody waits for a connection that is over: the handler that there
// is no end of may wait to hear just that.
func (b *inbox) push(size int, over func() bool, f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for size > 0 && b.bytes > 0 && b.bytes > b.limit-size && !over() {
		again := time.AfterFunc(time.Second, b.room.Broadcast)
		b.room.Wait()
		again.Stop()
	}
	b.queue = append(b.queue, job{size, f})
	b.bytes += size
	if !b.running {
		b.running = true
		b.begin()
		go b.work()
	}
}

// open has nobody wait any more.
func (b *inbox) open() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = math.MaxInt
	b.room.Broadcast()
}

func (b *inbox) work() {
	defer b.end()
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) > 0 {
		j := b.queue[0]
		b.queue[0] = job{}
		if b.queue = b.queue[1:]; len(b.queue) == 0 {
			b.queue = nil
		}
		b.mu.Unlock()
		j.run()
		b.mu.Lock()
		b.bytes -= j.size
		b.room.Broadcast()
	}
	b.running = false
}
