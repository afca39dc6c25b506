package channels

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/cli/exit"
)

// Bounds of a batch.
const (
	maxBatch      = 1000
	maxBatchBytes = 8 << 20 // of data, but for a single message
)

// A Result is what became of a message in one channel.
type Result struct {
	Channel   string        `json:"channel"`
	Line      int           `json:"line,omitempty"` // of the input, where there are many
	Offset    uint64        `json:"offset,omitempty"`
	Epoch     string        `json:"epoch,omitempty"`
	ID        string        `json:"id,omitempty"`
	Duplicate bool          `json:"duplicate,omitempty"` // an earlier message had its key: the place is that one's
	Error     *RefusedError `json:"error,omitempty"`
}

// Position is where the message is.
func (r *Result) Position() channel.Position {
	return channel.Position{Epoch: r.Epoch, Offset: r.Offset}
}

// OK says whether it is published.
func (r *Result) OK() bool { return r.Error == nil }

// A Publisher publishes messages.
type Publisher struct {
	Draft
	// API publishes as a backend does. Client as a client; one of them is set.
	API    *API
	Client *client.Client
	// Patience is how long a message is tried again that may have been published, or that the server had no time for.
	Patience time.Duration
	// Told is called with what became of each message, in their order. An error ends it.
	Told func(Result) error

	published, refused int
	failed             *RefusedError // the first
}

// Publish publishes one message. The error has its exit code; what was refused was told before.
func (p *Publisher) Publish(ctx context.Context, data []byte) error {
	if err := p.prepare(); err != nil {
		return err
	}
	data, err := p.Kind.check(data)
	if err != nil {
		return exit.With(exit.Failed, fmt.Errorf("the message: %w", err))
	}
	if err := p.send(ctx, p.messages(data, 0)); err != nil {
		return err
	}
	return p.outcome()
}

