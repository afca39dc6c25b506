//go:build linux

package load

import (
	"errors"
	"fmt"
	"time"
)

// Rate offers messages at a fixed rate, spread evenly over the connections, whether or not earlier ones have been
// answered. Latency is from when a message was due, so that a server that stops is not spared those that wait.
type Rate struct {
	Conns, Size, PerSecond int
	Warmup, Duration       time.Duration
}

// Rate measures.
func (t Target) Rate(r Rate) (Result, error) {
	return OnThread(t.From, func() (Result, error) {
		g, err := newGenerator(t)
		if err != nil {
			return Result{}, err
		}
		defer g.close()
		if err := g.open(r.Conns, "", g.checkEcho(r.Size, 1)); err != nil {
			return Result{}, err
		}
		if err := g.watch(); err != nil {
			return Result{}, err
		}
		s := &schedule{generator: g, interval: int64(time.Second) / int64(r.PerSecond), begin: g.now(), due: make([]fifo, r.Conns)}
		return g.measure(r.Warmup, r.Duration, s.step)
	})
}

// ErrTooSlow says that more messages wait for their answers than can be kept account of.
var ErrTooSlow = errors.New("the server is far too slow for the rate")

type schedule struct {
	*generator
	interval, begin int64
	sent            int
	due             []fifo // for each connection, when the messages were due that have not been answered
}

// step sends what is due and handles what has come. It does not sleep: waking up would be a part of every latency.
func (s *schedule) step() error {
	for now := s.now(); s.begin+int64(s.sent)*s.interval <= now; s.sent++ {
		i := s.sent % len(s.conns)
		if !s.due[i].push(s.begin + int64(s.sent)*s.interval) {
			return ErrTooSlow
		}
		if err := s.send(i, s.conns[i].batch); err != nil {
			return err
		}
	}
	events, err := s.poller.Wait(0)
	if err != nil {
		return err
	}
	for _, e := range events {
		n, err := s.turn(e)
		if err != nil {
			return err
		}
		now := s.now()
		for range n {
			due, ok := s.due[e.Fd].pop()
			if !ok {
				return fmt.Errorf("connection %d: more replies than messages", e.Fd)
			}
			s.latency.add(now-due, 1)
		}
		s.messages += n
	}
	return nil
}

// fifo is a bounded queue.
type fifo struct {
	times      [1024]int64
	head, tail uint
}

func (f *fifo) push(t int64) bool {
	if f.tail-f.head == uint(len(f.times)) {
		return false
	}
	f.times[f.tail%uint(len(f.times))] = t
	f.tail++
	return true
}

func (f *fifo) pop() (t int64, ok bool) {
	if f.head == f.tail {
		return 0, false
	}
	t = f.times[f.head%uint(len(f.times))]
	f.head++
	return t, true
}
