package server

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"baro.dev/channel"
	"baro.dev/internal/clients"
	"baro.dev/internal/metrics"
)

// What one client may ask for at a time.
const (
	maxUnderWay    = 16   // commands that the backend is asked for, and refreshes
	maxReplied     = 1000 // members, or messages
	usuallyReplied = 100
)

// commands is what clients over /ws and over Socket.IO can do alike. Its methods are called one after the other, but for those
// that are under way in the background.
type commands struct {
	server    *Server
	client    *clients.Client // nil while it is not connected
	underWay  atomic.Int32
	refreshes atomic.Bool
	pace      *pace // nil: it has sent nothing yet, or may send as much as it likes
}

// subscribeOptions say where a client begins: after a position, with "oldest" or "now"; else as the channel's rule says.
type subscribeOptions struct {
	After    string `json:"after"`
	Presence bool   `json:"presence"`
}

func (c *commands) subscribe(t metrics.Transport, name string, o subscribeOptions, begun func(clients.Start)) error {
	from, err := query{"after": {o.After}}.from(channel.Now())
	if err != nil {
		return err
	}
	err = c.client.Subscribe(name, clients.SubscribeOptions{From: from, Newcomer: o.After == "", Presence: o.Presence}, begun)
	if isPosition(from) {
		c.server.recovered(t, err)
	}
	return err
}

func (c *commands) publish(by metrics.Source, name string, m channel.Message) (*published, error) {
	_, end := c.server.tracing.begin(context.Background(), "publish", trace.SpanKindServer, attrChannel.String(name), attrTransport.String(c.client.Transport()))
	sent, err := c.server.put(by, func() (*channel.Message, error) { return c.client.Publish(name, m) })
	end(err)
	if err != nil {
		return nil, err
	}
	return &published{sent.Offset, sent.Epoch, sent.ID}, nil
}

// memberAnswer is one of those who are in a channel.
type memberAnswer struct {
	Client string          `json:"client"`
	User   string          `json:"user,omitempty"`
	Info   json.RawMessage `json:"info,omitempty"`
	Since  time.Time       `json:"since"`
}

func newMember(m channel.Member) memberAnswer {
	return memberAnswer{m.Client, m.User, m.Info, m.Since.UTC()}
}

// presenceAnswer is who is in a channel.
type presenceAnswer struct {
	Channel string         `json:"channel,omitempty"` // where it was not asked for
	Users   int            `json:"users"`
	Clients int            `json:"clients"`
	Members []memberAnswer `json:"members"`
}

func newPresence(name string, p channel.Presence) presenceAnswer {
	a := presenceAnswer{name, p.Users, p.Clients, make([]memberAnswer, len(p.Members))}
	for i, m := range p.Members {
		a.Members[i] = newMember(m)
	}
	return a
}

// presenceEvent is who came or left.
type presenceEvent struct {
	Channel string `json:"channel"`
	memberAnswer
	Users   int  `json:"users"`
	Clients int  `json:"clients"`
	First   bool `json:"first,omitempty"`
	Last    bool `json:"last,omitempty"`
}

func newPresenceEvent(e *channel.PresenceEvent) presenceEvent {
	return presenceEvent{e.Channel, newMember(e.Member), e.Users, e.Clients, e.First, e.Last}
}

// limitOf is how many of something a client gets that asks for limit; 0 is none.
func limitOf(limit *int) int {
	if limit == nil {
		return usuallyReplied
	}
	return max(0, min(*limit, maxReplied))
}

func (c *commands) presence(name string, limit *int) (presenceAnswer, error) {
	n := limitOf(limit)
	if n == 0 {
		n = -1 // the hub's word for none
	}
	p, err := c.client.Presence(name, n)
	return newPresence("", p), err
}

// historyOptions say which messages a client wants to read.
type historyOptions struct {
	After string `json:"after"` // as in subscribeOptions; "": "oldest"
	Limit *int   `json:"limit"` // how many
	Bytes int    `json:"bytes"` // how many bytes of data, about
}

// historyAnswer is a part of a channel's history.
type historyAnswer struct {
	Messages []*channel.Message `json:"messages"`
	*place
	More bool `json:"more"` // there are messages behind this place
}

