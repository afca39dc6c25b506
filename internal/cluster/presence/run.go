package presence

import (
	"context"
	"time"
)

// run says what there is to say, and asks what there is to ask.
func (p *Peers) run() {
	for {
		next, idle := p.turn(time.Now())
		var timer <-chan time.Time
		if !idle {
			timer = time.After(next)
		}
		select {
		case <-p.ctx.Done():
			return
		case <-p.wake:
			// What comes together is told together.
			select {
			case <-p.ctx.Done():
				return
			case <-time.After(tick):
			}
		case <-timer:
		}
	}
}

// turn does what is due, and says when there is more; or that there is nothing.
func (p *Peers) turn(now time.Time) (next time.Duration, idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for place := range p.dirty {
		place.tell()
	}
	clear(p.dirty)
	next, idle = time.Hour, true
	soon := func(d time.Duration) { next, idle = min(next, max(d, tick)), false }
	for i := range p.echoes {
		list := p.echoes[i]
		for len(list) > 0 && !now.Before(list[0].due) {
			if l := list[0].place; p.places[l.name] == l {
				l.echoing[i] = false
				l.sayAgain()
			}
			list[0] = echo{}
			list = list[1:]
		}
		if p.echoes[i] = list; len(list) > 0 {
			soon(list[0].due.Sub(now))
		} else {
			p.echoes[i] = nil
		}
	}
	for len(p.gaps) > 0 && !now.Before(p.gaps[0]) {
		p.gaps = p.gaps[1:]
		_ = p.node.Tell(kindGap, []byte{version})
	}
	if len(p.gaps) > 0 {
		soon(p.gaps[0].Sub(now))
	}
	p.startPulls(now, soon)
	return next, idle
}

// startPulls asks those who are to be asked, one question for each at a time. mu is held.
func (p *Peers) startPulls(now time.Time, soon func(time.Duration)) {
	for len(p.fresh) > 0 {
		n := min(len(p.fresh), pullNames)
		entered := p.fresh[:n:n]
		p.fresh = p.fresh[n:]
		p.running.Go(func() { p.pullAll(entered) })
	}
	p.fresh = nil
	for _, peer := range p.peers {
		if peer.busy || len(peer.wants) == 0 {
			continue
		}
		if now.Before(peer.not) {
			soon(peer.not.Sub(now))
			continue
		}
		places := p.wanted(peer)
		if len(places) == 0 {
			continue
		}
		peer.busy = true
		p.running.Go(func() { p.pullFrom(peer, places) })
	}
}

// wanted takes what a node is to be asked about. mu is held.
func (p *Peers) wanted(peer *peer) (places []*place) {
	for name := range peer.wants {
		place := p.places[name]
		if place != nil && place.entering {
			continue // it is being asked about
		}
		delete(peer.wants, name)
		if place != nil {
			if places = append(places, place); len(places) == pullNames {
				break
			}
		}
	}
	return places
}

// want has a node be asked about a channel.
func (p *Peers) want(peer *peer, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	peer.wants[name] = struct{}{}
	p.awake()
}

// wantAll has a node be asked about all channels. mu is held.
func (p *Peers) wantAll(peer *peer) {
	for name := range p.places {
		peer.wants[name] = struct{}{}
	}
	p.awake()
}

// onPeer is called when a node has come, or gone.
func (p *Peers) onPeer(id string, there bool) {
	p.mu.Lock()
	if there {
		defer p.mu.Unlock()
		if p.peers[id] == nil {
			p.peers[id] = &peer{id: id, wants: make(map[string]struct{})}
			p.wantAll(p.peers[id])
		}
		return
	}
	delete(p.peers, id)
	places := make([]*place, 0, len(p.places))
	for _, place := range p.places {
		places = append(places, place)
	}
	p.mu.Unlock()
	for _, place := range places {
		place.forget(id)
	}
}

// onGap is called when something may be missing: here of the others, and there of this node.
func (p *Peers) onGap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.gaps = append(p.gaps[:0], now)
	for _, after := range echoAfter {
		p.gaps = append(p.gaps, now.Add(after))
	}
	for _, peer := range p.peers {
		p.wantAll(peer)
	}
}

// hearGap is what another node tells in the same case.
func (p *Peers) hearGap(_ context.Context, from string, _ []byte) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if peer := p.peers[from]; peer != nil {
		p.wantAll(peer)
	}
	return nil, nil
}
