package natsbus

import "sync"

// A listener calls its function with one message after the other, on a goroutine that is there while messages are.
type listener struct {
	bus *Bus
	f   func(data []byte)

	mu      sync.Mutex
	waiting [][]byte
	bytes   int
	working bool
	ended   bool
}

// incomingBytes is what a message counts besides its data.
const incomingBytes = 100

// add is false if there is no room.
func (l *listener) add(data []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := len(data) + incomingBytes
	switch {
	case l.ended:
		return true
	case l.bytes+size > l.bus.o.MaxIncoming:
		return false
	}
	l.bytes += size
	l.waiting = append(l.waiting, data)
	if !l.working {
		l.working = true
		l.bus.crew.Handle(l)
	}
	return true
}

func (l *listener) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.waiting = true, nil
}

// Work implements crew.Worker.
func (l *listener) Work() {
	for {
		l.mu.Lock()
		all := l.waiting
		l.waiting = nil
		if len(all) == 0 {
			l.working = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		for _, data := range all {
			l.mu.Lock()
			ended := l.ended
			l.bytes -= len(data) + incomingBytes
			l.mu.Unlock()
			if !ended {
				l.f(data)
			}
		}
	}
}

// read has what comes wait for those who listen.
func (b *Bus) read() {
	defer b.works.Done()
	for {
		select {
		case <-b.done:
			return
		case m := <-b.in:
			b.mu.Lock()
			var listeners []*listener
			if s := b.subjects[m.Subject]; s != nil {
				listeners = s.listeners
			}
			b.mu.Unlock()
			lost := false
			for _, l := range listeners {
				lost = !l.add(m.Data) || lost
			}
			if lost {
				b.gap()
			}
		}
	}
}
