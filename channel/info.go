package channel

import (
	"cmp"
	"slices"
)

// Info is what there is to say of a channel at a moment.
type Info struct {
	Name string
	// Position is that of the last message.
	Position Position
	// Subscribers is how many subscriptions there are, of this hub. Of the connections that joined it, Clients and Users are as in
	// [Presence]; those of other hubs are among them where the channel has presence.
	Subscribers, Clients, Users int
	// Messages and Bytes is what is kept; from [Hub.Channels], what of it is in memory.
	Messages int
	Bytes    int64
}

// Info says how the channel called name stands. One that does not exist has nothing but its name; with a store or a
// broker one is looked for there. The error is [ErrInvalid], [ErrTooManyChannels], [ErrStore] or [ErrClosed].
func (h *Hub) Info(name string) (Info, error) {
	if err := ValidateName(name); err != nil {
		return Info{}, err
	}
	c := h.acquireLive(name)
	if c == nil {
		switch {
		case h.archive == nil:
			return Info{Name: name}, nil
		case h.options.Broker != nil:
			return h.savedInfo(name)
		}
		var err error
		if c, err = h.acquire(name); err != nil {
			return Info{}, err
		}
	}
	defer h.release(c)
	i := c.info()
	c.mu.Lock()
	stored := c.stored()
	c.mu.Unlock()
	if stored {
		saved, err := h.savedInfo(name)
		if err != nil {
			return Info{}, err
		}
		i.Messages, i.Bytes = saved.Messages, saved.Bytes
	}
	return i, nil
}

// savedInfo says what the archive has of a channel.
func (h *Hub) savedInfo(name string) (Info, error) {
	saved, err := h.loadSaved(name, Keep{})
	if err != nil {
		return Info{}, err
	}
	count := min(saved.Count, h.rules.Load().of(name).kept())
	return Info{Name: name, Position: Position{saved.Epoch, saved.Offset}, Messages: count, Bytes: saved.Bytes}, nil
}

// Channels says how the channels stand that live and match a pattern: up to limit of them, in the order of their names; 0
// is no bound. Channels that were asked for, and have neither messages nor subscribers, are not among them.
func (h *Hub) Channels(pattern Pattern, limit int) []Info {
	all := h.all()
	all = slices.DeleteFunc(all, func(c *channel) bool { return !pattern.Match(c.name) })
	slices.SortFunc(all, func(a, b *channel) int { return cmp.Compare(a.name, b.name) })
	var infos []Info
	for _, c := range all {
		if i := c.info(); i.Position.Offset > 0 || i.Subscribers > 0 {
			infos = append(infos, i)
		}
		if limit > 0 && len(infos) == limit {
			break
		}
	}
	return infos
}

func (c *channel) info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	users, clients := c.members.count()
	return Info{
		Name:        c.name,
		Position:    c.position(),
		Subscribers: c.subscribers.count(),
		Clients:     clients,
		Users:       users,
		Messages:    c.history.count,
		Bytes:       c.bytes(),
	}
}
