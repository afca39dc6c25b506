package channel

import "context"

// A Batch is a run of messages, oldest first.
type Batch struct {
	// Messages are shared: neither they nor their data may be changed. The slice is the caller's.
	Messages []*Message
	// Next is where the messages end. Reading on begins with After(Next).
	Next Position
	// More says that there are messages after Next already.
	More bool
}

// Read gives the messages of the channel called name from a place on: those that are there, up to maxBytes of data but
// at least one; 0 is no bound, but for what is no longer in memory: that comes in parts of 1 MiB. Where there are none the
// batch is empty, and its Next valid.
//
// The error is [ErrInvalid], [ErrTooManyChannels], [ErrNotRecoverable], [ErrStore] or [ErrClosed].
func (h *Hub) Read(name string, from From, maxBytes int) (Batch, error) {
	if err := ValidateName(name); err != nil {
		return Batch{}, err
	}
	c, err := h.acquire(name)
	if err != nil {
		return Batch{}, err
	}
	defer h.release(c)
	batch, _, err := c.read(from, maxBytes, false)
	return batch, err
}

// Wait is [Hub.Read], but where there are no messages it waits for one. It starts no goroutine. When ctx ends the wait,
// the batch is empty and its Next valid, and the error is that of ctx.
//
// A message that the history does not keep, because it is longer than the history may be for instance, is
// [ErrNotRecoverable] to those who wait.
func (h *Hub) Wait(ctx context.Context, name string, from From, maxBytes int) (Batch, error) {
	if err := ValidateName(name); err != nil {
		return Batch{}, err
	}
	c, err := h.acquire(name)
	if err != nil {
		return Batch{}, err
	}
	defer h.release(c)
	for {
		batch, wake, err := c.read(from, maxBytes, true)
		if err != nil || len(batch.Messages) > 0 {
			return batch, err
		}
		select {
		case <-wake:
			from = After(batch.Next)
		case <-ctx.Done():
			return batch, ctx.Err()
		}
	}
}

// read gives the messages from a place on. Where there are none and the caller means to wait, wake is closed by the next
// publish.
func (c *channel) read(from From, maxBytes int, wait bool) (batch Batch, wake <-chan struct{}, err error) {
	for {
		batch, wake, p, err := c.readRecent(from, maxBytes, wait)
		switch {
		case err != nil:
			return Batch{}, nil, err
		case p.ahead:
			if err := c.catchUp(&from); err != nil {
				return Batch{}, nil, err
			}
		case p.older:
			batch, err = c.readOlder(from, p, maxBytes)
			if err != nil || len(batch.Messages) > 0 {
				return batch, nil, err
			}
			from.where = recent
		default:
			return batch, wake, nil
		}
	}
}

// readRecent is read of what is in memory, unless the place is older.
func (c *channel) readRecent(from From, maxBytes int, wait bool) (batch Batch, wake <-chan struct{}, p place, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, err = c.locate(from); err != nil || p.older || p.ahead {
		return Batch{}, nil, p, err
	}
	missed := p.missed
	n := c.fitting(missed, maxBytes)
	batch = Batch{
		Next: Position{Epoch: c.epoch, Offset: c.offset - uint64(missed-n)},
		More: n < missed,
	}
	if n > 0 {
		batch.Messages = make([]*Message, n)
		for i := range n {
			batch.Messages[i] = c.history.at(c.history.count - missed + i)
		}
		return batch, nil, p, nil
	}
	if wait {
		wake = c.waiting()
	}
	return batch, wake, p, nil
}

// fitting is how many of the newest missed messages, oldest first, are within maxBytes: at least one, if there is one.
func (c *channel) fitting(missed, maxBytes int) int {
	if maxBytes <= 0 {
		return missed
	}
	for n := range missed {
		maxBytes -= len(c.history.at(c.history.count - missed + n).Data)
		if maxBytes < 0 {
			return max(n, 1)
		}
	}
	return missed
}
