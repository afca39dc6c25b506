package clients

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"baro.dev/channel"
	"baro.dev/internal/auth"
)

// A Client is a connection that was let in. Most are idle, and there are many: what few of them need is elsewhere.
type Client struct {
	registry  *Registry
	id        string
	link      Link
	transport string
	remote    string
	since     int64 // in nanoseconds since 1970
	identity  atomic.Pointer[Identity]

	mu            sync.Mutex
	gone          bool
	subscriptions map[string]*subscription
	more          *more // nil: nothing of it is needed yet

	asked map[string]*call // that it has not answered; guarded by calls.mu
}

// more is what a client has that does something. The client's mu guards it.
type more struct {
	life   context.Context // of what catches up; nil: nothing has had to
	ended  context.CancelFunc
	expiry *time.Timer
	why    string // the code of the Reason for which the server has ended the connection
	limits map[*Rule]*rate.Limiter
	behind int        // how many subscriptions catch up
	turn   sync.Mutex // held, without mu, while a part of what one of the channels missed is handed over
}

// rest is what the client has that does something. mu is held.
func (c *Client) rest() *more {
	if c.more == nil {
		c.more = new(more)
	}
	return c.more
}

// turn is whose turn it is among the channels that catch up.
func (c *Client) turn() *sync.Mutex {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &c.rest().turn
}

// end ends what goes on by itself, when the client has left.
func (m *more) end() {
	if m.ended != nil {
		m.ended()
	}
	if m.expiry != nil {
		m.expiry.Stop()
	}
}

// many is the client's link, if the client can have many channels; else nil.
func (c *Client) many() Multiplexer {
	m, _ := c.link.(Multiplexer)
	return m
}

// ID names the connection.
func (c *Client) ID() string { return c.id }

// Transport is how it is connected.
func (c *Client) Transport() string { return c.transport }

// Identity is who it is. It is not to be changed.
func (c *Client) Identity() *Identity { return c.identity.Load() }

// Member is what it is in presence.
func (c *Client) Member() channel.Member {
	i := c.Identity()
	return channel.Member{Client: c.id, User: i.User, Info: i.Info}
}

// An Event is what the backend is told of a client that came or left.
type Event struct {
	Client    string          `json:"client"`
	User      string          `json:"user,omitempty"`
	Transport string          `json:"transport"`
	Remote    string          `json:"remote,omitempty"`
	Info      json.RawMessage `json:"info,omitempty"`
	Meta      json.RawMessage `json:"meta,omitempty"`
	Since     time.Time       `json:"since"`            // when it came
	Reason    string          `json:"reason,omitempty"` // why it left
}

func (c *Client) event() Event {
	i := c.Identity()
	return Event{Client: c.id, User: i.User, Transport: c.transport, Remote: c.remote, Info: i.Info, Meta: i.Meta, Since: time.Unix(0, c.since)}
}

// A Connection is what is told of a client.
type Connection struct {
	Client    string          `json:"client"`
	User      string          `json:"user,omitempty"`
	Info      json.RawMessage `json:"info,omitempty"`
	Transport string          `json:"transport"`
	Remote    string          `json:"remote,omitempty"`
	Since     time.Time       `json:"since"`
	Expires   *time.Time      `json:"expires,omitempty"`
	Channels  []string        `json:"channels"` // that it has subscribed to, in no order
}

// Connection tells of the client.
func (c *Client) Connection() Connection {
	i := c.Identity()
	o := Connection{
		Client: c.id, User: i.User, Info: i.Info, Transport: c.transport, Remote: c.remote, Since: time.Unix(0, c.since), Channels: []string{},
	}
	if !i.Expires.IsZero() {
		o.Expires = &i.Expires
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.subscriptions {
		o.Channels = append(o.Channels, name)
	}
	return o
}

// May says whether the client may do something in a channel.
func (c *Client) May(action auth.Action, name string) error {
	return c.registry.May(c.Identity(), action, name)
}

// Begin subscribes the client to the channels of its token, if it can have many, and hands over the calls that were held for
// it. It comes once, when the client was told that it is connected.
func (c *Client) Begin(ctx context.Context) {
	if c.many() == nil {
		return
	}
	i := c.Identity()
	for _, name := range i.Channels {
		c.force(name, byToken)
	}
	if i.User != "" {
		c.registry.deliverHeld(c)
	}
}

// Gone says that the client has left, and why, unless the server has ended the connection. It may come more than once.
func (c *Client) Gone(reason string) {
	if !c.registry.remove(c) {
		return
	}
	c.mu.Lock()
	c.gone = true
	all := c.subscriptions
	c.subscriptions = nil
	more := c.more
	c.more = nil
	c.mu.Unlock()
	if more != nil {
		if more.why != "" {
			reason = more.why
		}
		more.end()
	}
	for name, s := range all {
		if s.end() {
			c.notify(TypeUnsubscribed, name)
		}
	}
	c.registry.abandon(c)
	c.registry.tell("client left", c, slog.String("reason", reason))
	e := c.event()
	e.Reason = reason
	c.registry.config.Notify(TypeDisconnected, e)
}

// Disconnect has the server end the connection.
func (c *Client) Disconnect(why Reason) {
	c.mu.Lock()
	if m := c.rest(); m.why == "" {
		m.why = why.Code
	}
	c.mu.Unlock()
	c.link.Close(why)
}

// maxUnwatched is how long a connection may outlive its token when the clock has been set forward: what timers go by is another
// clock than what tokens go by.
const maxUnwatched = time.Minute

// watchExpiry ends the connection when its token expires, unless that is refreshed.
func (c *Client) watchExpiry(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.gone:
	case at.IsZero():
		if c.more != nil && c.more.expiry != nil {
			c.more.expiry.Stop()
		}
	case c.rest().expiry != nil:
		c.more.expiry.Reset(c.registry.look(at))
	default:
		c.more.expiry = time.AfterFunc(c.registry.look(at), c.expired)
	}
}

func (c *Client) expired() {
	if at := c.Identity().Expires; at.IsZero() || c.registry.until(at) > 0 {
		c.watchExpiry(at) // it is not over yet, was refreshed at that moment, or the clock was set back
		return
	}
	c.Disconnect(EndExpired)
}

// may says whether the client may go on with a subscription.
func (c *Client) may(s *subscription) error {
	if s.by == byBackend || s.by == byToken && slices.Contains(c.Identity().Channels, s.name) {
		return nil
	}
	return c.permits(s.name, SubscribeOptions{Presence: s.watch})
}

// Refresh gives the client another token of the same user. What it has subscribed to and may not any more, it loses.
func (c *Client) Refresh(ctx context.Context, h Hello) (*Identity, error) {
	h.Transport, h.Remote = c.transport, c.remote
	identity, err := c.registry.identify(ctx, c.id, h)
	if err != nil {
		return nil, err
	}
	if identity.User != c.Identity().User {
		return nil, ErrUserChanged
	}
	c.identity.Store(identity)
	c.watchExpiry(identity.Expires)
	if identity.under != c.registry.policy.Load().number {
		c.recheck()
	}
	c.dropForbidden("the new token does not permit the subscription to ")
	return identity, nil
}
