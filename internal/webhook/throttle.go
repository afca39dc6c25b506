package webhook

import (
	"sync"
	"time"
)

// throttle lets a message of a kind into the log at once, and then once a minute at most, with how many there were.
type throttle struct {
	mu     sync.Mutex
	last   time.Time
	missed int
}

// allow counts n, and says whether to log now, and what has been counted since it last said so.
func (t *throttle) allow(n int) (total int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.missed += n
	now := time.Now()
	if !t.last.IsZero() && now.Sub(t.last) < time.Minute {
		return 0, false
	}
	total, t.missed, t.last = t.missed, 0, now
	return total, true
}
