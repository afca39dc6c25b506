package connection

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"baro.dev/channel"
)

// poll is a link of requests, one after the other. Of a channel of baro serve an answer has messages, and where to go on; any other answer that
// has a body is a message itself, if it is not the same as the one before.
type poll struct {
	*requests
	long     bool
	after    string
	interval time.Duration
	next     time.Time // not to ask before
	resp     atomic.Pointer[http.Response]
	etag     string
	last     []byte
	quick    int       // answers in a row that brought nothing, and did not wait
	waiting  []Message // each with data of its own
	answers  chan answer
	asking   bool
}

type answer struct {
	resp *http.Response
	text []byte
	err  error
	took time.Duration
}

// pollFloor is the shortest time between two requests of which the first has brought nothing: a server may not wait.
const pollFloor = 500 * time.Millisecond

func (d *dialer) poll(ctx context.Context, p Protocol, from resume) (link, error) {
	l := &poll{
		requests: d.requests(ctx), long: p == LongPolling, after: from.id, answers: make(chan answer, 1),
		interval: cmp.Or(d.Interval, defaultInterval),
	}
	if l.long && !isChannel(l.url) {
		return l, nil // the first answer may take long
	}
	defer context.AfterFunc(ctx, l.cancel)()
	a := l.ask(l.after, "")
	err := a.err
	if err == nil {
		err = l.take(a)
	}
	if err != nil {
		l.end()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, gone(err)
	}
	return l, nil
}

func (l *poll) receive(ctx context.Context) (Message, error) {
	for {
		if len(l.waiting) > 0 {
			m := l.waiting[0]
			l.waiting = l.waiting[1:]
			return m, nil
		}
		a, err := l.answer(ctx)
		if err == nil {
			err = l.take(a)
		}
		if err != nil {
			return Message{}, err
		}
	}
}

// answer asks, when it is time to, and waits for the answer.
func (l *poll) answer(ctx context.Context) (answer, error) {
	if !l.asking {
		if err := l.pause(ctx); err != nil {
			return answer{}, err
		}
		l.asking = true
		after, etag := l.after, l.etag
		go func() { l.answers <- l.ask(after, etag) }()
	}
	var a answer
	select {
	case a = <-l.answers:
	default:
		select {
		case a = <-l.answers:
		case <-ctx.Done():
			return answer{}, context.Cause(ctx)
		}
	}
	l.asking = false
	return a, gone(a.err)
}

// pause waits until it is time to ask.
func (l *poll) pause(ctx context.Context) error {
	wait := time.Until(l.next)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-l.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ask sends a request.
func (l *poll) ask(after, etag string) answer {
	began := time.Now()
	u := *l.url
	wait := time.Duration(0)
	if l.long {
		wait = cmp.Or(l.d.Wait, defaultWait)
	}
	if isChannel(&u) {
		q := u.Query()
		q.Set("after", cmp.Or(after, q.Get("after"), "now"))
		if at := q.Get("after"); wait > 0 && at != "now" && at != "oldest" { // otherwise to know a position soon
			q.Set("wait", wait.String())
		}
		u.RawQuery = q.Encode()
	}
	limit := l.d.Target.Timeout + wait
	ctx, cancel := context.WithTimeoutCause(l.ctx, limit, fmt.Errorf("no answer within %s: %w", limit, context.DeadlineExceeded))
	defer cancel()
	header := map[string]string{"Accept": "application/json, */*;q=0.5", "Cache-Control": "no-store", "If-None-Match": etag}
	resp, err := l.do(ctx, http.MethodGet, &u, nil, header, http.StatusNotModified)
	if err != nil {
		return answer{err: err}
	}
	defer context.AfterFunc(ctx, func() { resp.Body.Close() })()
	text, err := l.whole(resp)
	if err != nil && ctx.Err() != nil {
		err = broken(context.Cause(ctx))
	}
	return answer{resp, text, err, time.Since(began)}
}

// take makes messages of an answer.
func (l *poll) take(a answer) error {
	l.resp.Store(a.resp)
	if isChannel(l.url) {
		if err := l.batch(a.text); err != nil {
			return err
		}
	} else if fresh := a.resp.StatusCode != http.StatusNotModified && len(a.text) > 0; fresh && (l.long || !bytes.Equal(a.text, l.last)) {
		l.etag = a.resp.Header.Get("ETag")
		l.last = a.text
		l.waiting = append(l.waiting, Message{Data: a.text})
	}
	if len(l.waiting) > 0 || a.took > pollFloor {
		l.quick = 0
	} else {
		l.quick++
	}
	switch {
	case !l.long:
		l.next = time.Now().Add(l.interval)
	case l.quick > 1:
		l.next = time.Now().Add(pollFloor)
	}
	return nil
}

// batch is the answer of a channel.
func (l *poll) batch(text []byte) error {
	var b struct {
		Messages []channel.Message
		Next     string
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return broken(fmt.Errorf("the answer is none of a channel: %w", err))
	}
	if _, err := channel.ParsePosition(b.Next); err != nil || b.Next == "" {
		return broken(errors.New("the answer is none of a channel: it does not say where to go on"))
	}
	l.after = b.Next
	for i := range b.Messages {
		m := &b.Messages[i]
		kind := Text
		if m.Binary {
			kind = Binary
		}
		l.waiting = append(l.waiting, Message{Kind: kind, Event: m.Event, Data: m.Data, ID: m.Position().String()})
	}
	return nil
}

// resume says where it has come to: an answer without messages says so, too.
func (l *poll) resume() resume { return resume{id: l.after} }

func (l *poll) info(i *Info) {
	i.Protocol = Polling
	if l.long {
		i.Protocol = LongPolling
	}
	l.describe(i, l.resp.Load()) //nolint:bodyclose // it has been read
}
