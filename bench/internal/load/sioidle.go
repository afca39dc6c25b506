//go:build linux

package load

import (
	"fmt"
	"time"
)

// checkLive is a check after which the connections of the wave, and those before it, answer heartbeats: there may be time
// for some before all are open.
func (g *generator) checkLive(check func(first, end int) error) func(first, end int) error {
	return func(first, end int) error {
		if err := check(first, end); err != nil {
			return err
		}
		if err := g.watchFrom(first); err != nil {
			return err
		}
		return g.live(0)
	}
}

// live answers heartbeats for a while. Nothing else is to come.
func (g *generator) live(d time.Duration) error {
	for end := g.now() + int64(d); ; {
		left := max(0, end-g.now())
		events, err := g.poller.Wait(int(time.Duration(left).Milliseconds()))
		if err != nil {
			return err
		}
		for _, e := range events {
			n, err := g.turn(e)
			if err == nil && n > 0 {
				err = fmt.Errorf("connection %d: %d messages that nobody asked for", e.Fd, n)
			}
			if err != nil {
				return err
			}
		}
		if len(events) == 0 && g.now() >= end-int64(time.Millisecond) {
			return nil
		}
	}
}

// allBeat waits until each connection has answered a heartbeat.
func (g *generator) allBeat(heartbeat time.Duration) error {
	for end := g.now() + int64(heartbeat+heartbeat/2+settle); ; {
		over := g.now() > end // what has come by then counts, however late it is read
		if err := g.live(0); err != nil {
			return err
		}
		silent := 0
		for i := range g.conns {
			if !g.conns[i].in.beaten {
				silent++
			}
		}
		if silent == 0 {
			return nil
		}
		if over {
			return fmt.Errorf("%d of %d clients had no heartbeat within one and a half times %v", silent, len(g.conns), heartbeat)
		}
		if err := g.live(min(settle, heartbeat/4)); err != nil {
			return err
		}
	}
}
