package socketio

import (
	"slices"

	"baro.dev/engineio"
)

// late closes a client that has not connected to a namespace.
func (c *client) late() {
	c.mu.Lock()
	idle := c.timer != nil
	c.mu.Unlock()
	if idle {
		c.fail(ForcedServerClose, errConnectLate)
	}
}

// fail closes the connection from this side. The sockets are disconnected soon: a client that polls may be late to learn of it.
func (c *client) fail(reason Reason, err error) {
	c.mu.Lock()
	if c.reason == "" {
		c.reason = reason
	}
	if !c.gone && len(c.sockets) > 0 {
		c.server.spawned.Go(func() { c.closed(reason) })
	}
	c.mu.Unlock()
	if err != nil {
		c.server.set.Engine.Logger.Debug("client closed", "remote", c.session.RemoteAddr(), "reason", reason, "error", err)
	}
	c.session.Close()
}

// lost is called as soon as the connection has ended: what waits for the client need not wait longer.
func lost(session *engineio.Session, _ *engineio.CloseError) {
	c, ok := session.Data.(*client)
	if !ok {
		return
	}
	c.lost.Store(true)
	c.mu.Lock()
	all := slices.Clone(c.sockets)
	for _, a := range c.connecting {
		if a.socket != nil {
			all = append(all, a.socket)
		}
	}
	c.mu.Unlock()
	for _, s := range all {
		s.interrupt()
		s.failArrivals()
	}
}

// closed is called when the handlers of a connection that has ended have returned.
func closed(session *engineio.Session, why *engineio.CloseError) {
	c, ok := session.Data.(*client)
	if !ok { // Options.Context has panicked
		return
	}
	if c.server.set.Engine.Inline {
		// Whoever sends too much to a client may be called here for it, in the middle of a broadcast.
		c.server.spawned.Go(func() { c.closed(Reason(why.Reason)) })
		return
	}
	c.closed(Reason(why.Reason))
}

func (c *client) closed(reason Reason) {
	c.run.Lock()
	defer c.run.Unlock()
	c.mu.Lock()
	if c.reason != "" {
		reason = c.reason
	}
	c.gone = true
	c.turns = nil
	c.stopTimer()
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		s.end(reason, true)
	}
}

// stopTimer ends the time for connecting. mu is held.
func (c *client) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}
