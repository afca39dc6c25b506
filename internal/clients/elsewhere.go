package clients

import (
	"context"
	"errors"
	"time"
)

// Elsewhere is the clients of the other servers of a cluster. Its methods may be called from any goroutine.
type Elsewhere interface {
	// Find finds who can be called, of the connections of a user the one that came last, or one connection; false: nobody that
	// a server which answers knows of.
	Find(ctx context.Context, user, client string) (Callee, bool)
	// Call has the callee's server ask it: see [Registry.CallHere].
	Call(ctx context.Context, callee Callee, q CallRequest) (Answer, error)
	// Waiting tells all others that a call is held for a user.
	Waiting(user string)
	// Node is how this server is called among the others; IsThere says whether another one is.
	Node() string
	IsThere(node string) bool
}

// A Callee is a connection of another server that can be called.
type Callee struct {
	Node   string
	Client string
	Since  time.Time
}

// Callee finds who can be called here, as [Elsewhere.Find] does elsewhere.
func (r *Registry) Callee(user, client string) (Callee, bool) {
	c, err := r.target(CallRequest{User: user, Client: client})
	if err != nil || c == nil {
		return Callee{}, false
	}
	return Callee{Client: c.id, Since: time.Unix(0, c.since)}, true
}

// callElsewhere asks a client of another server, if there is one that came later than those here. done says that there is an answer.
func (r *Registry) callElsewhere(ctx context.Context, q CallRequest) (a Answer, done bool, err error) {
	here, isHere := r.Callee(q.User, q.Client)
	if isHere && q.Client != "" {
		return a, false, nil
	}
	there, ok := r.config.Elsewhere.Find(ctx, q.User, q.Client)
	if !ok || isHere && !here.Since.Before(there.Since) {
		return a, false, nil
	}
	a, err = r.config.Elsewhere.Call(ctx, there, q)
	if errors.Is(err, ErrNotFound) {
		return a, false, nil // it has left in the meantime
	}
	return a, true, err
}
