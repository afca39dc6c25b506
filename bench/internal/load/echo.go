//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// Echo has connections each keep a number of messages in flight, written and answered together.
type Echo struct {
	Conns, Size, Depth int
	Warmup, Duration   time.Duration
}

// Echo measures.
func (t Target) Echo(e Echo) (Result, error) { return t.exchange(e, (*generator).checkEcho) }

// check makes the check of a wave (see generator.open) for messages of a size, and leaves so many of them in each
// connection's batch.
type check func(g *generator, size, depth int) func(first, end int) error

func (t Target) exchange(e Echo, c check) (Result, error) {
	return OnThread(t.From, func() (Result, error) {
		g, err := newGenerator(t)
		if err != nil {
			return Result{}, err
		}
		defer g.close()
		if err := g.open(e.Conns, "", c(g, e.Size, e.Depth)); err != nil {
			return Result{}, err
		}
		if err := g.watch(); err != nil {
			return Result{}, err
		}
		for i := range g.conns {
			if err := g.ask(i, e.Depth); err != nil {
				return Result{}, err
			}
		}
		return g.measure(e.Warmup, e.Duration, func() error { return g.echo(e.Depth) })
	})
}

// checkEcho returns the check of a wave that sends one message over each connection and compares what comes back. It
// leaves depth messages in each connection's batch.
func (g *generator) checkEcho(size, depth int) func(first, end int) error {
	return func(first, end int) error {
		payloads := make([][]byte, end-first)
		for i := first; i < end; i++ {
			payload := g.payload(size)
			frame := g.encode(payload)
			payloads[i-first] = payload
			c := &g.conns[i]
			c.batch, c.in.size = bytes.Repeat(frame, depth), size
			if g.target.Raw {
				c.in.raw = size
			}
			if err := writeAll(c.fd, frame); err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
		}
		for i := first; i < end; i++ {
			got, err := g.receive(i, size)
			if err == nil && !bytes.Equal(got, payloads[i-first]) {
				err = errors.New("what came back is not what was sent")
			}
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
		}
		return nil
	}
}

// encode makes a frame of a payload; to a raw server it goes as it is.
func (g *generator) encode(payload []byte) []byte {
	if g.target.Raw {
		return payload
	}
	return appendFrame(nil, opBinary, g.key(), payload)
}

// receive reads a message, of so many bytes if it is raw, while the socket still blocks.
func (g *generator) receive(i, size int) ([]byte, error) {
	if g.target.Raw {
		b := make([]byte, size)
		return b, readFull(g.conns[i].fd, b)
	}
	_, b, err := receive(g.conns[i].fd)
	return b, err
}

// payload is made of letters, so that it is text as well, and different for each connection.
func (g *generator) payload(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = 'a' + byte(g.random.Uint32()&15)
	}
	return b
}

// ask sends the connection's batch.
func (g *generator) ask(i, depth int) error {
	c := &g.conns[i]
	c.waiting, c.since = depth, g.now()
	return g.send(i, c.batch)
}

// echo handles what has come, and asks again where all has been answered.
func (g *generator) echo(depth int) error {
	events, err := g.poller.Wait(100)
	if err != nil {
		return err
	}
	for _, e := range events {
		n, err := g.turn(e)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		c := &g.conns[e.Fd]
		if c.waiting -= n; c.waiting < 0 {
			return fmt.Errorf("connection %d: more replies than messages", e.Fd)
		}
		g.messages += n
		g.latency.add(g.now()-c.since, n)
		if c.waiting == 0 {
			if err := g.ask(int(e.Fd), depth); err != nil {
				return err
			}
		}
	}
	return nil
}
