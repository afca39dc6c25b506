package redisbus

import (
	"bytes"
	"sync"
)

// A subject is what is listened for.
type subject struct {
	bus       *Bus
	name      string
	before    bool        // it was ready before; belongs to the goroutine that calls Ready
	listeners []*listener // guarded by Bus.mu; replaced, not changed
}

// Ready implements redislink.Handler.
func (s *subject) Ready() {
	s.bus.told.Store(false)
	if s.before {
		s.bus.gap()
	}
	s.before = true
}

// Message implements redislink.Handler.
func (s *subject) Message(payload []byte) {
	if payload == nil {
		s.bus.skipped.Add(1)
		s.bus.gap()
		return
	}
	s.bus.mu.Lock()
	listeners := s.listeners
	s.bus.mu.Unlock()
	data, lost := bytes.Clone(payload), false
	for _, l := range listeners {
		lost = !l.add(data) || lost
	}
	if lost {
		s.bus.gap()
	}
}

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

// besides is what a message counts besides its data.
const besides = 100

// add is false if there is no room.
func (l *listener) add(data []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := len(data) + besides
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

// next is the next message; false: there is none, and the goroutine ends.
func (l *listener) next() ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 || l.ended {
		l.working, l.waiting = false, nil
		return nil, false
	}
	data := l.waiting[0]
	l.waiting[0], l.waiting = nil, l.waiting[1:]
	l.bytes -= len(data) + besides
	return data, true
}

// Work implements crew.Worker.
func (l *listener) Work() {
	for data, ok := l.next(); ok; data, ok = l.next() {
		l.f(data)
	}
}
