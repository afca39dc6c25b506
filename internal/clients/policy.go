package clients

import (
	"slices"

	"baro.dev/internal/auth"
)

// policy is what a registry goes by when it decides. It is replaced as a whole, and not changed.
type policy struct {
	number     uint64 // of the first it is 1
	verifier   *auth.Verifier
	anonymous  bool
	rules      rules
	askConnect bool
	askHeaders []string

	nobody *Identity // who is anonymous
}

// EndChanged is why a connection ends whose client would not be let in by its token any more: it is to come back, and is told then.
var EndChanged = Reason{Number: 4002, Code: "reconnect", Text: "the configuration of the server has changed: connect anew"}

// endForbidden is why a connection for one channel ends that is not permitted any more.
var endForbidden = Reason{Number: 4503, Code: ErrForbidden.Code}

// A Reader is a link for one channel.
type Reader interface {
	Link
	// Channel is its name.
	Channel() string
}

// Reconfigure has the Verifier, Anonymous, Rules, AskConnect and AskHeaders of c decide from now on; the rest of c does not count. What
// was decided before is looked at again: a client that is anonymous and may not be any more, or whose token was verified by a key
// that is gone, is told to come back ([EndChanged]). The others lose the subscriptions that are not permitted any more, but
// not those by the word of their token or of the backend.
func (r *Registry) Reconfigure(c Config) {
	r.replace(func(*policy) policy {
		return policy{
			verifier: c.Verifier, anonymous: c.Anonymous, rules: slices.Clone(c.Rules),
			askConnect: c.AskConnect, askHeaders: slices.Clone(c.AskHeaders),
		}
	})
	for _, client := range r.All() {
		client.recheck()
	}
}

// SetRules replaces the rules. They are for what is asked from now on.
func (r *Registry) SetRules(list []Rule) {
	r.replace(func(p *policy) policy {
		next := *p
		next.rules = slices.Clone(list)
		return next
	})
}

func (r *Registry) replace(change func(*policy) policy) {
	r.changing.Lock()
	defer r.changing.Unlock()
	before := r.policy.Load()
	next := change(before)
	next.number = before.number + 1
	next.nobody = &Identity{Anonymous: true, under: next.number}
	r.policy.Store(&next)
}

// welcome says whether the identity would be good today.
func (p *policy) welcome(i *Identity) bool {
	switch {
	case i.Verified():
		return p.verifier != nil && p.verifier.Trusts(i.Identity)
	case i.Anonymous && i.client == "":
		return p.anonymous
	}
	return true
}

// Still is [Registry.May] for an identity that has been there for a while: also whether it would be let in today, by what
// [Registry.Reconfigure] has changed since.
func (r *Registry) Still(i *Identity, action auth.Action, name string) error {
	p := r.policy.Load()
	if !p.welcome(i) {
		return ErrCredentials.With("the configuration of the server has changed: this client is not let in any more")
	}
	return p.rules.may(i, action, name)
}

// recheck has a client lose what it would not be given today.
func (c *Client) recheck() {
	p, i := c.registry.policy.Load(), c.Identity()
	if !p.welcome(i) {
		c.Disconnect(EndChanged)
		return
	}
	if one, ok := c.link.(Reader); ok && p.rules.may(i, auth.Subscribe, one.Channel()) != nil {
		why := endForbidden
		why.Text = "not permitted any more to subscribe to " + one.Channel()
		c.Disconnect(why)
		return
	}
	c.dropForbidden("the configuration of the server does not permit any more the subscription to ")
}

// dropForbidden ends the subscriptions that are not permitted, and tells the client why, which the name of the channel follows.
func (c *Client) dropForbidden(why string) {
	c.mu.Lock()
	var lost []string
	for name, s := range c.subscriptions {
		if c.may(s) != nil {
			lost = append(lost, name)
		}
	}
	c.mu.Unlock()
	for _, name := range lost {
		c.drop(name, ErrForbidden.With(why+name))
	}
}
