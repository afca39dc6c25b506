package ws

import (
	"encoding/binary"
	"slices"
	"time"

	"baro.dev/ws/internal/frame"
)

// pingWaiter waits for the pong to one ping.
type pingWaiter struct {
	id   uint32
	sent time.Time
	rtt  time.Duration
	done chan struct{}
}

// sendControl queues a control frame. It is not subject to the bound of the queue, since its size is.
func (c *core) sendControl(op frame.Opcode, payload []byte) error {
	c.mu.Lock()
	if err := c.writable(); err != nil {
		c.mu.Unlock()
		return err
	}
	c.encode(&c.out, frame.Header{Opcode: op, Fin: true, Length: len(payload)}, payload)
	c.kick() // unlocks
	return nil
}

// pong answers a ping with its own payload (RFC 6455 5.5.3). While the peer does not take what is queued already, it
// goes without an answer.
func (c *core) pong(payload []byte) {
	if c.Buffered() < c.set.maxQueue {
		_ = c.sendControl(frame.Pong, payload)
	}
}

// ponged wakes who waits for the pong, and for those to earlier pings: a peer may answer the latest alone (5.5.3). It
// reports whether the pong was asked for, even if nobody waits for it.
func (c *core) ponged(payload []byte) (asked bool) {
	if len(payload) != 8 {
		return false // unsolicited
	}
	n := binary.BigEndian.Uint64(payload)
	id, left := uint32(n>>32), uint32(n)
	defer func() {
		if asked && c.set.onPong != nil {
			c.measure(left)
		}
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	if id <= c.lastPong || id > c.lastPing {
		return false
	}
	c.lastPong = id
	for len(c.pings) > 0 && c.pings[0].id <= id {
		answered := c.pings[0]
		answered.rtt = time.Since(answered.sent)
		close(answered.done)
		c.rare().pings = slices.Delete(c.pings, 0, 1)
	}
	return true
}

// ping sends a ping; w, unless it is nil, is done when the pong has come.
func (c *core) ping(w *pingWaiter) error {
	c.mu.Lock()
	if err := c.writable(); err != nil {
		c.mu.Unlock()
		return err
	}
	if c.buffered() >= c.set.maxQueue {
		c.mu.Unlock()
		return ErrQueueFull
	}
	c.lastPing++
	if w != nil {
		w.id = c.lastPing
		c.rare().pings = append(c.pings, w)
	}
	var payload [8]byte
	binary.BigEndian.PutUint32(payload[:], c.lastPing)
	binary.BigEndian.PutUint32(payload[4:], c.set.pingTime())
	c.encode(&c.out, frame.Header{Opcode: frame.Ping, Fin: true, Length: len(payload)}, payload[:])
	c.kick() // unlocks
	return nil
}

// pingTick is the unit of the time in a ping. What was a second ago has to be told from what was days ago.
const pingTick = 10 * time.Microsecond

// pingTime is the time, for a ping to carry it: so no connection has to remember when it left. What it counts from is nobody's business.
func (s *settings) pingTime() uint32 {
	return s.pingStart + uint32(time.Since(started)/pingTick)
}

// measure tells how long the answer to a ping took that left at a time, by the word of the peer.
func (c *core) measure(left uint32) {
	if took := time.Duration(c.set.pingTime()-left) * pingTick; took <= c.set.pingTimeout {
		c.set.onPong(took)
	}
}

// forget stops waiting.
func (c *core) forget(w *pingWaiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.pings {
		if c.pings[i] == w {
			c.rare().pings = append(c.pings[:i], c.pings[i+1:]...)
			return
		}
	}
}

// keepalive is what the ticker of a connection remembers.
type keepalive struct {
	due       time.Duration // of the next ping, or of the answer to the one that is out
	idleSince time.Duration // no message has come since
	pinged    bool          // a ping is out
}

// started is what times are counted from, where a time.Time would take three words.
var started = time.Now()

// startTicker starts looking after the peer: pings when it is silent, and the idle timeout.
func (c *core) startTicker() {
	if c.set.pingInterval == 0 && c.set.idleTimeout == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	now := time.Since(started)
	k := &keepalive{due: now + c.set.pingInterval, idleSince: now}
	c.rare().ticker = time.AfterFunc(c.nextTick(k, now), func() {
		now := time.Since(started)
		if !c.tick(k, now) {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.ended {
			c.ticker.Reset(c.nextTick(k, now))
		}
	})
}

// tick looks after the peer and reports whether there is still one.
//
// Reading only sets a flag, which costs nothing; when it was set is known as precisely as ticks are apart.
func (c *core) tick(k *keepalive, now time.Duration) bool {
	if idle := c.set.idleTimeout; idle > 0 {
		if c.flags.take(messaged) || c.flags.has(unread|working) || c.unattended() {
			k.idleSince = now
		} else if now-k.idleSince >= idle {
			c.fail(&CloseError{Code: StatusPolicyViolation, Reason: "idle for too long", Err: ErrPeerTimeout})
			return false
		}
	}
	if c.set.pingInterval == 0 {
		return true
	}
	switch {
	case c.flags.take(heard), c.unattended():
		k.pinged = false
		k.due = now + c.set.pingInterval
	case now < k.due:
	case k.pinged:
		c.end(&CloseError{Code: StatusAbnormalClosure, Err: ErrPeerTimeout})
		return false
	default:
		_ = c.ping(nil) // any byte is answer enough
		k.pinged = true
		k.due = now + c.set.pingTimeout
	}
	return true
}

// unattended reports whether nobody is reading, so that silence says nothing about the peer.
func (c *core) unattended() bool {
	if c.flags.has(paused|opening|halted) || c.looped {
		return c.flags.has(paused | opening | halted)
	}
	if c.readMu.TryLock() {
		c.readMu.Unlock()
		return true
	}
	return false
}

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// nextTick returns the time until the next tick: when something is due, but at least four times in each interval.
func (c *core) nextTick(k *keepalive, now time.Duration) time.Duration {
	next := never
	if interval := c.set.pingInterval; interval > 0 {
		next = min(interval/4, k.due-now)
	}
	if idle := c.set.idleTimeout; idle > 0 {
		next = min(next, idle/4, k.idleSince+idle-now)
	}
	return max(next, time.Millisecond)
}
