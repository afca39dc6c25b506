package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"
)

// A Peer is another node of the cluster.
type Peer struct {
	ID      string
	Name    string
	Version string
	// State is what the node said last: see [Node.SetState]. It must not be changed.
	State []byte
	// Since is when the node joined, by its word of how long ago that was and the clock of this process.
	Since time.Time
}

// peer is what is known of another node. It is guarded by Node.mu.
type peer struct {
	identity
	Peer
	serial  uint64
	known   bool // a beat has come: until then only that there is somebody
	text    []byte
	changed uint64 // how often its description has
	last    time.Time
	all     replay // of what it tells all
	own     replay // of what it tells this node
	streams replay // that it opened
}

// fallen is a node that was called dead, so that it can be told if it comes back.
type fallen struct {
	born uint64
	at   time.Time
}

const (
	// rememberFallen is how long a dead node is told that it was called so.
	rememberFallen = time.Hour
	// sameAge is the difference of ages that may be the time that a message takes.
	sameAge = 5 * time.Second
)

// Peers are the other nodes that are there, in the order of their ids.
func (n *Node) Peers() []Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	peers := make([]Peer, 0, len(n.peers))
	for _, p := range n.peers {
		if p.known {
			peers = append(peers, p.Peer)
		}
	}
	slices.SortFunc(peers, func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
	return peers
}

// Peer is another node that is there.
func (n *Node) Peer(id string) (p Peer, there bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if found := n.peers[id]; found != nil && found.known {
		return found.Peer, true
	}
	return Peer{}, false
}

// receive takes a message for all, or for this node.
func (n *Node) receive(data []byte, all bool) {
	n.count.received.Add(1)
	n.count.receivedBytes.Add(uint64(len(data)))
	h, rest, ok := parseHeader(data)
	if !ok {
		n.count.invalid.Add(1)
		return
	}
	self := n.self.Load()
	if h.from == self.id {
		if h.born != self.born {
			n.conflict(h, rest)
			return
		}
		if all {
			n.echo()
			return
		}
		if h.kind == typeBeat { // for another node with this id, or a copy
			return
		}
	}
	switch h.kind {
	case typeBeat:
		ok = n.takeBeat(h, rest)
	case typeBye:
		n.takeBye(h)
	case typeMissed:
		n.mu.Lock()
		p := n.peers[h.from]
		missed := p != nil && p.born == h.born
		n.mu.Unlock()
		if missed {
			n.gap("node " + h.from + " called this one dead")
		}
	case typeAsk, typeTell:
		ok = n.takeRequest(h, rest, all)
	case typeAnswer:
		ok = n.takeAnswer(h, rest)
	default:
		n.count.unknown.Add(1) // of the next version
	}
	if !ok {
		n.count.invalid.Add(1)
	}
}

// sender is the peer that sent a message, which shows that it lives; nil: none that is listened to. n.mu is held.
func (n *Node) sender(h header) *peer {
	if h.from == n.me.id && h.born == n.me.born {
		return n.me
	}
	p := n.peers[h.from]
	now := time.Now()
	if p == nil {
		if len(n.peers) >= n.o.MaxPeers || n.left {
			n.count.refused.Add(1)
			return nil
		}
		n.serial++
		p = &peer{serial: n.serial, identity: identity{h.from, h.born}, Peer: Peer{ID: h.from, Since: now}}
		n.peers[h.from] = p
		if h.kind != typeBeat {
			_ = n.announce(subjectNode+h.from, flagHello)
		}
	}
	if p.born != h.born {
		n.count.conflicts.Add(1)
		return nil
	}
	p.last = now
	return p
}

func (n *Node) takeBeat(h header, rest []byte) bool {
	if len(rest) < beatBytes {
		return false
	}
	flags, age, text := rest[0], binary.BigEndian.Uint64(rest[1:]), rest[beatBytes:]
	began := time.Now().Add(-ageOf(age))
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.peers[h.from]; p != nil && p.born != h.born && p.known && began.Add(sameAge).Before(p.Since) {
		n.drop(p, false) // two with one id: the older keeps it
	}
	p := n.sender(h)
	if p == nil {
		return true
	}
	if !p.known || !bytes.Equal(p.text, text) {
		d, ok := parseDescription(text)
		if !ok {
			return false
		}
		if !p.known {
			p.known, p.Since = true, began
			n.log.Info("a node is there", "node", h.from, "name", d.Name, "version", d.Version)
		}
		p.text, p.Name, p.Version, p.State = bytes.Clone(text), d.Name, d.Version, d.State
		p.changed++
		n.watchers.notify()
	}
	if f, dead := n.fallen[h.from]; dead && f.born == h.born {
		if flags&flagHello != 0 { // it knows
			delete(n.fallen, h.from)
		} else {
			_ = n.send(subjectNode+h.from, typeMissed)
		}
	}
	if flags&flagHello != 0 {
		_ = n.announce(subjectNode+h.from, 0)
	}
	return true
}

// ageOf is bounded: a year says as much as an age that overflows.
func ageOf(milliseconds uint64) time.Duration {
	const year = 365 * 24 * time.Hour
	return time.Duration(min(milliseconds, uint64(year/time.Millisecond))) * time.Millisecond
}

func (n *Node) takeBye(h header) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.peers[h.from]; p != nil && p.born == h.born {
		n.drop(p, false)
	}
}

// drop forgets a peer: its questions will not be answered, and its streams end. n.mu is held.
func (n *Node) drop(p *peer, dead bool) {
	delete(n.peers, p.id)
	for _, q := range n.questions {
		q.lose(p.id)
	}
	n.streams.lose(p.id)
	if dead && p.known {
		n.count.dead.Add(1)
		if len(n.fallen) < n.o.MaxPeers {
			n.fallen[p.id] = fallen{p.born, time.Now()}
		}
	}
	if p.known {
		n.log.Info("a node is gone", "node", p.id, "name", p.Name, "dead", dead)
		n.watchers.notify()
	}
}

// conflict meets another node with the id of this one: the younger of the two takes another.
func (n *Node) conflict(h header, rest []byte) {
	n.count.conflicts.Add(1)
	if h.kind != typeBeat || len(rest) < beatBytes {
		return
	}
	self := n.self.Load()
	older := ageOf(binary.BigEndian.Uint64(rest[1:])) - time.Since(n.joined) // the other, by this much
	if older < -sameAge || older < sameAge && self.born < h.born {
		if rest[0]&flagHello != 0 {
			_ = n.announce(subjectNode+self.id, 0)
		}
		return
	}
	n.rename(self)
}

var errOtherID = errors.New("this node has another id")

// rename has the node take another id than it has by an identity. Two messages may say at once that it should.
func (n *Node) rename(old *identity) {
	if !n.renaming.CompareAndSwap(false, true) {
		return
	}
	defer n.renaming.Store(false)
	n.mu.Lock()
	due := !n.left && n.self.Load() == old
	stops := n.stops
	n.mu.Unlock()
	if !due || n.become(randomID()) != nil {
		return
	}
	_ = n.farewell(old, false)
	for _, stop := range stops {
		stop()
	}
	n.log.Warn("another node has the id of this one, which takes another", "old", old.id, "new", n.ID())
	n.streams.reset(errOtherID)
	n.gap("this node has another id")
}

// echo: what this node sent has come back.
func (n *Node) echo() {
	n.mu.Lock()
	n.lastEcho = time.Now()
	back := n.away && n.bus.Err() == nil
	n.mu.Unlock()
	if back {
		n.tick() // it need not wait
	}
}