// Lines publishes each line of in, as they come. Those that are there at once go in one request. What was published before a line that is
// wrong stays published.
func (p *Publisher) Lines(ctx context.Context, in io.Reader) error {
	if err := p.prepare(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := chunks(ctx, in, p.Kind)
	for next := 1; ; {
		var c chunk
		select {
		case c = <-all:
		case <-ctx.Done():
			return ctx.Err()
		}
		var messages []outgoing
		for _, l := range c.lines {
			next = l.number + 1
			data, err := p.Kind.check(l.data)
			if err != nil {
				return errors.Join(p.send(ctx, messages), fmt.Errorf("line %d: %w", l.number, err))
			}
			messages = append(messages, p.messages(data, l.number)...)
		}
		if err := p.send(ctx, messages); err != nil {
			return err
		}
		switch {
		case errors.Is(c.err, io.EOF):
			return p.outcome()
		case c.err != nil:
			return fmt.Errorf("line %d: %w", next, c.err)
		}
	}
}

func (p *Publisher) prepare() error {
	p.Key = cmp.Or(p.Key, rand.Text())
	if err := p.validate(); err != nil {
		return exit.With(exit.Usage, err)
	}
	return nil
}

// outcome says whether all was well: what was refused altogether is the server's refusal, what was so in part a failure.
func (p *Publisher) outcome() error {
	switch {
	case p.refused == 0:
		return nil
	case p.published > 0:
		return exit.With(exit.Failed, fmt.Errorf("%d of %d messages were refused; the first: %w", p.refused, p.refused+p.published, p.failed))
	}
	return exit.With(exit.Refused, p.failed)
}

// send publishes messages, and tells what became of them.
func (p *Publisher) send(ctx context.Context, all []outgoing) error {
	for len(all) > 0 {
		n, bytes := 0, 0
		for n < len(all) && n < maxBatch && (n == 0 || bytes+len(all[n].data) <= maxBatchBytes) {
			bytes += len(all[n].data)
			n++
		}
		results, err := p.batch(ctx, all[:n])
		for _, r := range results {
			if r.Error == nil {
				p.published++
			} else if p.refused++; p.failed == nil {
				p.failed = r.Error
			}
			if err := p.Told(r); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// batch publishes a few messages at once, and tries those again that the server had no time for, or may not have got.
func (p *Publisher) batch(ctx context.Context, all []outgoing) ([]Result, error) {
	if p.Client != nil {
		return p.byClient(ctx, all)
	}
	results := make([]Result, len(all))
	waiting := make([]int, len(all)) // those that have no result yet, by their places
	for i := range all {
		waiting[i] = i
		results[i] = Result{Channel: all[i].Channel, Line: all[i].line}
	}
	until := time.Now().Add(p.Patience)
	for try := 1; ; try++ {
		err := p.once(ctx, all, &waiting, results)
		if err == nil && len(waiting) == 0 {
			return results, nil
		}
		why := err
		if err == nil {
			why = results[waiting[0]].Error
		}
		wait, again := p.pause(try, why)
		if !again || time.Now().Add(wait).After(until) {
			return results[:done(results, waiting, err)], err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// done is how many results there are to tell: up to the first message of which nobody knows, if the request failed.
func done(results []Result, waiting []int, err error) int {
	if err == nil || len(waiting) == 0 {
		return len(results)
	}
	return waiting[0]
}

// once publishes what waits. What may be tried again goes on waiting.
func (p *Publisher) once(ctx context.Context, all []outgoing, waiting *[]int, results []Result) error {
	var body struct {
		Messages []outgoing `json:"messages"`
	}
	for _, i := range *waiting {
		body.Messages = append(body.Messages, all[i])
	}
	var answer struct{ Results []Result }
	if err := p.API.ask(ctx, "batch", body, &answer); err != nil {
		return err
	}
	if len(answer.Results) != len(*waiting) {
		return exit.With(exit.Refused, fmt.Errorf("%d messages have %d results: that is not the API", len(*waiting), len(answer.Results)))
	}
	left := (*waiting)[:0:0]
	for n, i := range *waiting {
		r := answer.Results[n]
		r.Channel, r.Line = all[i].Channel, all[i].line
		results[i] = r
		if r.Error != nil && r.Error.temporary() {
			left = append(left, i)
		}
	}
	*waiting = left
	return nil
}

// pause is how long to wait before a message is tried again, and whether it is. Who was never reached is not tried again.
func (p *Publisher) pause(try int, err error) (time.Duration, bool) {
	r, refused := errors.AsType[*RefusedError](err)
	switch {
	case refused && !r.temporary():
		return 0, false
	case !refused && exit.Code(err) != exit.Broken && (exit.Code(err) != exit.Unreachable || p.published == 0):
		return 0, false
	}
	d := min(100*time.Millisecond<<min(try-1, 6), 5*time.Second)
	d = d/2 + mrand.N(d/2+1) //nolint:gosec // no secret
	if refused {
		d = max(d, r.After)
	}
	return d, true
}

// byClient publishes one after another, as the order asks for.
func (p *Publisher) byClient(ctx context.Context, all []outgoing) (results []Result, err error) {
	for i := range all {
		m := &all[i]
		within, cancel := context.WithTimeoutCause(ctx, p.Patience, errPatience)
		at, err := p.Client.Publish(within, m.Channel, channel.Message{
			Data: m.data, Binary: m.Base64 != nil, Event: m.Event, ID: m.ID, Key: m.Key, Exclude: m.Exclude != "",
		})
		cancel()
		r := Result{Channel: m.Channel, Line: m.line, Offset: at.Offset, Epoch: at.Epoch, ID: cmp.Or(m.ID, at.String())}
		if err != nil {
			e := new(client.Error)
			if errors.Is(err, errPatience) || !errors.As(err, &e) {
				return results, failedClient(ctx, err)
			}
			r = Result{Channel: m.Channel, Line: m.line, Error: &RefusedError{Code: e.Code, Number: e.Number, Message: e.Message}}
		}
		results = append(results, r)
	}
	return results, nil
}

var errPatience = errors.New("there was no answer in time")
