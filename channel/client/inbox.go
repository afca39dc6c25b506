package client

import "sync"

// inbox is the messages that wait for handlers. Its goroutine exists while some do.
type inbox struct {
	limit int

	mu      sync.Mutex
	queue   []job
	bytes   int
	running bool
	closed  bool
	room    chan struct{} // closed when there is room again; nil if nobody waits
	refused int           // the largest for which there was no room since
}

type job struct {
	size int
	run  func()
}

// push has f called, after what was pushed before; false if there is no room.
func (b *inbox) push(size int, f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if size > 0 && b.bytes > 0 && b.bytes+size > b.limit {
		b.refused = max(b.refused, size)
		return false
	}
	if b.closed {
		return true
	}
	b.queue = append(b.queue, job{size, f})
	b.bytes += size
	if !b.running {
		b.running = true
		go b.work()
	}
	return true
}

// roomy is closed as soon as half of the room is free, and what there was no room for fits.
func (b *inbox) roomy() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hasRoom() {
		b.refused = 0
		free := make(chan struct{})
		close(free)
		return free
	}
	if b.room == nil {
		b.room = make(chan struct{})
	}
	return b.room
}

// close drops what waits.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.queue, b.bytes = true, nil, 0
	b.free()
}

// free tells who waits for room. The caller holds mu.
func (b *inbox) free() {
	if b.room != nil && b.hasRoom() {
		close(b.room)
		b.room, b.refused = nil, 0
	}
}

func (b *inbox) hasRoom() bool {
	return b.bytes == 0 || b.bytes <= b.limit/2 && b.bytes+b.refused <= b.limit
}

func (b *inbox) work() {
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
		b.bytes = max(0, b.bytes-j.size)
		b.free()
	}
	b.running = false
}
