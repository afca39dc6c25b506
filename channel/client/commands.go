package client

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"baro.dev/channel"
)

type publish struct {
	Channel string  `json:"channel"`
	Data    *string `json:"data,omitempty"`
	Base64  string  `json:"base64,omitempty"`
	Event   string  `json:"event,omitempty"`
	ID      string  `json:"id,omitempty"`
	Key     string  `json:"key,omitempty"`
	Exclude bool    `json:"exclude,omitempty"`
}

type limited struct {
	Channel string `json:"channel"`
	After   string `json:"after,omitempty"`
	Limit   int    `json:"limit"`
}

type question struct {
	Method string          `json:"method"`
	Data   json.RawMessage `json:"data,omitempty"`
}

// Member is a connection that is in a channel.
type Member struct {
	Client string          `json:"client"`
	User   string          `json:"user"`
	Info   json.RawMessage `json:"info"`
	Since  time.Time       `json:"since"`
}

// A PresenceKind is what a [PresenceEvent] tells.
type PresenceKind string

// The kinds.
const (
	Present PresenceKind = "present" // who is there, after each subscribing: Members
	Join    PresenceKind = "join"    // Member has come
	Leave   PresenceKind = "leave"   // Member has gone
)

// PresenceEvent is who is in a channel, who comes or who goes.
type PresenceEvent struct {
	Kind    PresenceKind `json:"-"`
	Channel string       `json:"channel"`
	Member
	First   bool     `json:"first"`   // with Join: it is the user's first connection
	Last    bool     `json:"last"`    // with Leave: it was the user's last
	Users   int      `json:"users"`   // that are there now
	Clients int      `json:"clients"` // that are there now
	Members []Member `json:"members"` // with Present; up to 1000
}

// History is a part of what a channel keeps.
type History struct {
	Messages []channel.Message `json:"messages"`
	Epoch    string            `json:"epoch"`
	Offset   uint64            `json:"offset"` // where the part ends, in Epoch
	More     bool              `json:"more"`   // there are others behind
}

func (s *session) present(e *PresenceEvent, kind PresenceKind) error {
	sub := s.client.subscription(e.Channel)
	if sub == nil || !sub.of(s) || sub.options.OnPresence == nil {
		return nil
	}
	e.Kind = kind
	if !s.client.inbox.push(200+200*len(e.Members), func() { sub.options.OnPresence(*e) }) {
		return errSlow
	}
	return nil
}

// Publish publishes a message, of which Data, Binary, Event, ID, Key and Exclude are taken, and returns its place. It is tried again,
// with the same key, so that it is published once, until the server has answered or ctx is done. Without a key the message gets one. The
// error is that of ctx, with what failed last; an *Error of the server that refuses it; or ErrClosed.
func (c *Client) Publish(ctx context.Context, name string, m channel.Message) (channel.Position, error) {
	if m.Key == "" {
		m.Key = rand.Text()
	}
	p := publish{Channel: name, Event: m.Event, ID: m.ID, Key: m.Key, Exclude: m.Exclude}
	if text := string(m.Data); m.Binary && text != "" {
		p.Base64 = base64.StdEncoding.EncodeToString(m.Data)
	} else {
		p.Data = &text
	}
	for try := 1; ; try++ {
		var at channel.Position
		err := c.once(ctx, frame{Publish: &p}, &at)
		if errors.Is(err, ErrNeedsWebSocket) {
			at, err = c.post(ctx, name, &m)
		}
		if err == nil || lasting(err) && !c.renewed(err) {
			return at, err
		}
		if !pause(ctx, c.set.delay(try, err)) {
			return at, errors.Join(context.Cause(ctx), err)
		}
	}
}

// once asks the server over the WebSocket, which it waits for. result gets the answer. The error is ErrNeedsWebSocket if requests are
// in use instead.
func (c *Client) once(ctx context.Context, f frame, result any) error {
	type reply struct {
		frame
		err error
	}
	got := make(chan reply, 1)
	for {
		c.mu.Lock()
		s, plain, changed, final, last := c.session, c.plain, c.changed, c.final, c.failure
		var err error
		if s != nil {
			err = s.ask(f, func(f frame, err error) { got <- reply{f, err} })
		}
		c.mu.Unlock()
		switch {
		case c.ctx.Err() != nil:
			return ErrClosed
		case final != nil:
			return final
		case err != nil:
			return err
		case s == nil && plain != nil:
			return ErrNeedsWebSocket
		}
		if s != nil {
			break
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), last)
		}
	}
	select {
	case r := <-got:
		if r.err != nil || result == nil {
			return r.err
		}
		if err := json.Unmarshal(r.OK, result); err != nil {
			return violation("an answer: %w", err)
		}
		return nil
	case <-c.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Presence returns who is in a channel: how many, and up to limit members (1000 at most). Over WebSocket only.
func (c *Client) Presence(ctx context.Context, name string, limit int) (PresenceEvent, error) {
	p := PresenceEvent{Kind: Present, Channel: name}
	err := c.once(ctx, frame{Presence: &limited{Channel: name, Limit: limit}}, &p)
	return p, err
}

// History returns up to limit messages (1000 at most) that a channel keeps after a position: "EPOCH:OFFSET", or "oldest".
func (c *Client) History(ctx context.Context, name, after string, limit int) (h History, err error) {
	if limit < 1 || limit > 1000 {
		return h, fmt.Errorf("channel/client: the limit must be 1 to 1000, not %d", limit)
	}
	err = c.once(ctx, frame{History: &limited{name, after, limit}}, &h)
	if errors.Is(err, ErrNeedsWebSocket) {
		var got polled
		if got, err = c.poll(ctx, name, after, 0); err != nil {
			return h, err
		}
		h.More = len(got.Messages) > limit
		h.Messages, h.Epoch, h.Offset = got.Messages[:min(limit, len(got.Messages))], got.Epoch, got.Offset
		if n := len(h.Messages); h.More {
			h.Epoch, h.Offset = h.Messages[n-1].Epoch, h.Messages[n-1].Offset
		}
	}
	return h, err
}

// RPC asks the backend, and decodes its answer into result, which may be nil. It is not tried again. Over WebSocket only.
func (c *Client) RPC(ctx context.Context, method string, data, result any) error {
	q := question{Method: method}
	if data != nil {
		text, err := json.Marshal(data)
		if err != nil {
			return fmt.Errorf("channel/client: %w", err)
		}
		q.Data = text
	}
	var answer struct{ Data json.RawMessage }
	if err := c.once(ctx, frame{RPC: &q}, &answer); err != nil || result == nil || len(answer.Data) == 0 {
		return err
	}
	return json.Unmarshal(answer.Data, result)
}
