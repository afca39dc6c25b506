package clients

import (
	"context"
	"encoding/json"
)

// A Target is whom a backend means: all clients of some users, and some clients.
type Target struct {
	Users   []string `json:"users,omitempty"`
	Clients []string `json:"clients,omitempty"`
}

// Find gives the clients that are meant, each once.
func (r *Registry) Find(t Target) []*Client {
	var all []*Client
	found := make(map[*Client]bool)
	add := func(c *Client) {
		if c != nil && !found[c] {
			found[c] = true
			all = append(all, c)
		}
	}
	for _, user := range t.Users {
		for _, c := range r.OfUser(user) {
			add(c)
		}
	}
	for _, id := range t.Clients {
		add(r.Client(id))
	}
	return all
}

// Subscribe subscribes clients that can have many channels to one more, whatever they may do themselves, and says how many
// there were.
func (r *Registry) Subscribe(t Target, name string) (n int) {
	for _, c := range r.Find(t) {
		if c.many() != nil {
			c.force(name, byBackend)
			n++
		}
	}
	return n
}

// Unsubscribe ends subscriptions, and says how many.
func (r *Registry) Unsubscribe(t Target, name string) (n int) {
	for _, c := range r.Find(t) {
		if c.many() != nil && c.drop(name, ErrForbidden.With("the backend has ended the subscription")) {
			n++
		}
	}
	return n
}

// Disconnect ends connections, and says how many.
func (r *Registry) Disconnect(t Target, why Reason) (n int) {
	for _, c := range r.Find(t) {
		c.Disconnect(why)
		n++
	}
	return n
}

// An RPCQuestion is what a client asks the backend.
type RPCQuestion struct {
	Client string          `json:"client"`
	User   string          `json:"user,omitempty"`
	Method string          `json:"method"`
	Data   json.RawMessage `json:"data,omitempty"`
	Meta   json.RawMessage `json:"meta,omitempty"`
}

// An RPCAnswer is what it answers.
type RPCAnswer struct {
	Data json.RawMessage `json:"data"`
}

// RPC asks the backend something on behalf of the client.
func (c *Client) RPC(ctx context.Context, method string, data json.RawMessage) (json.RawMessage, error) {
	ask := c.registry.config.Ask
	if ask == nil {
		return nil, ErrNotOffered
	}
	if method == "" || len(method) > maxMethodBytes {
		return nil, Invalid("invalid_method", "a method has 1 to 128 bytes")
	}
	i := c.Identity()
	var a RPCAnswer
	if err := ask(ctx, KindRPC, RPCQuestion{c.id, i.User, method, data, i.Meta}, &a); err != nil {
		return nil, err
	}
	return a.Data, nil
}
