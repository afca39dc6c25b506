package natsbroker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// A call is a request that waits for its answers.
type call struct {
	begun    time.Time
	deadline time.Time
	answer   func(m *nats.Msg) (last bool) // m is nil: it was not answered in time
}

// calls are the requests of a broker: all are answered on one subject with a number at its end, by one goroutine.
type calls struct {
	nc     *nats.Conn
	try    func(func()) bool // has something done that may wait for the connection
	again  func()            // called before anything is published on a connection that was away
	links  uint64            // how often it was; of who does what may wait for it
	inbox  string            // with the dot before the number
	sub    *nats.Subscription
	mu     sync.Mutex
	number uint64
	open   map[uint64]call
	within time.Duration // how long the next one waits
}

func newCalls(nc *nats.Conn, try func(func()) bool, again func()) (*calls, error) {
	c := &calls{nc: nc, try: try, again: again, links: nc.Stats().Reconnects, inbox: nats.NewInbox() + ".", open: make(map[uint64]call), within: answerIn}
	var err error
	c.sub, err = nc.Subscribe(c.inbox+"*", c.answered)
	return c, err
}

// answerIn is how long a record waits for its acknowledgement before it is sent again, and a question for its answer: a record cannot be there
// twice, since it names what it is put after. Where the way is slow it is longer, up to answerMost: who is asked again and again gets slower
// by that, and an answer that comes late is for nobody.
const answerIn, answerMost = time.Second, 3 * time.Second

// begin notes a call, and gives the subject where it is to be answered.
func (c *calls) begin(answer func(*nats.Msg) bool) (reply string, number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number++
	now := time.Now()
	c.open[c.number] = call{begun: now, deadline: now.Add(c.within), answer: answer}
	return c.inbox + strconv.FormatUint(c.number, 10), c.number
}

// take ends a call; false where it has ended.
func (c *calls) take(number uint64) (call, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting, ok := c.open[number]
	delete(c.open, number)
	return waiting, ok
}

func (c *calls) answered(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, c.inbox), 10, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	waiting, ok := c.open[number]
	if ok {
		c.within = min(max(answerIn, 3*time.Since(waiting.begun), c.within-c.within/16), answerMost)
	}
	c.mu.Unlock()
	if ok && waiting.answer(m) {
		c.take(number)
	}
}

// expire ends the calls that were not answered in time.
func (c *calls) expire(now time.Time) {
	var late []uint64
	c.mu.Lock()
	for number, waiting := range c.open {
		if now.After(waiting.deadline) {
			late = append(late, number)
		}
	}
	if len(late) > 0 {
		c.within = min(2*c.within, answerMost)
	}
	c.mu.Unlock()
	for _, number := range late {
		if waiting, ok := c.take(number); ok {
			waiting.answer(nil)
		}
	}
}

// ask sends a request and waits for its answers: each is given to f, until that says that it was the last.
func (c *calls) ask(ctx context.Context, subject string, request any, f func(m *nats.Msg) (last bool)) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	var mu sync.Mutex // the caller may have gone when an answer comes
	gone := false
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		gone = true
	}()
	reply, number := c.begin(func(m *nats.Msg) bool {
		mu.Lock()
		defer mu.Unlock()
		if gone {
			return true
		}
		if m == nil {
			done <- fmt.Errorf("%w: no answer", errNobody)
			return true
		}
		if m.Header.Get("Status") == "503" {
			done <- fmt.Errorf("%w: nobody answers for the stream", errNobody)
			return true
		}
		if last := f(m); !last {
			return false
		}
		done <- nil
		return true
	})
	defer c.take(number)
	if !c.try(func() {
		if err := c.publish(&nats.Msg{Subject: subject, Reply: reply, Data: body}); err != nil {
			if _, ok := c.take(number); ok {
				done <- err
			}
		}
	}) {
		return errNobody
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrAway, context.Cause(ctx))
	}
}

// notice says that the connection was away.
func (c *calls) notice() {
	if links := c.nc.Stats().Reconnects; links != c.links {
		c.links = links
		c.again()
	}
}

// publish sends m, unless that would wait for a connection. It may wait for the server to read.
func (c *calls) publish(m *nats.Msg) error {
	if !c.nc.IsConnected() {
		return fmt.Errorf("%w: no connection", errNobody)
	}
	c.notice()
	if err := c.nc.PublishMsg(m); err != nil {
		return fmt.Errorf("%w: %w", errNobody, err)
	}
	return nil
}

// errNobody is an ErrAway that may soon be over: it is asked again.
var errNobody = fmt.Errorf("%w for a moment", ErrAway)

// retry calls f until it has an answer, or ctx ends.
func retry(ctx context.Context, f func() error) error {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		err := f()
		if !errors.Is(err, errNobody) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}
