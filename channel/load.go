package channel

import (
	"fmt"
	"slices"
	"time"
)

// loading is that a channel is being read from the archive: whoever uses it waits for that, and nobody holds a lock
// meanwhile.
type loading struct {
	ended chan struct{}
	err   error // written before ended is closed
}

// errLoad is for those who waited for a load that panicked.
var errLoad = fmt.Errorf("%w: it panicked", ErrStore)

// loadBytes is about how much of a channel's history comes into memory when the channel does.
const loadBytes = 64 << 10

// load reads c from the archive, for all who wait for it. Where that fails, c was never there.
func (h *Hub) load(c *channel, l *loading) {
	l.err = errLoad
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if l.err != nil {
			delete(h.channels, c.name)
			c.mu.Lock()
			c.gone = true
			c.unpeer()
			c.mu.Unlock()
		} else {
			c.loading = nil
		}
		close(l.ended)
	}()
	settings := c.settings.Load()
	recent := settings.keep()
	recent.Bytes = min(recent.Bytes, loadBytes+int64(settings.MaxMessageBytes))
	if c.shared != nil {
		l.err = c.follow(recent)
		return
	}
	saved, err := h.loadSaved(c.name, recent)
	if err != nil {
		l.err = err
		return
	}
	keys, err := h.loadKeys(c.name, &saved)
	if err != nil {
		l.err = err
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(&saved, keys)
	l.err = nil
}

// contiguous is the newest of messages, up to the one at offset, as far as nothing is missing between them.
func contiguous(messages []*Message, epoch string, offset uint64) []*Message {
	for i, m := range slices.Backward(messages) {
		if m.Epoch != epoch || m.Offset != offset {
			return messages[i+1:]
		}
		offset--
	}
	return messages
}

// take has the channel go on from what was saved of it. The caller holds c.mu.
func (c *channel) take(saved *Saved, keys []*Message) {
	if saved.Epoch == "" {
		return
	}
	before := c.bytes()
	c.epoch, c.offset, c.history = saved.Epoch, saved.Offset, history{}
	for _, m := range saved.Recent {
		c.history.append(m)
	}
	for _, m := range keys {
		c.addKey(m, nil)
	}
	c.drop(c.hub.now())
	c.hub.bytes.Add(c.bytes() - before)
}

// keysAtATime is how many messages are looked through for their keys at a time.
const keysAtATime = 256

// loadKeys finds the messages whose keys are to be remembered, oldest first: among those that came with saved, and, where all
// of them are young, among those before.
func (h *Hub) loadKeys(name string, saved *Saved) ([]*Message, error) {
	found := withKeys(saved.Recent)
	oldest := saved.Offset - uint64(saved.Count) + 1
	next := saved.Offset - uint64(len(saved.Recent)) + 1 // what is before it was not looked at yet
	young := len(saved.Recent) == 0 || time.Since(saved.Recent[0].Time) < KeyAge
	for young && next > oldest && saved.Offset-next < MaxKeys {
		from := max(oldest, next-min(next, keysAtATime))
		var earlier []*Message
		for at := from; at < next; {
			part, err := h.readSaved(name, saved.Epoch, at-1, readBytes)
			if err != nil {
				return nil, err
			}
			if len(part) == 0 {
				young = false // dropped meanwhile, or past its age
				break
			}
			if at == from {
				young = time.Since(part[0].Time) < KeyAge
			}
			part = part[:min(uint64(len(part)), next-at)]
			at += uint64(len(part))
			earlier = append(earlier, withKeys(part)...)
		}
		found = append(earlier, found...)
		next = from
	}
	return found, nil
}

// withKeys is those of messages that have one, without their data.
func withKeys(messages []*Message) []*Message {
	var with []*Message
	for _, m := range messages {
		if m.Key != "" && time.Since(m.Time) < KeyAge {
			with = append(with, &Message{Offset: m.Offset, Epoch: m.Epoch, Time: m.Time, ID: m.ID, Key: m.Key})
		}
	}
	return with
}
