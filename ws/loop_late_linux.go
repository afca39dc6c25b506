package ws

import (
	"sync"
	"time"
)

// late sees to it that what a handler sends while more messages wait, to leave with the answers to those, leaves even
// if the handler takes long.
type late struct {
	mu    sync.Mutex
	conns []*core
	spare []*core
	timer *time.Timer
}

// patience is how long what is sent may wait for what follows.
const patience = time.Millisecond

// add has c.flushSoon called after a moment.
func (l *late) add(c *core) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
	switch {
	case len(l.conns) > 1:
	case l.timer == nil:
		l.timer = time.AfterFunc(patience, l.flush)
	default:
		l.timer.Reset(patience)
	}
}

func (l *late) flush() {
	l.mu.Lock()
	conns := l.conns
	l.conns, l.spare = l.spare, nil
	l.mu.Unlock()
	for i, c := range conns {
		c.flushSoon()
		conns[i] = nil
	}
	l.mu.Lock()
	l.spare = conns[:0]
	l.mu.Unlock()
}
