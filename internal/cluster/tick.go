package cluster

import "time"

// run is the heart of a node.
func (n *Node) run() {
	defer n.works.Done()
	ticker := time.NewTicker(n.o.Heartbeat)
	defer ticker.Stop()
	var logged time.Time
	var poison uint64
	for {
		select {
		case <-n.done:
			return
		case <-ticker.C:
		}
		n.tick()
		_ = n.announce(subjectAll, 0)
		n.streams.audit(false)
		if time.Since(logged) >= time.Minute {
			if now := n.count.poison(); now != poison {
				n.log.Warn("messages on the bus that no node has sent, or that came twice", "count", now-poison)
				poison, logged = now, time.Now()
			}
		}
	}
}

// tick judges who is there. Whoever has not heard itself judges nobody, and begins anew when it does.
func (n *Node) tick() {
	away := n.bus.Err() != nil
	n.mu.Lock()
	now := time.Now()
	still := now.Sub(n.lastTick) > n.o.DeadAfter
	n.lastTick = now
	away = away || now.Sub(n.lastEcho) > n.o.DeadAfter*3/5
	back := n.away && !away
	if away != n.away {
		n.log.Warn("the bus", "away", away)
	}
	n.away = away
	switch {
	case still || back:
		for _, p := range n.peers {
			p.last = now
		}
	case !away:
		for _, p := range n.peers {
			if now.Sub(p.last) > n.o.DeadAfter {
				n.drop(p, true)
			}
		}
	}
	for id, f := range n.fallen {
		if now.Sub(f.at) > rememberFallen {
			delete(n.fallen, id)
		}
	}
	cut := away && now.Sub(n.lastEcho) > n.o.DeadAfter // the others have called this one dead by now
	due := n.gapDue && now.Sub(n.lastGap) >= n.o.Heartbeat
	n.mu.Unlock()
	if cut {
		n.streams.reset(ErrAway)
	}
	switch {
	case still:
		n.gap("this process stood still")
	case back:
		n.gap("the bus was away")
	case due:
		n.gap("")
	}
}

// gap has everybody learn anew what they may have missed; at most once a heartbeat.
func (n *Node) gap(why string) {
	n.mu.Lock()
	now := time.Now()
	if n.left {
		n.mu.Unlock()
		return
	}
	if now.Sub(n.lastGap) < n.o.Heartbeat {
		n.gapDue = true
		n.mu.Unlock()
		return
	}
	n.lastGap, n.gapDue = now, false
	n.watchers.gaps++
	n.watchers.notify()
	n.mu.Unlock()
	n.count.gaps.Add(1)
	if why != "" {
		n.log.Warn("messages of other nodes may have been lost", "why", why)
	}
	_ = n.announce(subjectAll, flagHello)
	n.streams.audit(true)
}
