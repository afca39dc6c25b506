package channel

import "time"

// A place is where a reader begins.
type place struct {
	// missed is how many of the messages in memory, counted from the newest, the reader has not seen.
	missed int
	// older says that the store is to be asked: it may have messages before those.
	older bool
	// Where the channel stood: for a reader that asks the store, without a lock.
	position Position
}

// locate finds where from is. The caller holds c.mu.
func (c *channel) locate(from From) (place, error) {
	c.trim(time.Now())
	p := place{position: c.position()}
	kept := uint64(c.history.count)
	older := !from.recent && c.offset > kept && c.stored()
	switch from.kind {
	case fromNow:
	case fromLast:
		p.missed = min(c.history.count, 1)
		p.older = older && kept == 0
	case fromOldest:
		p.missed, p.older = c.history.count, older
	case fromAfter:
		after := from.position
		behind := c.offset - after.Offset
		switch {
		case after.Epoch != "" && after.Epoch != c.epoch, after.Offset > c.offset, behind > kept && !older:
			return place{}, &NotRecoverableError{Channel: c.name, After: after, Last: p.position, Kept: c.history.count}
		case behind > kept:
			p.older = true
		default:
			p.missed = int(behind)
		}
	}
	return p, nil
}
