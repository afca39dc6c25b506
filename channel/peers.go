package channel

import (
	"context"
	"time"
)

// Peers tells the hubs of other processes who is in the channels of this one, and this one who is in theirs: see package
// internal/cluster/presence for what that is worth in the commands of this project.
//
// A hub calls it with locks held, so that no method but Ask waits; a [Crowd], and what Begin was given, is called by goroutines
// of the peers, without a lock that these methods want.
type Peers interface {
	// Begin is called first, and once. here says who is in a channel on this hub, whether or not it has entered that.
	Begin(here func(name string) Presence)

	// Enter is called when a channel with presence comes to life: crowd is told who is in it elsewhere, until Leave, and others
	// who is in it here.
	Enter(name string, crowd Crowd)
	// Leave ends that, when the channel vanishes, or has presence no more.
	Leave(name string)
	// Joined says that a connection has joined a channel here that was entered, and was not in it here.
	Joined(name string, m Member)
	// Left says that a connection has left a channel here that was entered.
	Left(name, client string)

	// Ask says who is in a channel, here and on all other hubs; with limit as in [Hub.Presence]. Hubs that do not answer as long as
	// ctx lasts are named in the answer.
	Ask(ctx context.Context, name string, limit int) Presence
}

// A Crowd is who is in a channel on other hubs, as its own hub knows them. It is called by one goroutine at a time.
type Crowd interface {
	// Changed says that members have joined the channel on another hub, and others, by their clients, have left it.
	Changed(hub string, joined []Member, left []string)
	// Are says who is in the channel on another hub: these and no others. Of a hub that is gone nobody is.
	Are(hub string, members []Member)
	// Whole says that all other hubs that there were when the channel was entered have told, or were waited for in vain.
	Whole()
}

// wholeWithin is how long who asks for presence waits for other hubs to tell.
const wholeWithin = 3 * time.Second

// peerLag is how much later a connection is taken for gone, so that one that moves to another hub is there before that.
const peerLag = 200 * time.Millisecond

// peered is a channel that was entered.
type peered struct {
	whole  chan struct{} // closed by Whole; until then nobody is told of those elsewhere, who were there before
	isDone bool          // it is closed; guarded by channel.mu
}

// enter has the channel be told of members elsewhere, if its settings say so, and leave no longer if they do not. The caller holds
// c.mu, or is the only one who has c.
func (c *channel) enter() {
	peers := c.hub.options.Peers
	if peers == nil || c.gone || c.settings.Load().Presence == (c.peered != nil) {
		return
	}
	if c.peered != nil {
		c.unpeer()
		c.members.forgetHubs()
		return
	}
	c.peered = &peered{whole: make(chan struct{})}
	peers.Enter(c.name, crowd{c, c.peered})
	for _, m := range c.members.here() {
		peers.Joined(c.name, m)
	}
}

// unpeer has the channel be told no longer. The caller holds c.mu, or is the only one who has c.
func (c *channel) unpeer() {
	if c.peered != nil {
		c.hub.options.Peers.Leave(c.name)
		c.peered = nil
	}
}

// crowd is a channel as the peers know it, for as long as it is entered.
type crowd struct {
	channel *channel
	peered  *peered
}

// Changed implements [Crowd], as do those below.
func (w crowd) Changed(hub string, joined []Member, left []string) {
	w.guest(func(c *channel) {
		c.joinOf(hub, joined)
		for _, client := range left {
			c.partOf(hub, client)
		}
	})
}

func (w crowd) Are(hub string, members []Member) {
	w.guest(func(c *channel) {
		c.joinOf(hub, members)
		stay := make(map[string]bool, len(members))
		for _, m := range members {
			stay[m.Client] = true
		}
		for _, client := range c.members.clientsOf(hub) {
			if !stay[client] {
				c.partOf(hub, client)
			}
		}
	})
}

func (w crowd) Whole() {
	w.guest(func(*channel) {
		if !w.peered.isDone {
			w.peered.isDone = true
			close(w.peered.whole)
		}
	})
}

func (w crowd) guest(f func(c *channel)) {
	c := w.channel
	c.guest(func() {
		if c.peered == w.peered {
			c.tellLeft()
			f(c)
		}
	})
}

// joinOf counts who has joined on another hub, and tells of those who were not in the channel. The caller holds c.mu.
func (c *channel) joinOf(hub string, joined []Member) {
	for _, m := range joined {
		if c.members == nil {
			c.members = new(members)
		}
		if added, isNew, first := c.members.addOf(hub, m); isNew && c.peered.isDone {
			c.tell(&PresenceEvent{Joined: true, Member: added.Member, First: first}, nil)
		}
	}
}

// partOf counts who has left on another hub no longer, and tells if that was the last of it. The caller holds c.mu.
func (c *channel) partOf(hub, client string) {
	if m, gone, last := c.members.removeOf(hub, client); gone && c.peered.isDone {
		c.tell(&PresenceEvent{Member: m.Member, Last: last}, nil)
	}
}

// whole waits, but not for long, until who is in the channel elsewhere is known, and says whether the channel knows that at all.
func (c *channel) whole() bool {
	if c.hub.options.Peers == nil {
		return true
	}
	c.mu.Lock()
	p := c.peered
	c.mu.Unlock()
	if p == nil {
		return false
	}
	select {
	case <-p.whole:
		return true
	default:
	}
	late := time.NewTimer(wholeWithin)
	defer late.Stop()
	select {
	case <-p.whole:
	case <-late.C:
	}
	return true
}

// here says who is in the channel called name on this hub.
func (h *Hub) here(name string) Presence {
	c := h.visit(name)
	if c == nil {
		return Presence{}
	}
	defer h.part(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tellLeft()
	p := Presence{Members: c.members.here()}
	p.Users, p.Clients = c.members.countHere()
	return p
}

// ask says who is in the channel called name on all hubs.
func (h *Hub) ask(name string, limit int) Presence {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return h.options.Peers.Ask(ctx, name, limit)
}
