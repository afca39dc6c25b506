package membus

import (
	"slices"
	"sync"
	"time"
)

// A letter waits until it is due.
type letter struct {
	from *Bus
	data []byte
	due  time.Time
}

// A listener calls f with one message after the other, on a goroutine that is there while messages are.
type listener struct {
	subject string
	f       func(data []byte)
	wake    chan struct{}

	mu      sync.Mutex
	queue   []letter
	last    map[*Bus]time.Time // when the last of those that keep their order is due, by sender
	running bool
	ended   bool
}

func (l *listener) add(m letter, overtake bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	if !overtake {
		if last := l.last[m.from]; m.due.Before(last) {
			m.due = last
		}
		l.last[m.from] = m.due
	}
	at := len(l.queue)
	for at > 0 && l.queue[at-1].due.After(m.due) {
		at--
	}
	l.queue = slices.Insert(l.queue, at, m)
	if !l.running {
		l.running = true
		go l.run()
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *listener) end() {
	l.mu.Lock()
	l.ended, l.queue = true, nil
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *listener) run() {
	for {
		l.mu.Lock()
		if len(l.queue) == 0 {
			l.running = false
			l.mu.Unlock()
			return
		}
		m := l.queue[0]
		wait := time.Until(m.due)
		if wait <= 0 {
			l.queue[0] = letter{}
			l.queue = l.queue[1:]
		}
		l.mu.Unlock()
		if wait <= 0 {
			l.f(slices.Clone(m.data))
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.wake:
			timer.Stop()
		}
	}
}
