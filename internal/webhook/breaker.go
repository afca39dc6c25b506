package webhook

import (
	"sync"
	"time"
)

// A backend that fails breakAfter times in a row is not asked for breakFor: what clients wait for in vain, and what keeps it
// from coming back, is not asked at all. Then one question at a time is let through, until one is answered.
const (
	breakAfter = 10
	breakFor   = 2 * time.Second
)

// breaker decides whether a question is asked.
type breaker struct {
	mu       sync.Mutex
	failures int       // in a row
	until    time.Time // while it is broken: nobody asks before
	probing  bool      // somebody asks to see whether it is mended
}

// broken says whether allow would say no.
func (b *breaker) broken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures >= breakAfter && (b.probing || time.Now().Before(b.until))
}

// allow says whether to ask, and whether the question is the probe. Whoever was allowed to reports what came of it, once.
func (b *breaker) allow() (probe, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failures < breakAfter:
		return false, true
	case b.probing || time.Now().Before(b.until):
		return false, false
	}
	b.probing = true
	return true, true
}

// succeeded says whether that mended it.
func (b *breaker) succeeded(probe bool) (mended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mended = b.failures >= breakAfter
	b.failures = 0
	b.probing = b.probing && !probe
	return mended
}

// failed says whether that broke it.
func (b *breaker) failed(probe bool) (broke bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	broke = b.failures == breakAfter
	if broke || probe {
		b.until = time.Now().Add(breakFor)
	}
	b.probing = b.probing && !probe
	return broke
}

// unknown is when whoever asked has lost interest.
func (b *breaker) unknown(probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = b.probing && !probe
}