func (c *commands) history(name string, o historyOptions) (*historyAnswer, error) {
	from, err := query{"after": {o.After}}.from(channel.Oldest())
	if err != nil {
		return nil, err
	}
	bytes := catchUpBytes
	if o.Bytes > 0 {
		bytes = min(o.Bytes, bytes)
	}
	batch, err := c.client.History(name, from, bytes)
	if err != nil {
		return nil, err
	}
	if n := limitOf(o.Limit); len(batch.Messages) > n {
		batch.Next.Offset = batch.Messages[0].Offset - 1 + uint64(n)
		batch.Messages, batch.More = batch.Messages[:n], true
	}
	return &historyAnswer{append([]*channel.Message{}, batch.Messages...), newPlace(batch.Next), batch.More}, nil
}

// rpcAnswer is what the backend answers.
type rpcAnswer struct {
	Data json.RawMessage `json:"data"`
}

func (c *commands) rpc(ctx context.Context, method string, data json.RawMessage) (*rpcAnswer, error) {
	ctx, end := c.server.tracing.begin(ctx, "rpc", trace.SpanKindServer, attrTransport.String(c.client.Transport()))
	answer, err := c.client.RPC(ctx, method, data)
	end(err)
	if err != nil {
		return nil, err
	}
	return &rpcAnswer{answer}, nil
}

// refreshed is the answer to who has given another token.
type refreshed struct {
	Expires int64 `json:"expires,omitempty"` // seconds from now; 0: never
}

func (c *commands) refresh(ctx context.Context, token string) (*refreshed, error) {
	if token == "" {
		return nil, badRequest("invalid_request", "there is no token")
	}
	if !c.refreshes.CompareAndSwap(false, true) {
		return nil, clients.ErrBusy.With("another token is being looked at")
	}
	defer c.refreshes.Store(false)
	ctx, cancel := context.WithTimeout(ctx, c.server.config.HeaderTimeout)
	defer cancel()
	identity, err := c.client.Refresh(ctx, clients.Hello{Token: token})
	if err != nil {
		return nil, err
	}
	return &refreshed{secondsUntil(identity.Expires)}, nil
}

// secondsUntil is 0 for a time that never comes.
func secondsUntil(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, int64(time.Until(t)/time.Second))
}

// background has a command done that waits for others, while the client goes on; done gets what comes of it.
func (c *commands) background(ctx context.Context, do func(context.Context) (any, error), done func(any, error)) {
	if c.underWay.Add(1) > maxUnderWay {
		c.underWay.Add(-1)
		done(nil, clients.ErrBusy)
		return
	}
	go func() {
		defer c.underWay.Add(-1)
		done(do(ctx))
	}()
}

// question is a call as a client gets it.
type question struct {
	ID      string          `json:"id"`
	Method  string          `json:"method"`
	Data    json.RawMessage `json:"data,omitempty"`
	Timeout float64         `json:"timeout"` // seconds that are left for an answer
}

func newQuestion(k clients.Call) question {
	left := max(0, time.Until(k.Deadline))
	return question{k.ID, k.Method, k.Data, left.Round(time.Millisecond).Seconds()}
}

// refusedBy is what a client says that refuses a call, within bounds.
func refusedBy(code, message string) *clients.Refused {
	if code == "" {
		code = "refused"
	}
	cut := func(s string, limit int) string { return strings.ToValidUTF8(s[:min(len(s), limit)], "") }
	return &clients.Refused{Code: cut(code, clients.MaxRefusalCodeBytes), Message: cut(message, clients.MaxRefusalMessageBytes)}
}

// commandError is an error as a client gets it in answer to a command.
type commandError struct {
	errorBody
	*place
}

// newCommandError says how a client is told about err. What is the server's own failure is for the log.
func (s *Server) newCommandError(err error) commandError {
	a := newErrorAnswer(err)
	s.metrics.Refused(toProblem(err).Kind())
	if a.Error.Number == clients.ErrInternal.Number {
		s.log.Error("command failed", "error", err)
	}
	return commandError{a.Error, a.place}
}

// waitForRoom waits until hasRoom, as long as a client may take to accept a part of a stream.
func (s *Server) waitForRoom(ctx context.Context, hasRoom func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.WriteTimeout)
	defer cancel()
	for pause := time.Millisecond; !hasRoom(); pause = min(2*pause, 50*time.Millisecond) {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
	return nil
}
