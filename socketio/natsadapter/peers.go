package natsadapter

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"baro.dev/internal/cluster"
)

// What nodes ask each other.
const (
	askNamespaces = "namespaces" // which namespaces there are: their words, in JSON
	askBarrier    = "barrier"    // an answer when what came before has been done, in the namespace of the word, "": in no special one
)

// Peer is another server of the cluster.
type Peer struct {
	ID    string    // Cluster.ID
	Name  string    // Options.Name
	Since time.Time // when it came, as far as its word of how long ago that was is right
}

// peer is what is known of another server. The mutex of the cluster guards it.
type peer struct {
	Peer
	node       string // its id in package cluster
	namespaces map[string]struct{}
	known      string // what state.Namespaces was as they were told
	asking     bool
	told       string // what it is
}

// state is what a node says of itself with each heartbeat.
type state struct {
	ID         string `json:"id"`
	Namespaces string `json:"nsp"` // stands for all that there are: another one if these are others
}

// state encodes what others see. mu is held, or nobody else can be there.
func (c *Cluster) state() []byte {
	b, _ := json.Marshal(state{c.id, base64.RawURLEncoding.EncodeToString(c.all[:])})
	return b
}

// changed notes that a namespace has come or gone, and tells the others. mu is held.
func (c *Cluster) changed(word string) {
	k := keyOf(word)
	for i := range k {
		c.all[i] ^= k[i]
	}
	if err := c.node.SetState(c.state()); err != nil {
		c.log.warn("namespaces not told to other servers", err)
	}
}

func (c *Cluster) tellNamespaces(context.Context, string, []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	words := make([]string, 0, len(c.adapters))
	for word := range c.adapters {
		words = append(words, word)
	}
	return json.Marshal(words)
}

// tellBarrier answers when what came before has been done.
func (c *Cluster) tellBarrier(ctx context.Context, _ string, data []byte) ([]byte, error) {
	c.mu.Lock()
	a := c.adapters[string(data)]
	c.mu.Unlock()
	if a == nil {
		return nil, nil
	}
	done := make(chan struct{})
	if !a.inbox.put(received{then: func() { close(done) }}) {
		return nil, nil // it is closed
	}
	select {
	case <-done:
		return nil, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// peer takes the news of another node.
func (c *Cluster) peer(p cluster.Peer, there bool) {
	var s state
	if json.Unmarshal(p.State, &s) != nil || !isID(s.ID) || s.ID == c.id {
		c.ignore("nodes of the cluster that are no servers of Socket.IO", errSender)
		return
	}
	c.mu.Lock()
	known := c.peers[s.ID]
	switch {
	case !there:
		if known == nil || known.node != p.ID {
			c.mu.Unlock()
			return
		}
		delete(c.peers, s.ID)
		c.mu.Unlock()
		c.gone(s.ID, known.namespaces)
		return
	case known == nil:
		known = &peer{}
		c.peers[s.ID] = known
	}
	known.Peer, known.node, known.told = Peer{s.ID, p.Name, p.Since}, p.ID, s.Namespaces
	ask := !known.asking && known.known != known.told
	known.asking = known.asking || ask
	c.mu.Unlock()
	if ask {
		go c.learn(known)
	}
}

// learn asks a server which namespaces it has, until it knows.
func (c *Cluster) learn(p *peer) {
	for {
		c.mu.Lock()
		node, told, id := p.node, p.told, p.ID
		if c.closed || c.peers[id] != p || p.known == told {
			p.asking = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		ctx, cancel := c.bounded(context.Background())
		answer, err := c.node.Ask(ctx, node, askNamespaces, nil)
		cancel()
		var words []string
		if err == nil {
			err = json.Unmarshal(answer, &words)
		}
		if err != nil {
			c.log.warn("namespaces of another server not learned", err)
			select {
			case <-c.done:
			case <-time.After(c.set.Heartbeat):
			}
			continue
		}
		namespaces := make(map[string]struct{}, len(words))
		for _, word := range words {
			namespaces[word] = struct{}{}
		}
		lost := map[string]struct{}{}
		c.mu.Lock()
		for word := range p.namespaces {
			if _, still := namespaces[word]; !still {
				lost[word] = struct{}{}
			}
		}
		// A namespace that came since is not among them, and no harm is done if it is: what is told next differs.
		p.namespaces, p.known = namespaces, told
		c.mu.Unlock()
		c.gone(id, lost)
	}
}

// gone has nobody wait for the answers of a server in some namespaces.
func (c *Cluster) gone(id string, namespaces map[string]struct{}) {
	for _, a := range c.list() {
		if _, had := namespaces[a.word]; had {
			a.Gone(id)
		}
	}
}

// others returns the ids of the other servers that live and have a namespace; "": of all.
func (c *Cluster) others(word string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]string, 0, len(c.peers))
	for id, p := range c.peers {
		if _, has := p.namespaces[word]; has || word == "" {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

// living returns the ids of those of some nodes that live.
func (c *Cluster) living(nodes []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for id, p := range c.peers {
		if slices.Contains(nodes, p.node) {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

// Peers returns the other servers that live, in the order of their ids.
func (c *Cluster) Peers() []Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Peer, 0, len(c.peers))
	for _, p := range c.peers {
		all = append(all, p.Peer)
	}
	slices.SortFunc(all, func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
	return all
}
