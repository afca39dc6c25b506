package channel

// A place is where a reader begins. Where older or ahead is set it is to be looked for beyond memory first.
type place struct {
	// missed is how many of the messages in memory, counted from the newest, the reader has not seen.
	missed int
	// older says that the archive is to be asked: it may have messages before those.
	older bool
	// ahead says that the broker is to be asked: it may be where the reader is already, and the channel not yet.
	ahead bool
	// Where the channel stood: for a reader that asks the archive, without a lock.
	position Position
}

// locate finds where from is. The caller holds c.mu.
func (c *channel) locate(from From) (place, error) {
	c.trim(c.hub.now())
	p := place{position: c.position()}
	kept := uint64(c.history.count)
	older := from.where < recent && c.offset > kept && c.stored()
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
		elsewhere := after.Epoch != "" && after.Epoch != c.epoch || after.Offset > c.offset
		switch {
		case elsewhere && c.shared != nil && (from.where < asked || from.where == asked && after.Epoch == c.epoch):
			p.ahead = true
		case elsewhere, behind > kept && (!older || behind > uint64(c.settings.Load().kept())):
			return place{}, &NotRecoverableError{Channel: c.name, After: after, Last: p.position, Kept: c.history.count}
		case behind > kept:
			p.older = true
		default:
			p.missed = int(behind)
		}
	}
	return p, nil
}
