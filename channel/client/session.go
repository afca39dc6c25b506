package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"baro.dev/channel"
	"baro.dev/ws"
)

// frame is what goes over the WebSocket, either way: docs/ws-protocol.md.
type frame struct {
	ID          uint64        `json:"id,omitempty"`
	Connect     *struct{}     `json:"connect,omitempty"`
	Subscribe   *subscribe    `json:"subscribe,omitempty"`
	Unsubscribe *named        `json:"unsubscribe,omitempty"`
	Publish     *publish      `json:"publish,omitempty"`
	Presence    *limited      `json:"presence,omitempty"`
	History     *limited      `json:"history,omitempty"`
	RPC         *question     `json:"rpc,omitempty"`
	Refresh     *refresh      `json:"refresh,omitempty"`
	Answer      *answerOfCall `json:"answer,omitempty"`

	OK           json.RawMessage `json:"ok,omitempty"`
	Error        *Error          `json:"error,omitempty"`
	Connected    *welcome        `json:"connected,omitempty"`
	Message      json.RawMessage `json:"message,omitempty"`
	Present      *PresenceEvent  `json:"present,omitempty"`
	Join         *PresenceEvent  `json:"join,omitempty"`
	Leave        *PresenceEvent  `json:"leave,omitempty"`
	Unsubscribed *unsubscribed   `json:"unsubscribed,omitempty"`
	Disconnect   *disconnect     `json:"disconnect,omitempty"`
	Call         *askedCall      `json:"call,omitempty"`
}

type named struct {
	Channel string `json:"channel"`
}

type subscribe struct {
	Channel  string `json:"channel"`
	After    string `json:"after,omitempty"`
	Presence bool   `json:"presence,omitempty"`
}

type welcome struct {
	Client  string  `json:"client"`
	Expires float64 `json:"expires"`
}

type refresh struct {
	Token string `json:"token"`
}

type unsubscribed struct {
	Channel string `json:"channel"`
	Error   Error  `json:"error"`
}

type disconnect struct {
	Error
	After float64 `json:"after"`
}

// A session is one WebSocket. The goroutine of the client reads; mu of the client guards what is below it.
type session struct {
	client  *Client
	conn    *ws.Conn
	welcome welcome
	ctx     context.Context
	end     context.CancelCauseFunc

	lastID uint64
	asked  map[uint64]func(frame, error) // must not wait
	after  time.Duration                 // when to come back, if the server has said so
}

// dial opens a WebSocket, and waits until the server has let the client in.
func (c *Client) dial() (*session, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.set.Timeout)
	defer cancel()
	h, err := c.authorization(ctx)
	if err != nil {
		return nil, err
	}
	u := *c.set.base
	u.Path += "ws"
	conn, resp, err := ws.Dial(ctx, u.String(), &ws.DialOptions{
		Header: h, TLS: c.set.TLS, Proxy: c.set.Proxy, DialContext: c.set.DialContext, Compression: c.set.Compression,
		Limits: ws.Limits{MaxMessageSize: c.set.MaxMessage, HandshakeTimeout: c.set.Timeout, CloseTimeout: c.set.Timeout},
		Queue:  ws.Queue{MaxBytes: int(c.set.MaxMessage) + c.set.MaxBuffered},
	})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			body, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // what came is what there is to say
			err = fmt.Errorf("%w (%w)", refusal(resp.StatusCode, resp.Header, body), err)
		}
		return nil, err
	}
	s := &session{client: c, conn: conn, asked: map[uint64]func(frame, error){}}
	if s.welcome, err = s.enter(ctx, h.Get("Authorization") == ""); err != nil {
		_ = conn.CloseNow()
		return nil, err
	}
	s.ctx, s.end = context.WithCancelCause(c.ctx)
	return s, nil
}

// silence is how long a server may say nothing to who shows no token, until it is asked why.
const silence = time.Second

// enter waits until the server lets the client in. A server that wants a token waits for the command connect where there is none: then it is
// sent, for the server to say so.
func (s *session) enter(ctx context.Context, nobody bool) (w welcome, err error) {
	if nobody {
		s.lastID++
		ask, err := json.Marshal(frame{ID: s.lastID, Connect: &struct{}{}})
		if err != nil {
			return w, err
		}
		defer time.AfterFunc(silence, func() { _ = s.conn.Send(ws.Text, ask) }).Stop() // or it has ended
	}
	f, err := s.read(ctx)
	switch {
	case err != nil:
	case f.Connected != nil:
		return *f.Connected, nil
	case f.Error != nil && nobody && f.ID == s.lastID:
		err = f.Error
	case f.OK != nil && nobody && f.ID == s.lastID:
		if err = json.Unmarshal(f.OK, &w); err != nil {
			err = violation("the answer to connect: %w", err)
		}
	default:
		err = violation("it begins with something else than connected")
	}
	return w, err
}

func (s *session) read(ctx context.Context) (f frame, err error) {
	m, err := s.conn.Read(ctx)
	if err != nil {
		return f, closed(err)
	}
	if err := json.Unmarshal(m.Data, &f); err != nil || m.Type != ws.Text {
		return f, violation("a frame that is not JSON: %w", err)
	}
	return f, nil
}

