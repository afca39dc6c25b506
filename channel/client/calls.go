package client

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

type askedCall struct {
	Call
	Timeout float64 `json:"timeout"`
}

// UnmarshalJSON reads a call in the server's words.
func (a *askedCall) UnmarshalJSON(text []byte) error {
	var said struct {
		ID      string
		Method  string
		Data    json.RawMessage
		Timeout float64
	}
	err := json.Unmarshal(text, &said)
	*a = askedCall{Call{said.ID, said.Method, said.Data}, said.Timeout}
	return err
}

type answerOfCall struct {
	Call  string          `json:"call"`
	Data  json.RawMessage `json:"data,omitempty"`
	Error *callError      `json:"error,omitempty"`
}

type callError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Bounds of calls.
const (
	maxCalls    = 16 // at a time
	maxAnswered = 64 // whose answers are kept, in case they are asked again
)

// calls are those that are being answered, and the last that were. The client's mu guards them.
type calls struct {
	running  map[string]bool
	answered map[string]*answerOfCall
	order    []string
}

// asked answers a call.
func (c *Client) asked(a askedCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &c.calls
	if k.running == nil {
		k.running, k.answered = map[string]bool{}, map[string]*answerOfCall{}
	}
	switch before := k.answered[a.ID]; {
	case before != nil:
		_ = c.session.say(frame{Answer: before}) // or it comes again
		return
	case k.running[a.ID]:
		return
	case c.set.OnCall == nil:
		c.answer(&answerOfCall{Call: a.ID, Error: &callError{"not_offered", "the client answers no calls"}})
		return
	case len(k.running) >= maxCalls:
		c.answer(&answerOfCall{Call: a.ID, Error: &callError{"busy", "the client is answering as many calls as it can"}})
		return
	}
	k.running[a.ID] = true
	go c.call(a)
}

// answer sends an answer, if there is a connection; else the server asks again. The caller holds mu.
func (c *Client) answer(a *answerOfCall) {
	if c.session != nil {
		_ = c.session.say(frame{Answer: a})
	}
}

func (c *Client) call(a askedCall) {
	ctx, cancel := context.WithTimeout(c.ctx, time.Duration(min(max(a.Timeout, 0), 3600)*float64(time.Second)))
	defer cancel()
	said := &answerOfCall{Call: a.ID}
	result, err := c.set.OnCall(ctx, a.Call)
	if err == nil {
		said.Data, err = json.Marshal(result)
	}
	if err != nil {
		said.Data, said.Error = nil, &callError{"failed", err.Error()}
		if e, ok := errors.AsType[*Error](err); ok {
			said.Error = &callError{e.Code, e.Message}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &c.calls
	delete(k.running, a.ID)
	k.answered[a.ID] = said
	if k.order = append(k.order, a.ID); len(k.order) > maxAnswered {
		delete(k.answered, k.order[0])
		k.order = k.order[1:]
	}
	c.answer(said)
}
