package redisadapter

import (
	"context"
	"fmt"
)

// reached waits until an entry has been delivered, and returns the id of the last one that has.
func (r *reader) reached(ctx context.Context, id string) (string, error) {
	for {
		r.mu.Lock()
		last := r.last
		if last != "" && compareIDs(last, id) >= 0 {
			r.mu.Unlock()
			return last, nil
		}
		if r.moved == nil {
			r.moved = make(chan struct{})
		}
		moved := r.moved
		r.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return "", fmt.Errorf("the stream is not read: %w", ctx.Err())
		}
	}
}

// remembers reports whether it knows all that has come behind an entry.
func (r *reader) remembers(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known(id)
}

// known is remembers. mu is held.
func (r *reader) known(id string) bool {
	return compareIDs(id, r.last) == 0 || len(r.recent) > 0 && compareIDs(r.recent[0].id, id) <= 0
}

// meet has a client that has got all up to where the reader is, or up to what this remembers, go on with what it delivers. It
// reports false if more has come than that.
func (r *reader) meet(c *recovery, f func()) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known(c.after) {
		return false, nil
	}
	after := c.after
	for i := range r.recent {
		if compareIDs(r.recent[i].id, after) > 0 {
			if err := c.add(&r.recent[i]); err != nil {
				return false, err
			}
		}
	}
	f()
	return true, nil
}
