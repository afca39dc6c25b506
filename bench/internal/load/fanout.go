//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// FanOut has one connection publish to all, itself included: a number of messages written together, and the next ones
// when all have reached everybody. Latency is from the first write to the last delivery.
type FanOut struct {
	Conns, Size, Depth int
	Warmup, Duration   time.Duration
}

// FanOut measures. Messages are deliveries.
func (t Target) FanOut(f FanOut) (Result, error) {
	return t.fanOut(f, (*generator).checkEcho, (*generator).checkFanOut)
}

func (t Target) fanOut(f FanOut, added check, published func(g *generator, size int) error) (Result, error) {
	return OnThread(t.From, func() (Result, error) {
		g, err := newGenerator(t)
		if err != nil {
			return Result{}, err
		}
		defer g.close()
		g.firstPublishes = true
		// The answer to a message that is not for all says that the server has added the connection to those that get
		// what is.
		if err := g.open(f.Conns, "", added(g, f.Size, 1)); err != nil {
			return Result{}, err
		}
		t.heardOf()
		if err := published(g, f.Size); err != nil {
			return Result{}, err
		}
		if err := g.watch(); err != nil {
			return Result{}, err
		}
		batch := bytes.Repeat(g.conns[0].batch, f.Depth)
		return g.measure(f.Warmup, f.Duration, func() error { return g.publish(batch, f.Depth) })
	})
}

// checkFanOut publishes one message and compares what each connection gets. It becomes the first connection's batch.
func (g *generator) checkFanOut(size int) error {
	payload := g.payload(size)
	payload[0] = 'P'
	publisher := &g.conns[0]
	publisher.batch = g.encode(payload)
	if err := writeAll(publisher.fd, publisher.batch); err != nil {
		return err
	}
	for i := range g.conns {
		got, err := g.receive(i, size)
		if err == nil && !bytes.Equal(got, payload) {
			err = errors.New("what came is not what was published")
		}
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

// publish sends a batch of depth messages and returns when all have reached everybody.
func (g *generator) publish(batch []byte, depth int) error {
	for i := range g.conns {
		g.conns[i].waiting = depth
	}
	left, since := depth*len(g.conns), g.now()
	if err := g.send(0, batch); err != nil {
		return err
	}
	for last := since; left > 0; {
		events, err := g.poller.Wait(100)
		if err != nil {
			return err
		}
		now := g.now()
		for _, e := range events {
			n, err := g.turn(e)
			if err != nil {
				return err
			}
			c := &g.conns[e.Fd]
			if c.waiting -= n; c.waiting < 0 {
				return fmt.Errorf("connection %d: more came than was published", e.Fd)
			}
			if n > 0 {
				left, last = left-n, now
			}
		}
		if now-last > int64(stall) {
			return fmt.Errorf("%d of %d deliveries did not come within %v", left, depth*len(g.conns), stall)
		}
	}
	g.messages += depth * len(g.conns)
	g.latency.add(g.now()-since, 1)
	return nil
}
