package carry

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// tunnels are the WebSockets that are carried from here.
type tunnels struct {
	mu       sync.Mutex
	all      map[*opened]struct{}
	draining bool
	none     chan struct{} // closed when they are drained, and none is left
}

// opened ends one of them.
type opened struct{ end func() }

func newTunnels() tunnels {
	return tunnels{all: map[*opened]struct{}{}, none: make(chan struct{})}
}

// enter takes another one, unless they are drained.
func (t *tunnels) enter(o *opened) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return false
	}
	t.all[o] = struct{}{}
	return true
}

func (t *tunnels) leave(o *opened) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, o)
	t.check()
}

// check sees whether none is left. t.mu is held.
func (t *tunnels) check() {
	if !t.draining || len(t.all) > 0 {
		return
	}
	select {
	case <-t.none:
	default:
		close(t.none)
	}
}

// drain has no more come in, and gives those that are there.
func (t *tunnels) drain() []*opened {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	t.check()
	all := make([]*opened, 0, len(t.all))
	for o := range t.all {
		all = append(all, o)
	}
	return all
}

// drainTick is how often the next ones are ended.
const drainTick = 10 * time.Millisecond

// Drain is for a node that stops: the WebSockets that are carried from here end one after the other over the window, in random order, and no
// more are opened, since all of them would end with the node, at once. Their clients come back by another node; that of their session has what
// they missed. It returns when the window is over, when none is left, or when ctx is done.
func (c *Carrier) Drain(ctx context.Context, window time.Duration) {
	all := c.open.drain()
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	began := time.Now()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for ended := 0; ; {
		past := time.Since(began)
		due := len(all)
		if past < window {
			due = int(float64(len(all)) * float64(past) / float64(window))
		}
		for ; ended < due; ended++ {
			all[ended].end()
		}
		if past >= window {
			return
		}
		select {
		case <-tick.C:
		case <-c.open.none:
			return
		case <-ctx.Done():
			return
		}
	}
}
