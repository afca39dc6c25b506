package server

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"baro.dev/internal/clients"
	"baro.dev/internal/cluster"
)

// What the servers of a cluster ask each other. Data is JSON: members that a server does not know are ignored, those that it misses
// are zero.
const (
	kindFind        = "find"        // calleeQuestion, calleeAnswer
	kindCall        = "call"        // clients.CallRequest, calledAnswer
	kindWaiting     = "waiting"     // waitingNotice; nobody answers
	kindSubscribe   = "subscribe"   // subscriptionQuestion, apiReached
	kindUnsubscribe = "unsubscribe" // subscriptionQuestion, apiReached
	kindDisconnect  = "disconnect"  // disconnectQuestion, apiReached
	kindConnections = "connections" // connectionsQuestion, apiConnections
	kindChannels    = "channels"    // channelsQuestion, apiChannels
	kindNode        = "node"        // nothing, nodeAnswer
	kindOccupied    = "occupied"    // occupiedQuestion, occupiedAnswer
)

type calleeQuestion struct {
	User   string `json:"user,omitempty"`
	Client string `json:"client,omitempty"`
}

type calleeAnswer struct {
	Client string    `json:"client,omitempty"` // "": there is none
	Since  time.Time `json:"since,omitzero"`
}

// calledAnswer is an answer, or why nobody was asked.
type calledAnswer struct {
	clients.Answer
	Refused *remoteError `json:"refused,omitempty"`
}

// remoteError is an error that another server has told.
type remoteError struct {
	Status  int    `json:"status"`
	Number  int    `json:"number"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

type waitingNotice struct {
	User string `json:"user"`
}

// callSlack is how much longer than its timeout a call may take that another server makes.
const callSlack = 5 * time.Second

// Find implements [clients.Elsewhere], as do those below.
func (j *joined) Find(ctx context.Context, user, client string) (clients.Callee, bool) {
	answers, _ := askAll[calleeAnswer](ctx, j, kindFind, calleeQuestion{user, client})
	var newest clients.Callee
	for node, a := range answers {
		if a.Client != "" && (newest.Client == "" || a.Since.After(newest.Since)) {
			newest = clients.Callee{Node: node, Client: a.Client, Since: a.Since}
		}
	}
	return newest, newest.Client != ""
}

// Call asks the server of the callee to ask it.
func (j *joined) Call(ctx context.Context, callee clients.Callee, q clients.CallRequest) (clients.Answer, error) {
	text, err := json.Marshal(q)
	if err != nil {
		return clients.Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, q.Timeout+callSlack)
	defer cancel()
	raw, err := j.node.Ask(ctx, callee.Node, kindCall, text)
	gone := clients.Answer{State: clients.Failed, User: q.User, Client: callee.Client, Error: &clients.Refused{
		Code: clients.ErrClientGone.Code, Number: clients.ErrClientGone.Number, Message: "the client's server left before it answered",
	}}
	switch {
	case errors.Is(err, cluster.ErrNoNode):
		return clients.Answer{}, clients.ErrNotFound
	case errors.Is(err, cluster.ErrGone):
		return gone, nil
	case errors.Is(err, context.DeadlineExceeded):
		gone.Error = &clients.Refused{Code: clients.ErrTimeout.Code, Number: clients.ErrTimeout.Number, Message: clients.ErrTimeout.Message}
		return gone, nil
	case errors.Is(err, cluster.ErrBusy):
		return clients.Answer{}, clients.ErrCalls
	case err != nil:
		j.server.log.Warn("a call could not be handed to another node", "node", callee.Node, "error", err)
		return clients.Answer{}, clients.ErrCluster
	}
	var a calledAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return clients.Answer{}, clients.ErrCluster
	}
	if p := a.Refused; p != nil {
		return clients.Answer{}, &clients.Error{Status: p.Status, Number: p.Number, Code: p.Code, Message: p.Message}
	}
	return a.Answer, nil
}

// Waiting tells all others that a call is held for a user.
func (j *joined) Waiting(user string) {
	text, err := json.Marshal(waitingNotice{user})
	if err == nil {
		err = j.node.Tell(kindWaiting, text)
	}
	if err != nil { // they look at the shelf when they hear again
		j.server.log.Debug("the other nodes were not told of a call that is held", "error", err)
	}
}

// Node is how this server is called among the others.
func (j *joined) Node() string { return j.node.ID() }

// IsThere says whether another node is.
func (j *joined) IsThere(node string) bool {
	for _, p := range j.node.Peers() {
		if p.ID == node {
			return true
		}
	}
	return false
}

// handleCalls has this server do what others ask for with calls.
func (j *joined) handleCalls() {
	respond(j, kindFind, func(_ context.Context, q calleeQuestion) (calleeAnswer, error) {
		if (q.User == "") == (q.Client == "") {
			return calleeAnswer{}, clients.ErrRequest
		}
		c, _ := j.server.registry.Callee(q.User, q.Client)
		return calleeAnswer{c.Client, c.Since}, nil
	})
	respond(j, kindCall, func(ctx context.Context, q clients.CallRequest) (calledAnswer, error) {
		if err := j.server.takesRequests(); err != nil {
			return refusedCall(err), nil
		}
		q.NoWait = true
		a, err := j.server.registry.CallHere(ctx, q)
		if err != nil {
			return refusedCall(err), nil
		}
		return calledAnswer{Answer: a}, nil
	})
	j.node.Handle(kindWaiting, func(_ context.Context, from string, data []byte) ([]byte, error) {
		var n waitingNotice
		if from != j.node.ID() && json.Unmarshal(data, &n) == nil && n.User != "" {
			j.server.registry.Waiting(n.User)
		}
		return nil, nil
	})
}

func refusedCall(err error) calledAnswer {
	p := toProblem(err)
	return calledAnswer{Refused: &remoteError{p.Status, p.Number, p.Code, p.Message}}
}
