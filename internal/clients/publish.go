package clients

import (
	"net/netip"
	"sync"

	"golang.org/x/time/rate"

	"baro.dev/channel"
	"baro.dev/internal/auth"
)

// A PublishedEvent is what the backend is told of what a client has published.
type PublishedEvent struct {
	Client  string           `json:"client,omitempty"`
	User    string           `json:"user,omitempty"`
	Channel string           `json:"channel"`
	Message *channel.Message `json:"message"`
}

// Publish publishes what the client has sent. m has what a publisher chooses.
func (c *Client) Publish(name string, m channel.Message) (*channel.Message, error) {
	if err := c.May(auth.Publish, name); err != nil {
		return nil, err
	}
	if err := c.limit(name); err != nil {
		return nil, err
	}
	m.Sender = c.id
	return c.registry.publish(c.Identity(), c.id, name, m)
}

// PublishAs publishes for a request that is over at once. It counts against the rate of its user, or where that is nobody of its
// address, with or without a port.
func (r *Registry) PublishAs(id *Identity, remote, name string, m channel.Message) (*channel.Message, error) {
	if err := r.May(id, auth.Publish, name); err != nil {
		return nil, err
	}
	if rule := r.policy.Load().rules.of(name); rule != nil && rule.PublishRate > 0 {
		from := requester{rule: rule, user: id.User}
		if id.User == "" {
			from.address = networkOf(remote)
		}
		if !r.requests.allow(from) {
			return nil, ErrRate
		}
	}
	return r.publish(id, "", name, m)
}

func (r *Registry) publish(id *Identity, client, name string, m channel.Message) (*channel.Message, error) {
	m.User = id.User
	p, err := r.config.Hub.Publish(name, m)
	if err != nil {
		return nil, err
	}
	if r.config.Notifies == nil || r.config.Notifies() {
		r.config.Notify(TypePublished, PublishedEvent{client, id.User, name, p})
	}
	return p, nil
}

// requester is who publishes by requests, in the channels of a rule: a user, or an address.
type requester struct {
	rule    *Rule
	user    string
	address netip.Prefix
}

// requests are the rates of those who publish by requests.
type requests struct {
	mu     sync.Mutex
	limits map[requester]*rate.Limiter
}

// maxRequesters is how many of them are known at a time; with one more all begin anew.
const maxRequesters = 10_000

func (q *requests) allow(from requester) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.limits[from]
	if l == nil {
		if len(q.limits) >= maxRequesters || q.limits == nil {
			q.limits = make(map[requester]*rate.Limiter)
		}
		l = from.rule.limiter()
		q.limits[from] = l
	}
	return l.Allow()
}

// networkOf is an address without its port; of IPv6 the network of 64 bits, which one customer has.
func networkOf(remote string) netip.Prefix {
	port, err := netip.ParseAddrPort(remote)
	addr := port.Addr()
	if err != nil {
		addr, _ = netip.ParseAddr(remote)
	}
	addr = addr.Unmap().WithZone("")
	network, _ := addr.Prefix(min(64, addr.BitLen()))
	return network
}

// limiter is the rate of one client.
func (r *Rule) limiter() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(r.PublishRate), max(1, int(2*r.PublishRate)))
}

// limit counts a message against the rate of the channel's rule.
func (c *Client) limit(name string) error {
	rule := c.registry.policy.Load().rules.of(name)
	if rule == nil || rule.PublishRate <= 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.rest()
	l := m.limits[rule]
	if l == nil {
		if len(m.limits) > 100 {
			m.limits = nil // of rules that are no more
		}
		if m.limits == nil {
			m.limits = make(map[*Rule]*rate.Limiter)
		}
		l = rule.limiter()
		m.limits[rule] = l
	}
	if !l.Allow() {
		return ErrRate
	}
	return nil
}

// Presence says who is in a channel, if the client may know.
func (c *Client) Presence(name string, limit int) (channel.Presence, error) {
	if err := c.May(auth.Presence, name); err != nil {
		return channel.Presence{}, err
	}
	return c.registry.config.Hub.Presence(name, limit)
}

// History reads a channel's messages, if the client may.
func (c *Client) History(name string, from channel.From, maxBytes int) (channel.Batch, error) {
	if err := c.May(auth.History, name); err != nil {
		return channel.Batch{}, err
	}
	return c.registry.config.Hub.Read(name, from, maxBytes)
}
