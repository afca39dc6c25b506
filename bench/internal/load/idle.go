//go:build linux

package load

import "time"

// Idle opens connections that exchange one message each and then say nothing.
type Idle struct {
	Conns, Size int
	Deflate     bool // compressed, with context takeover if Context
	Context     bool
	// SocketIO: the connections are clients of Socket.IO, which have one event acknowledged and then answer heartbeats,
	// of which there is one in each Heartbeat. Memory is measured when each has answered one.
	SocketIO  bool
	Heartbeat time.Duration
	// Door: the connections are subscribers, which a message is to reach before and after.
	Door *Door
}

const (
	idleWarmup = 200 // connections opened and closed before the memory is first measured
	settle     = 500 * time.Millisecond
	settleMax  = 5 * time.Second
)

// Idle measures memory. The base is the server's resident memory after idleWarmup connections have come and gone and
// it has given back what it can. RSS is what is resident beyond that with the connections open and quiet, for each of
// them; RSSFreed the same after giving back again, which is what they truly hold. KernelMem is the growth of the kernel's slabs, in
// which both ends of each connection are. Messages over CPU is connections opened for each second of processor time.
func (t Target) Idle(o Idle) (Result, error) {
	if o.SocketIO {
		t.path = webSocketPath
	}
	return OnThread(t.From, func() (r Result, err error) {
		g, _, err := t.openIdle(o, min(o.Conns, idleWarmup))
		if err != nil {
			return r, err
		}
		g.close()
		time.Sleep(settle) // the server sees that they are closed
		base, err := t.settled(t.Free, sleep)
		if err != nil {
			return r, err
		}
		begin := time.Now()
		g, alive, err := t.openIdle(o, o.Conns)
		if err != nil {
			return r, err
		}
		defer g.close()
		r.Extensions = g.extensions
		r.Messages, r.Seconds = o.Conns, time.Since(begin).Seconds()
		wait := sleep
		if o.SocketIO {
			wait = g.live
		}
		open, err := t.settled(nil, wait)
		if err != nil {
			return r, err
		}
		r.CPU = (open.cpu - base.cpu).Seconds()
		if o.SocketIO {
			if err := g.allBeat(o.Heartbeat); err != nil {
				return r, err
			}
			if open, err = t.settled(nil, wait); err != nil {
				return r, err
			}
			r.Beats = g.beats
		}
		r.RSS = (open.rss - base.rss) / int64(o.Conns)
		r.KernelMem = (open.slab - base.slab) / int64(o.Conns)
		if t.Free != nil {
			freed, err := t.settled(t.Free, wait)
			if err != nil {
				return r, err
			}
			r.RSSFreed = (freed.rss - base.rss) / int64(o.Conns)
		}
		return r, alive()
	})
}

// openIdle opens connections and has each exchange its message. alive says whether they are still what they are to be.
func (t Target) openIdle(o Idle, conns int) (g *generator, alive func() error, err error) {
	if o.Door != nil {
		c, err := t.newChannels(*o.Door, conns, 1, o.Size, 1)
		if err != nil {
			return nil, nil, err
		}
		return c.generator, c.round, nil
	}
	if g, err = newGenerator(t); err != nil {
		return nil, nil, err
	}
	check, offer := g.checkEcho(o.Size, 1), ""
	if o.Deflate {
		d := newDeflater(g, o.Size, o.Context)
		check, offer = d.check, d.offer
	}
	if o.SocketIO {
		check = g.checkLive(g.checkAcks(o.Size, 1))
	}
	if err := g.open(conns, offer, check); err != nil {
		g.close()
		return nil, nil, err
	}
	return g, func() error { return nil }, nil
}

func sleep(d time.Duration) error {
	time.Sleep(d)
	return nil
}

// state is what a server uses at one time.
type state struct {
	cpu       time.Duration
	rss, slab int64
}

// settled waits until the server's memory changes no more, after doing something about it.
func (t Target) settled(first func() error, wait func(time.Duration) error) (s state, err error) {
	if first != nil {
		if err := first(); err != nil {
			return s, err
		}
	}
	for begin := time.Now(); ; {
		last := s.rss
		if s.rss, err = rss(t.PID); err != nil {
			return s, err
		}
		if s.slab, err = slab(); err != nil {
			return s, err
		}
		if s.cpu, err = processCPU(t.PID); err != nil {
			return s, err
		}
		if difference := s.rss - last; max(difference, -difference) <= s.rss/500 || time.Since(begin) > settleMax {
			return s, nil
		}
		if err := wait(settle); err != nil {
			return s, err
		}
	}
}
