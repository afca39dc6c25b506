package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/channel"
	"baro.dev/internal/cluster/redislink"
)

// lane is a server, and the channels that have something for it. Its workers exist while there are some.
type lane struct {
	b      *Broker
	client *redis.Client

	failure atomic.Pointer[failure] // of the last pipeline; nil: none

	loaded atomic.Bool // the server has the script, as far as anybody knows

	mu      sync.Mutex
	ready   []*appender
	workers int
}

// failure is why Redis did not take a pipeline, and when.
type failure struct {
	error
	at time.Time
}

// A pipeline is at most this long.
const (
	maxPipeline      = 256
	maxPipelineBytes = 1 << 20
)

// The first and the longest pause after which a lane tries again what Redis has refused, or could not be told.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// send hands a channel that has something to the lane of its server.
func (b *Broker) send(a *appender) {
	if c, ok := b.client.(*redis.Client); ok {
		b.lane(c).add(a)
		return
	}
	b.routing.add(b, a)
}

func (b *Broker) lane(c *redis.Client) *lane {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lanes[c]
	if l == nil {
		l = &lane{b: b, client: c}
		b.lanes[c] = l
	}
	return l
}

func (l *lane) add(some ...*appender) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = append(l.ready, some...)
	for l.workers < min(l.b.o.Pipelines, len(l.ready)) {
		l.workers++
		l.b.done.Go(l.work)
	}
}

// take gives some of the channels that are ready; none ends the worker.
func (l *lane) take() []*appender {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.ready), maxPipeline)
	if n == 0 {
		l.workers--
		return nil
	}
	some := append([]*appender(nil), l.ready[:n]...)
	clear(l.ready[:n])
	if l.ready = l.ready[n:]; len(l.ready) == 0 {
		l.ready = nil
	}
	return some
}

// cart is a batch of a channel in a pipeline.
type cart struct {
	a     *appender
	batch []*waiting
	cmd   *redis.Cmd
}

func (l *lane) work() {
	pause := firstPause
	for some := l.take(); some != nil; some = l.take() {
		carts, rest := l.load(some)
		if len(rest) > 0 {
			l.add(rest...)
		}
		if len(carts) == 0 {
			continue
		}
		if l.exec(carts) {
			pause = firstPause
			continue
		}
		select {
		case <-time.After(pause):
		case <-l.b.ctx.Done():
		}
		pause = min(2*pause, lastPause)
	}
}

// load cuts the batches of channels, as many as go into one pipeline.
func (l *lane) load(some []*appender) (carts []*cart, rest []*appender) {
	now, size := time.Now(), 0
	for i, a := range some {
		if size > maxPipelineBytes {
			return carts, some[i:]
		}
		batch, failed := l.b.cut(a, now)
		l.b.fail(failed, fmt.Errorf("%w: %w", ErrAway, l.why()))
		if len(batch) == 0 {
			if l.b.release(a, now) {
				l.add(a)
			}
			continue
		}
		for _, w := range batch {
			size += len(w.body)
		}
		carts = append(carts, &cart{a: a, batch: batch})
	}
	return carts, nil
}

// exec sends a pipeline, and says whether Redis took it.
func (l *lane) exec(carts []*cart) bool {
	ctx, cancel := context.WithTimeout(context.Background(), l.b.o.Timeout)
	defer cancel()
	pipe := l.client.Pipeline()
	for i, c := range carts {
		run := l.b.scripts.append.EvalSha
		if i == 0 && !l.loaded.Swap(true) { // the others find it there
			run = l.b.scripts.append.Eval
		}
		c.cmd = run(ctx, pipe, l.b.keys(c.a.name), l.b.args(c.a, c.batch)...)
	}
	var replicas *redis.Cmd
	if l.b.o.Replicas > 0 {
		replicas = pipe.Do(ctx, "WAIT", l.b.o.Replicas, (l.b.o.Timeout * 3 / 4).Milliseconds())
	}
	_, err := pipe.Exec(ctx)
	for _, c := range carts {
		if c.cmd.Err() == nil && c.cmd.Val() == nil && err != nil { // not one was given: who connects was refused
			c.cmd.SetErr(err)
		}
	}
	return l.settle(carts, replicas)
}

