package server

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
)

type apiTarget struct {
	Users   []string `json:"users" max:"10000"`
	Clients []string `json:"clients" max:"10000"`
}

type apiSubscription struct {
	apiTarget
	Channel string `json:"channel"`
}

type apiDisconnect struct {
	apiTarget
	Reason    string `json:"reason"`
	Reconnect bool   `json:"reconnect"`
}

// apiReached is how many connections were reached.
type apiReached struct {
	Clients int      `json:"clients"`
	Missing []string `json:"missing,omitempty"` // servers of the cluster that did not answer
}

// target is whom a request is about, if its key is for them.
func (q *apiRequest) target(t apiTarget, scope auth.Scope) (clients.Target, error) {
	if len(t.Users) == 0 && len(t.Clients) == 0 {
		return clients.Target{}, badRequest("invalid_target", "users, or clients, is needed: whom it is about")
	}
	if len(t.Clients) > 0 {
		if err := q.noLimited("clients by their ids"); err != nil {
			return clients.Target{}, err
		}
	}
	for _, user := range t.Users {
		if err := q.grant.Check(scope, "@"+user); err != nil {
			return clients.Target{}, err
		}
	}
	return clients.Target{Users: t.Users, Clients: t.Clients}, nil
}

func (q *apiRequest) subscription(body apiSubscription) (clients.Target, error) {
	if err := channel.ValidateName(body.Channel); err != nil {
		return clients.Target{}, err
	}
	if err := q.grant.Check(auth.ScopeManage, body.Channel); err != nil {
		return clients.Target{}, err
	}
	return q.target(body.apiTarget, auth.ScopeManage)
}

func (a *api) subscribe(q *apiRequest, body apiSubscription) (int, any, error) {
	t, err := q.subscription(body)
	if err != nil {
		return 0, nil, err
	}
	n := a.server.registry.Subscribe(t, body.Channel)
	return 200, a.server.reachAll(q.Context(), kindSubscribe, subscriptionQuestion{t, body.Channel}, n), nil
}

func (a *api) unsubscribe(q *apiRequest, body apiSubscription) (int, any, error) {
	t, err := q.subscription(body)
	if err != nil {
		return 0, nil, err
	}
	n := a.server.registry.Unsubscribe(t, body.Channel)
	return 200, a.server.reachAll(q.Context(), kindUnsubscribe, subscriptionQuestion{t, body.Channel}, n), nil
}

// maxReasonBytes is how much of a reason fits into the close frame of a WebSocket (RFC 6455 section 5.5).
const maxReasonBytes = 123

func (a *api) disconnect(q *apiRequest, body apiDisconnect) (int, any, error) {
	t, err := q.target(body.apiTarget, auth.ScopeManage)
	if err != nil {
		return 0, nil, err
	}
	why := clients.EndDisconnected
	if body.Reconnect {
		why = clients.EndReconnect
	}
	if body.Reason != "" {
		if len(body.Reason) > maxReasonBytes || strings.ContainsFunc(body.Reason, unicode.IsControl) {
			return 0, nil, badRequest("invalid_reason", fmt.Sprintf("a reason has up to %d bytes, without control characters", maxReasonBytes))
		}
		why.Text = body.Reason
	}
	n := a.server.registry.Disconnect(t, why)
	return 200, a.server.reachAll(q.Context(), kindDisconnect, disconnectQuestion{t, why.Number, why.Code, why.Text}, n), nil
}

// apiConnections is who is connected. More says that there are others.
type apiConnections struct {
	Connections []apiConnection `json:"connections"`
	More        bool            `json:"more"`
	Missing     []string        `json:"missing,omitempty"` // servers of the cluster that did not answer
}

type apiConnection struct {
	clients.Connection
	Node string `json:"node,omitempty"` // of the cluster, that has it
}

func (a *api) connections(q *apiRequest) (int, any, error) {
	p, err := q.parameters("user", "limit")
	if err != nil {
		return 0, nil, err
	}
	limit, err := listLimit(p, 100)
	if err != nil {
		return 0, nil, err
	}
	question := connectionsQuestion{Limit: limit}
	if user, ok := p["user"]; ok {
		if user == "" || !utf8.ValidString(user) {
			return 0, nil, badRequest("invalid_user", "the name of the user is empty, or not UTF-8")
		}
		if err := q.grant.Check(auth.ScopeRead, "@"+user); err != nil {
			return 0, nil, err
		}
		question.User = user
	} else {
		if err := q.noLimited("all connections"); err != nil {
			return 0, nil, err
		}
	}
	return 200, a.server.connectionsOfAll(q.Context(), question), nil
}