// serve reads until the connection ends.
func (s *session) serve() error {
	c := s.client
	c.mu.Lock()
	c.session = s
	for _, sub := range c.subs {
		s.subscribe(sub)
	}
	c.mu.Unlock()
	c.become(WebSocket, nil)
	s.renew(s.welcome.Expires)
	err := s.receiveAll()
	s.end(err)
	_ = s.conn.CloseNow()
	c.mu.Lock()
	c.session = nil
	asked := s.asked
	s.asked = nil
	c.mu.Unlock()
	why := ErrLost
	if ws.CloseStatus(err) == ws.StatusMessageTooBig {
		why = &Error{Code: "too_large", Number: 1506, Message: "the server takes no frame of that size"}
	}
	for _, f := range asked {
		f(frame{}, why)
	}
	if s.after > 0 && !lasting(err) {
		err = &Error{Code: "stopping", Number: 1003, Message: err.Error(), After: s.after}
	}
	c.become("", err)
	return err
}

func (s *session) receiveAll() error {
	for {
		f, err := s.read(s.ctx)
		if why := context.Cause(s.ctx); why != nil {
			return why
		}
		if err != nil {
			return err
		}
		if err := s.receive(f); err != nil {
			return err
		}
	}
}

func (s *session) receive(f frame) error {
	c := s.client
	switch {
	case f.ID != 0:
		c.mu.Lock()
		then := s.asked[f.ID]
		delete(s.asked, f.ID)
		c.mu.Unlock()
		switch {
		case then == nil:
		case f.Error != nil:
			then(f, f.Error)
		default:
			then(f, nil)
		}
	case f.Message != nil:
		return s.message(f.Message)
	case f.Present != nil:
		return s.present(f.Present, Present)
	case f.Join != nil:
		return s.present(f.Join, Join)
	case f.Leave != nil:
		return s.present(f.Leave, Leave)
	case f.Unsubscribed != nil:
		if sub := c.subscription(f.Unsubscribed.Channel); sub != nil {
			return s.resume(sub, &f.Unsubscribed.Error)
		}
	case f.Disconnect != nil:
		s.after = min(time.Duration(f.Disconnect.After*float64(time.Second)), maxAfter)
	case f.Call != nil:
		c.asked(*f.Call)
	}
	return nil
}

func (s *session) message(text []byte) error {
	var to named
	m := new(channel.Message)
	if err := json.Unmarshal(text, &to); err != nil {
		return violation("a message: %w", err)
	}
	if err := m.UnmarshalJSON(text); err != nil {
		return violation("a message: %w", err)
	}
	if sub := s.client.subscription(to.Channel); sub != nil && sub.of(s) && !sub.take(m) {
		return errSlow
	}
	return nil
}

// say sends a frame. The caller holds the client's mu.
func (s *session) say(f frame) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return s.conn.Send(ws.Text, text)
}

// ask sends a frame whose answer then is called with, unless there is an error. The caller holds the client's mu; then is called without.
func (s *session) ask(f frame, then func(frame, error)) error {
	if s.asked == nil {
		return ErrLost
	}
	s.lastID++
	f.ID = s.lastID
	if err := s.say(f); err != nil {
		return err
	}
	s.asked[f.ID] = then
	return nil
}

// subscribe subscribes as soon as there is room for what comes. The caller holds the client's mu.
func (s *session) subscribe(sub *Subscription) {
	room := s.client.inbox.roomy()
	select {
	case <-room:
		s.subscribeNow(sub)
	default:
		s.client.work.Go(func() {
			select {
			case <-room:
			case <-s.ctx.Done():
				return
			}
			s.client.mu.Lock()
			defer s.client.mu.Unlock()
			if s.client.session == s && s.client.subs[sub.name] == sub { // it may have been closed
				s.subscribeNow(sub)
			}
		})
	}
}

func (s *session) subscribeNow(sub *Subscription) {
	f := frame{Subscribe: &subscribe{Channel: sub.name, After: sub.after(), Presence: sub.options.OnPresence != nil}}
	err := s.ask(f, func(f frame, err error) {
		if err != nil {
			if err := s.resume(sub, err); err != nil {
				s.end(err)
			}
			return
		}
		var at struct {
			Epoch  string
			Offset uint64
		}
		if err := json.Unmarshal(f.OK, &at); err != nil {
			s.end(violation("the answer to subscribe: %w", err))
			return
		}
		sub.answered(s)
		sub.begins(channel.Position{Epoch: at.Epoch, Offset: at.Offset})
	})
	if err != nil {
		s.end(err)
	}
}

// resume subscribes again where that helps, or ends the subscription.
func (s *session) resume(sub *Subscription, err error) error {
	select {
	case <-s.ctx.Done():
		return nil // with the session its subscriptions begin anew
	default:
	}
	c := s.client
	wait := max(c.set.delay(1, err), after(err))
	if at, ok := gone(err); ok {
		if !sub.lost(at) {
			return errSlow
		}
		wait = 0
	} else if lasting(err) {
		c.unsubscribe(sub, err, false)
		return nil
	}
	c.work.Go(func() {
		if !pause(s.ctx, wait) {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.session == s && c.subs[sub.name] == sub {
			s.subscribe(sub)
		}
	})
	return nil
}

// renew has the token replaced when most of its time is over.
func (s *session) renew(expires float64) {
	c := s.client
	if expires <= 0 || c.set.Token == nil {
		return
	}
	wait := time.Duration(min(expires, 1e6)*0.8*float64(time.Second)) + time.Millisecond
	c.work.Go(func() {
		if !pause(s.ctx, wait) {
			return
		}
		token, err := c.set.Token(s.ctx)
		if err != nil {
			c.set.Logger.Debug("no new token", "error", err) // the server will say when it has expired
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.token = token
		_ = s.ask(frame{Refresh: &refresh{token}}, func(f frame, err error) { // or it has ended
			var w welcome
			if err == nil && json.Unmarshal(f.OK, &w) == nil {
				s.renew(w.Expires)
			}
		})
	})
}