// settle tells what became of a pipeline.
func (l *lane) settle(carts []*cart, wait *redis.Cmd) bool {
	var replicas int
	if wait != nil {
		replicas, _ = wait.Int() // where it failed nobody knows how many
	}
	took, noScript, moved := true, false, false
	var again, more []*appender
	var problem error
	for _, c := range carts {
		v, err := c.cmd.Result()
		switch {
		case err == nil && replicas < l.b.o.Replicas:
			problem = fmt.Errorf("%w: %d of %d replicas have the message", ErrAway, replicas, l.b.o.Replicas)
			l.b.fail(c.batch, fmt.Errorf("%w: %w", channel.ErrUncertain, problem))
		case err == nil:
			l.b.appended(c.a, c.batch, v)
		case redislink.Unsent(err) || redislink.Refused(err) && redislink.Passing(err):
			took, problem = false, named(err)
			noScript = noScript || redis.HasErrorPrefix(err, "NOSCRIPT")
			moved = moved || redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK") || redis.HasErrorPrefix(err, "READONLY")
			l.b.restore(c.a, c.batch)
			again = append(again, c.a)
			continue
		default:
			l.loaded.Store(false)
			if why := l.refused(c, err); ofChannel(err) {
				l.b.notes.note("Redis does not take messages of a channel", fmt.Errorf("channel %q: %w", c.a.name, why))
			} else {
				problem = why
			}
		}
		if l.b.release(c.a, time.Now()) {
			more = append(more, c.a)
		}
	}
	if !noScript {
		l.trouble(problem)
	}
	if len(more) > 0 {
		l.add(more...)
	}
	if len(again) == 0 {
		return true
	}
	l.b.counters.retried.Add(uint64(len(again)))
	if l.loaded.Store(false); noScript {
		took = true // it comes with the next pipeline
	}
	if moved || redislink.IsCluster(l.b.client) {
		l.reroute(again, !took)
		return took
	}
	l.add(again...)
	return took
}

// ofChannel says that an error is what a script makes of a channel: Redis does take messages.
func ofChannel(err error) bool {
	answer := redis.Error(nil)
	return errors.As(err, &answer) && !redislink.Refused(err)
}

// reroute has channels whose server may be another one now go to it.
func (l *lane) reroute(again []*appender, reload bool) {
	if reload {
		redislink.Reload(l.b.client)
	}
	for _, a := range again {
		l.b.send(a)
	}
}

// refused ends a batch that Redis did not take, or of which nobody knows.
func (l *lane) refused(c *cart, err error) error {
	l.b.observe("append", len(c.batch), c.batch[0].since, err)
	why := named(err)
	if !redislink.Refused(err) && !errors.Is(why, ErrNewer) {
		l.b.counters.uncertain.Add(uint64(len(c.batch)))
		why = fmt.Errorf("%w: %w", channel.ErrUncertain, why)
	}
	l.b.fail(c.batch, why)
	return why
}

// why is what is wrong, for those that have waited for too long.
func (l *lane) why() error {
	if f := l.failure.Load(); f != nil {
		return f.error
	}
	return errors.New("it did not answer in time")
}

// failing is the last failure; nil: there was none, or nobody has tried for so long that it may be over.
func (l *lane) failing() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.failure.Load(); f != nil && (l.workers > 0 || time.Since(f.at) < l.b.o.Timeout) {
		return f.error
	}
	return nil
}

// trouble notes what is wrong with Redis; nil: nothing.
func (l *lane) trouble(err error) {
	switch {
	case err != nil:
		l.failure.Store(&failure{err, time.Now()})
		l.b.notes.note("Redis does not take messages", err)
	case l.failure.Load() != nil && l.failure.Swap(nil) != nil:
		l.b.o.Logger.Info("channel/redisbroker: Redis takes messages again")
	}
}
