package channels

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"baro.dev/channel/client"
	"baro.dev/internal/cli/exit"
)

// A Caller asks devices.
type Caller struct {
	API *API
	// Users, and Clients by their ids, are who is asked: one at least.
	Users, Clients []string
	Method         string
	Data           json.RawMessage // nil: there is none
	// Timeout is how long each may take to answer.
	Timeout time.Duration
	// Hold is how long the call waits for who is away; 0: it does not.
	Hold time.Duration
	// Envelope has the whole answer written, an object a line, also if there is one device only.
	Envelope bool
}

// An Answer is what came of the call of one device.
type Answer struct {
	Call   string          `json:"call,omitempty"`
	State  string          `json:"state,omitempty"` // answered, or held
	User   string          `json:"user,omitempty"`
	Client string          `json:"client,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
	Error  *RefusedError   `json:"error,omitempty"`
}

// atOnce is how many devices are asked at a time.
const atOnce = 16

// slack is how long the server may take beyond what the device may.
const slack = 20 * time.Second

// Call asks all of them, and writes their answers as they come: data alone for one device, an object a line for several. The error has
// its exit code: that of the one device, or Failed if some of several have not answered.
func (c *Caller) Call(ctx context.Context, out io.Writer) error {
	var requests []request
	for _, user := range c.Users {
		requests = append(requests, request{User: user})
	}
	for _, id := range c.Clients {
		requests = append(requests, request{Client: id})
	}
	if len(requests) == 0 {
		return exit.With(exit.Usage, errors.New("nobody is named who is to be called"))
	}
	if c.Method == "" {
		return exit.With(exit.Usage, errors.New("the method is empty"))
	}
	if len(c.Data) > 0 && !json.Valid(c.Data) {
		return exit.With(exit.Usage, errors.New("what is sent with the call is not JSON"))
	}
	if len(requests) == 1 {
		a, err := c.one(ctx, requests[0])
		return errors.Join(err, c.write(out, a, c.Envelope || a.State == "held"))
	}
	return c.all(ctx, out, requests)
}

type request struct {
	User    string          `json:"user,omitempty"`
	Client  string          `json:"client,omitempty"`
	Method  string          `json:"method"`
	Data    json.RawMessage `json:"data,omitempty"`
	Timeout float64         `json:"timeout"`
	Hold    float64         `json:"hold,omitempty"`
}

// all asks several at a time.
func (c *Caller) all(ctx context.Context, out io.Writer, requests []request) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var work sync.WaitGroup
	failed := 0
	free := make(chan struct{}, atOnce)
	for _, r := range requests {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		work.Go(func() {
			defer func() { <-free }()
			a, err := c.one(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed++
				if !told(err) {
					cancel(err) // it would be the same with all others
					return
				}
			}
			if err := c.write(out, a, true); err != nil {
				cancel(err)
			}
		})
	}
	work.Wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case failed > 0:
		return exit.With(exit.Failed, fmt.Errorf("%d of %d have not answered", failed, len(requests)))
	}
	return nil
}

// told says whether an error is about one device, and in its answer.
func told(err error) bool {
	r, ok := errors.AsType[*RefusedError](err)
	return ok && r.Status != http.StatusUnauthorized && r.Status != http.StatusTooManyRequests && r.Number != 0
}

// one asks one device. It is not asked again, whatever goes wrong: nobody knows what it has done.
func (c *Caller) one(ctx context.Context, r request) (Answer, error) {
	r.Method, r.Data, r.Timeout, r.Hold = c.Method, c.Data, c.Timeout.Seconds(), c.Hold.Seconds()
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout+slack, errPatience)
	defer cancel()
	a := Answer{User: r.User, Client: r.Client}
	err := c.API.ask(ctx, "call", r, &a)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		a.Error = refused
		err = exit.With(codeOf(refused), err)
	}
	return a, err
}

// codeOf is the exit code for what came of a call.
func codeOf(r *RefusedError) int {
	switch r.Status {
	case http.StatusUnprocessableEntity: // the device refused, in words of its own
		return exit.Failed
	case http.StatusBadGateway: // it left before it answered
		return exit.Broken
	case http.StatusGatewayTimeout:
		if r.Number != 0 {
			return exit.Unmet
		}
	}
	return exit.Refused
}

// write writes an answer, if there is one.
func (c *Caller) write(out io.Writer, a Answer, envelope bool) error {
	var text []byte
	switch {
	case envelope:
		var err error
		if text, err = encode(a); err != nil {
			return err
		}
	case a.State != "answered":
		return nil
	case len(a.Data) == 0:
		text = []byte("null")
	default:
		text = a.Data
	}
	_, err := out.Write(append(text, '\n'))
	return err
}

// Ask asks the backend, as a client does by rpc, and writes what it answers.
func Ask(ctx context.Context, c *client.Client, method string, data json.RawMessage, out io.Writer) error {
	var asked any // nil: there is none
	if len(data) > 0 {
		asked = data
	}
	answer := json.RawMessage("null")
	if err := c.RPC(ctx, method, asked, &answer); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return exit.With(exit.Unmet, errors.New("the backend has not answered in time"))
		}
		return failedClient(ctx, err)
	}
	_, err := out.Write(append(answer, '\n'))
	return err
}
