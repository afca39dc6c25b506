package redisadapter

import "sync"

// maxTurns is how many functions may wait for their turn.
const maxTurns = 1024

// turns runs functions one after another, on a goroutine that is there while there are some.
type turns struct {
	mu      sync.Mutex
	waiting []func()
	runs    bool
}

// add reports false if too many wait already.
func (t *turns) add(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= maxTurns {
		return false
	}
	t.waiting = append(t.waiting, f)
	if !t.runs {
		t.runs = true
		go t.run()
	}
	return true
}

func (t *turns) run() {
	for {
		t.mu.Lock()
		if len(t.waiting) == 0 {
			t.runs, t.waiting = false, nil
			t.mu.Unlock()
			return
		}
		f := t.waiting[0]
		t.waiting[0] = nil
		t.waiting = t.waiting[1:]
		t.mu.Unlock()
		f()
	}
}
