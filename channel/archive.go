package channel

import "fmt"

// An archive is what a hub has beyond its memory: a [Store] or a [Broker]. What the hub asks of it, until it is closed, is
// here. No lock of a channel is held but for save and unfollow.
type archive interface {
	Load(name string, recent Keep) (Saved, error)
	Read(name, epoch string, after uint64, maxBytes int) ([]*Message, error)
	Close() error
}

func (h *Hub) save(name string, m *Message, keep Keep, done func(error)) error {
	h.storing.RLock()
	defer h.storing.RUnlock()
	if h.ended {
		return ErrClosed
	}
	h.options.Store.Save(name, m, keep, done)
	return nil
}

func (h *Hub) loadSaved(name string, recent Keep) (Saved, error) {
	h.storing.RLock()
	defer h.storing.RUnlock()
	if h.ended {
		return Saved{}, ErrClosed
	}
	saved, err := h.archive.Load(name, recent)
	if err != nil {
		return Saved{}, fmt.Errorf("%w: loading %q: %w", ErrStore, name, err)
	}
	saved.Recent = contiguous(saved.Recent, saved.Epoch, saved.Offset)
	return saved, nil
}

func (h *Hub) readSaved(name, epoch string, after uint64, maxBytes int) ([]*Message, error) {
	h.storing.RLock()
	defer h.storing.RUnlock()
	if h.ended {
		return nil, ErrClosed
	}
	messages, err := h.archive.Read(name, epoch, after, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("%w: reading %q: %w", ErrStore, name, err)
	}
	return messages, nil
}

func (h *Hub) follow(name string, recent Keep, f Feed) (Saved, error) {
	h.storing.RLock()
	defer h.storing.RUnlock()
	if h.ended {
		return Saved{}, ErrClosed
	}
	saved, err := h.options.Broker.Follow(name, recent, f)
	if err != nil {
		return Saved{}, fmt.Errorf("%w: following %q: %w", ErrStore, name, err)
	}
	saved.Recent = contiguous(saved.Recent, saved.Epoch, saved.Offset)
	return saved, nil
}

// unfollow does not wait, so that it may be called with any lock held: a broker that is about to be closed follows nothing soon.
func (h *Hub) unfollow(name string) {
	if !h.storing.TryRLock() {
		return
	}
	defer h.storing.RUnlock()
	if !h.ended {
		h.options.Broker.Unfollow(name)
	}
}

func (h *Hub) append(name string, m *Message, keep Keep, done func(Appended, error)) error {
	h.storing.RLock()
	defer h.storing.RUnlock()
	if h.ended {
		return ErrClosed
	}
	h.options.Broker.Append(name, m, keep, done)
	return nil
}
