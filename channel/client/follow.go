package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"baro.dev/channel"
)

const (
	longWait     = 25 * time.Second // of a long poll
	streamSilent = 90 * time.Second // after which a stream is broken: the server says something every 25 s
	failures     = 2                // in a row, after which a transport does not pass
)

// errBlocked is that a transport does not seem to pass.
var errBlocked = errors.New("channel/client: it does not pass")

// transport is the best that is not known to fail, of those over HTTP. The caller holds mu.
func (c *Client) transport() Transport {
	last := Polling
	for _, t := range c.set.Transports {
		if t == WebSocket {
			continue
		}
		if !c.failing[t] {
			return t
		}
		last = t
	}
	return last
}

// follow has a channel followed by requests. The caller holds mu.
func (c *Client) follow(s *Subscription) {
	r := c.plain
	ctx, cancel := context.WithCancel(r.ctx)
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	r.all.Go(func() {
		defer cancel()
		c.followAll(ctx, s)
	})
}

func (c *Client) followAll(ctx context.Context, s *Subscription) {
	blocked := 0
	for try := 1; ctx.Err() == nil; try++ {
		c.mu.Lock()
		t := c.transport()
		c.mu.Unlock()
		some, err := c.followOnce(ctx, s, t)
		if some {
			try, blocked = 1, 0
		}
		if err == nil || ctx.Err() != nil {
			try = 0
			continue
		}
		if at, ok := gone(err); ok {
			c.push(ctx, func() bool { return s.lost(at) })
			continue
		}
		if lasting(err) && !c.renewed(err) {
			c.unsubscribe(s, err, false)
			return
		}
		if errors.Is(err, errBlocked) {
			if blocked++; blocked >= failures {
				blocked = 0
				c.fails(ctx, s, t)
			}
		}
		c.set.Logger.Debug("not followed", "channel", s.name, "transport", t, "error", err)
		pause(ctx, c.set.delay(try, err))
	}
}

// fails has a transport not be used any more, if what is below it passes.
func (c *Client) fails(ctx context.Context, s *Subscription, t Transport) {
	if _, err := c.poll(ctx, s.name, cmp.Or(s.after(), "now"), 0); err != nil {
		return
	}
	c.mu.Lock()
	c.failing[t] = true
	next := c.transport()
	if next == t {
		delete(c.failing, t)
	}
	used := c.plain != nil
	c.mu.Unlock()
	if used && next != t {
		c.become(next, nil)
	}
}

// push waits until there is room for what take takes.
func (c *Client) push(ctx context.Context, take func() bool) {
	for ctx.Err() == nil && !take() {
		select {
		case <-c.inbox.roomy():
		case <-ctx.Done():
		}
	}
}

// followOnce does one request; some says whether anything came.
func (c *Client) followOnce(ctx context.Context, s *Subscription, t Transport) (some bool, err error) {
	if t == EventStream {
		return c.stream(ctx, s)
	}
	wait := time.Duration(0)
	if t == LongPolling {
		wait = longWait
	}
	from := cmp.Or(s.after(), "now")
	if from == "now" || from == "oldest" {
		wait = 0 // to know a position soon
	}
	began := time.Now()
	p, err := c.poll(ctx, s.name, from, wait)
	if err != nil {
		if wait > 0 && time.Since(began) > time.Second && ctx.Err() == nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				err = fmt.Errorf("%w: %w", errBlocked, err) // something does not wait so long
			}
		}
		return false, err
	}
	for i := range p.Messages {
		c.push(ctx, func() bool { return s.take(&p.Messages[i]) })
	}
	if ctx.Err() == nil {
		s.reached(channel.Position{Epoch: p.Epoch, Offset: p.Offset})
	}
	if t == Polling {
		pause(ctx, c.set.PollInterval)
	}
	return true, nil
}

// reached is that there is nothing before a position that has not been handed on.
func (s *Subscription) reached(p channel.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.began:
		s.start(p)
	case p.Epoch == s.last.Epoch && p.Offset > s.last.Offset:
		s.last = p
	}
}

// stream reads an event stream until it ends.
func (c *Client) stream(ctx context.Context, s *Subscription) (some bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(c.set.Timeout, func() { cancel(errBlocked) })
	defer watch.Stop()
	query := url.Values{"format": {"json"}}
	if from := s.after(); from != "" {
		query.Set("after", from)
	}
	resp, err := c.do(ctx, http.MethodGet, s.name, query, nil, "Accept", "text/event-stream")
	if err != nil {
		return false, errors.Join(err, context.Cause(ctx))
	}
	defer resp.Body.Close()
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" {
		return false, fmt.Errorf("%w: the answer is %q", errBlocked, kind)
	}
	lines := bufio.NewReader(resp.Body)
	var e event
	var leave time.Duration // when to come back, once the server has said that it goes
	for {
		line, err := readLine(lines, c.set.MaxMessage)
		if err != nil {
			if leave > 0 {
				err = &Error{Code: "stopping", Number: 1003, Message: "the server stops", After: leave}
			}
			return some, errors.Join(err, context.Cause(ctx))
		}
		some = true
		watch.Reset(streamSilent)
		if len(line) > 0 {
			if err := e.field(line, c.set.MaxMessage); err != nil {
				return some, err
			}
			continue
		}
		if err := c.happened(ctx, s, &e); err != nil {
			return some, err
		}
		if e.id == "" && e.data == nil && e.retry > 0 {
			leave = e.retry
		}
		e = event{}
	}
}

// event is one of server-sent events (HTML, "server-sent events").
type event struct {
	name, id string
	data     []byte
	retry    time.Duration
}

func (e *event) field(line []byte, limit int64) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		e.name = string(value)
	case "id":
		e.id = string(value)
	case "data":
		if int64(len(e.data)+len(value)) > limit {
			return violation("an event has more than %d bytes", limit)
		}
		e.data = append(append(e.data, value...), '\n')
	case "retry":
		if ms, err := strconv.Atoi(string(value)); err == nil && ms >= 0 {
			e.retry = min(time.Duration(ms)*time.Millisecond, maxAfter)
		}
	}
	return nil
}

// happened does what an event says.
func (c *Client) happened(ctx context.Context, s *Subscription, e *event) error {
	at, _ := channel.ParsePosition(e.id)
	switch {
	case e.name == "baro.reset":
		c.push(ctx, func() bool { return s.lost(at) })
	case e.name == "baro.refused":
		err := refusal(http.StatusServiceUnavailable, http.Header{}, e.data)
		if said, ok := errors.AsType[*Error](err); ok {
			said.After = e.retry
		}
		return err
	case len(e.data) > 0:
		m := new(channel.Message)
		if err := json.Unmarshal(e.data, m); err != nil {
			return violation("an event: %w", err)
		}
		c.push(ctx, func() bool { return s.take(m) })
	case e.id != "":
		s.begins(at)
	}
	return nil
}

// readLine reads a line, without its end, that is not longer than limit.
func readLine(r *bufio.Reader, limit int64) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if int64(len(line)+len(part)) > limit {
			return nil, violation("a line has more than %d bytes", limit)
		}
		line = append(line, part...)
		if err == nil {
			return bytes.TrimRight(line, "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("channel/client: %w", err)
		}
	}
}
