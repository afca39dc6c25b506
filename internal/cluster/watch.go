package cluster

// watchers tells who asked for it what has changed. What a slow one missed in between it is not told: it gets what is.
// It is guarded by Node.mu.
type watchers struct {
	wake  chan struct{}
	peers []*peerWatcher
	gap   []*gapWatcher
	gaps  uint64
}

type peerWatcher struct {
	f    func(p Peer, there bool)
	told map[string]toldPeer // belongs to the goroutine of Node.watch
}

type toldPeer struct {
	Peer
	serial  uint64
	changed uint64
}

type gapWatcher struct {
	f    func()
	told uint64
}

func (w *watchers) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// OnPeer has f called for each other node that is there, now and later, with there; again when what it says of itself
// has changed; and without there when it left or was called dead. A node that was called dead and is back has gone in between, for f.
// All functions of OnPeer and [Node.OnGap] are called one after the other on one goroutine.
func (n *Node) OnPeer(f func(p Peer, there bool)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watchers.peers = append(n.watchers.peers, &peerWatcher{f: f, told: make(map[string]toldPeer)})
	n.watchers.notify()
}

// OnGap has f called when messages of other nodes may have been lost in either direction, and what is shared must be told anew:
// the bus was away, this process stood still, others called it dead, or it has another id. That it has happened before OnGap is told, too.
func (n *Node) OnGap(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watchers.gap = append(n.watchers.gap, &gapWatcher{f: f})
	n.watchers.notify()
}

// watch calls the watchers.
func (n *Node) watch() {
	defer n.works.Done()
	for {
		select {
		case <-n.done:
			return
		case <-n.watchers.wake:
		}
		for _, call := range n.news() {
			call()
		}
	}
}

// news are the calls that are due.
func (n *Node) news() (calls []func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.watchers.peers {
		for id, told := range w.told {
			if p := n.peers[id]; p == nil || !p.known || p.serial != told.serial {
				delete(w.told, id)
				calls = append(calls, func() { w.f(told.Peer, false) })
			}
		}
		for id, p := range n.peers {
			told, known := w.told[id]
			if !p.known || known && told.changed == p.changed {
				continue
			}
			w.told[id] = toldPeer{p.Peer, p.serial, p.changed}
			peer := p.Peer
			calls = append(calls, func() { w.f(peer, true) })
		}
	}
	for _, w := range n.watchers.gap {
		if w.told != n.watchers.gaps {
			w.told = n.watchers.gaps
			calls = append(calls, w.f)
		}
	}
	return calls
}
