package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
)

const (
	defaultCallTimeout = 10 * time.Second
	maxCallHold        = 24 * time.Hour
)

type apiCall struct {
	User    string          `json:"user"`
	Client  string          `json:"client"`
	Method  string          `json:"method"`
	Data    json.RawMessage `json:"data"`
	Timeout *apiTime        `json:"timeout"` // nil: defaultCallTimeout
	Hold    apiTime         `json:"hold"`
}

// apiCallAnswer is an answer whose error has the form of all others.
type apiCallAnswer struct {
	Error *errorBody `json:"error,omitempty"`
	clients.Answer
}

func (a *api) call(q *apiRequest, body apiCall) (int, any, error) {
	if q.Header["Idempotency-Key"] != nil {
		return 0, nil, badRequest("invalid_key", "a call has no idempotency key: every request asks once more")
	}
	if err := q.callee(body); err != nil {
		return 0, nil, err
	}
	timeout := defaultCallTimeout
	if body.Timeout != nil {
		timeout = time.Duration(*body.Timeout)
	}
	if longest := a.server.now().MaxWait; timeout <= 0 || timeout > longest {
		return 0, nil, badRequest("invalid_timeout", fmt.Sprintf("timeout must be more than 0, and %v at most", longest))
	}
	if time.Duration(body.Hold) > maxCallHold {
		return 0, nil, badRequest("invalid_hold", fmt.Sprintf("hold must be %v at most", maxCallHold))
	}
	q.allow(timeout)
	answer, err := a.server.registry.Call(q.Context(), clients.CallRequest{
		User: body.User, Client: body.Client, Method: body.Method, Data: body.Data,
		Timeout: timeout, Hold: time.Duration(body.Hold), NoWait: true,
	})
	if err != nil {
		a.server.metrics.Called(toProblem(err).Kind())
		return 0, nil, err
	}
	a.server.metrics.Called(outcome(answer))
	return statusOf(answer), newCallAnswer(answer), nil
}

// callee says whether the key is for whom the call is for.
func (q *apiRequest) callee(body apiCall) error {
	if body.Client != "" {
		if err := q.noLimited("clients by their ids"); err != nil {
			return err
		}
	}
	if body.User != "" {
		return q.grant.Check(auth.ScopeCall, "@"+body.User)
	}
	return nil
}

// statusOf is the status of an answer to whoever has asked.
func statusOf(a clients.Answer) int {
	switch {
	case a.State == clients.Answered:
		return http.StatusOK
	case a.State != clients.Failed:
		return http.StatusAccepted
	case a.Error.Number == clients.ErrTimeout.Number:
		return http.StatusGatewayTimeout
	case a.Error.Number == clients.ErrClientGone.Number:
		return http.StatusBadGateway
	}
	return http.StatusUnprocessableEntity
}

func newCallAnswer(a clients.Answer) apiCallAnswer {
	answer := apiCallAnswer{Answer: a}
	if a.Error != nil {
		answer.Error = &errorBody{a.Error.Code, a.Error.Number, a.Error.Message}
	}
	answer.Answer.Error = nil
	return answer
}

// outcome is what has come of a call so far, in a word.
func outcome(a clients.Answer) string {
	switch {
	case a.State == clients.Answered:
		return "ok"
	case a.State != clients.Failed:
		return "held"
	}
	if kind := (&clients.Error{Number: a.Error.Number, Code: a.Error.Code}).Kind(); kind != "backend" {
		return kind
	}
	return "refused" // by the client, in words of its own
}

// callState tells what has come of a call that was held.
func (a *api) callState(q *apiRequest) (int, any, error) {
	if _, err := q.parameters(); err != nil {
		return 0, nil, err
	}
	answer, err := a.server.registry.CallState(q.Context(), q.id)
	if err == nil && (answer.User == "" || q.grant.Check(auth.ScopeCall, "@"+answer.User) != nil) && q.grant.Limited() {
		err = clients.ErrNotFound.With("there is no such call")
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, newCallAnswer(answer), nil
}
