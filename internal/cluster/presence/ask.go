package presence

import (
	"context"
	"slices"

	"baro.dev/channel"
)

// maxKnown is how many users an answer names so that they can be counted once over all nodes.
const maxKnown = 10_000

// Ask asks all other nodes. Users are counted once over all nodes, up to 10,000 of each, and members given as far as a message of each
// node holds them.
func (p *Peers) Ask(ctx context.Context, name string, limit int) channel.Presence {
	answers, missing, err := p.node.AskAll(ctx, kindWho, encode(who{name, limit}))
	if err != nil {
		p.mu.Lock()
		for id := range p.peers {
			missing = append(missing, id)
		}
		p.mu.Unlock()
		slices.Sort(missing)
	}
	count := counting{limit: limit, users: make(map[uint64]bool), clients: make(map[string]bool)}
	own := p.crowd(name)
	count.add(&own)
	for id, data := range answers {
		var c crowd
		if err := decode(data, &c); err != nil {
			p.poison(id, err)
			missing = append(missing, id)
			continue
		}
		if !count.add(&c) {
			p.poison(id, errTooLong)
			missing = append(missing, id)
		}
	}
	count.all.Users += len(count.users)
	count.all.Missing = missing
	if len(missing) > 0 {
		p.log.Debug("who is in a channel is known in part", "channel", name, "missing", missing)
	}
	return count.all
}

// counting is what nodes have answered, together.
type counting struct {
	all     channel.Presence
	limit   int
	users   map[uint64]bool
	clients map[string]bool
}

// add counts an answer, unless there is something wrong with it.
func (n *counting) add(c *crowd) bool {
	members, err := membersOf(c.Members)
	if err != nil || c.Clients < 0 || c.Users < 0 || c.Clients > maxMembers || c.Users > maxMembers || len(c.Known) > maxKnown {
		return false
	}
	n.all.Clients += c.Clients
	for _, user := range c.Known {
		n.users[user] = true
	}
	if len(c.Known) == 0 {
		n.all.Users += c.Users
	}
	for _, m := range members {
		switch {
		case n.clients[m.Client]:
			n.all.Clients-- // it is on its way from one node to another
		case n.limit == 0 || len(n.all.Members) < n.limit:
			n.all.Members = append(n.all.Members, m)
		}
		n.clients[m.Client] = true
	}
	return true
}

// crowd says who is in a channel here.
func (p *Peers) crowd(name string) crowd {
	p.mu.Lock()
	here := p.here
	p.mu.Unlock()
	if here == nil {
		return crowd{}
	}
	there := here(name)
	c := crowd{Clients: there.Clients, Users: there.Users}
	known := make(map[uint64]bool)
	for i := range there.Members {
		m := newMember(&there.Members[i])
		c.Members = append(c.Members, m)
		if m.User != "" && len(known) <= maxKnown {
			known[hash(m.User)] = true
		}
	}
	if len(known) <= maxKnown {
		for user := range known {
			c.Known = append(c.Known, user)
		}
	}
	return c
}

// answerWho answers what another node asks.
func (p *Peers) answerWho(_ context.Context, from string, data []byte) ([]byte, error) {
	var question who
	err := decode(data, &question)
	if err == nil {
		err = channel.ValidateName(question.Name)
	}
	if err != nil {
		p.poison(from, err)
		return nil, err
	}
	c := p.crowd(question.Name)
	room := p.room()
	for i := range c.Members {
		if room -= c.Members[i].size(); room < 0 || question.Limit != 0 && i >= question.Limit {
			c.Members = c.Members[:i]
			break
		}
	}
	return encode(c), nil
}
