package ws

import "baro.dev/ws/internal/frame"

// Cork has what is sent from now on, by whomever, wait for what follows, to leave in one write with it: until Uncork,
// until 16 KiB wait, or for about a millisecond. Inside a handler of a Server what is sent while more messages wait is held back like
// that anyway.
func (c *core) Cork() { c.flags.set(corked) }

// Uncork ends Cork: what was held back leaves.
func (c *core) Uncork() {
	c.flags.clear(corked)
	c.mu.Lock()
	c.flushLocked()
}

// direct reports whether a frame can be written right now: nothing is queued, nobody is writing, and nothing else is
// about to be sent with it. mu is held.
func (c *core) direct() bool {
	return c.out.empty() && !c.flushing && !c.flags.has(moreInput|corked)
}

// flushAhead writes what is queued, so that a payload can be written from where it is instead of being copied. It reports
// whether nothing is left. mu is held.
func (c *core) flushAhead() bool {
	if c.flushing || c.blocked {
		return false
	}
	if !c.out.empty() {
		c.flushLocked()
		c.mu.Lock()
	}
	return c.out.empty() && !c.flushing && c.held == nil && c.writable() == nil
}

// writeDirect writes a frame without queuing more than what does not go at once. mu is held, and released.
func (c *core) writeDirect(h frame.Header, payload []byte) {
	c.flushing = true
	c.mu.Unlock()
	inPlace := !c.client && len(payload) > copySize
	var scratch *buffer
	var tail []byte
	if inPlace {
		scratch = newBuffer(frame.MaxHeaderSize)
		scratch.b = h.Append(scratch.b)
		tail = payload
	} else {
		scratch = newBuffer(frame.MaxHeaderSize + len(payload))
		scratch.b = c.appendFrame(scratch.b, h, payload)
	}
	n, err := c.tr.tryWrite(scratch.b, tail)
	total := len(scratch.b) + len(tail)
	if err == nil && n == total {
		scratch.free()
		c.flush()
		return
	}
	c.mu.Lock()
	if err != nil {
		scratch.free()
		c.writeFailed(err)
		return
	}
	if n < len(scratch.b) {
		scratch.append(tail)
		c.out.put(segment{own: scratch, off: n})
	} else {
		rest := tail[n-len(scratch.b):]
		scratch.free()
		scratch = newBuffer(len(rest))
		scratch.append(rest)
		c.out.put(segment{own: scratch})
	}
	c.out.size += total - n
	if c.cutShort() {
		c.flushOwned()
	}
}

// writeShared writes bytes that nobody changes, and queues what does not go at once. mu is held, and released.
func (c *core) writeShared(encoded []byte) {
	c.flushing = true
	c.mu.Unlock()
	n, err := c.tr.tryWrite(encoded, nil)
	c.mu.Lock()
	switch {
	case err != nil:
		c.writeFailed(err)
	case n == len(encoded):
		c.flushOwned()
	default:
		c.out.put(segment{shared: encoded, off: n})
		c.out.size += len(encoded) - n
		if c.cutShort() {
			c.flushOwned()
		}
	}
}

// kick has the queue flushed: at once, or together with what follows. mu is held, and released.
func (c *core) kick() {
	switch {
	case c.flushing, c.blocked:
		// Whoever is at it will see what was queued.
	case c.flags.has(moreInput|corked) && c.out.size < readSize:
		// More is about to be sent, and can share a write. A timer sees to it that this leaves even if the one who is
		// about to send takes long over that.
		if !c.scheduled && (!c.inline || c.flags.has(corked)) {
			c.scheduled = true
			c.tr.flushLater(c)
		}
	default:
		c.flushing = true
		c.mu.Unlock()
		c.flush()
		return
	}
	c.mu.Unlock()
}

func (c *core) flushSoon() {
	c.mu.Lock()
	c.scheduled = false
	c.flushLocked()
}

// flushLocked flushes unless somebody else does. mu is held, and released.
func (c *core) flushLocked() {
	if c.flushing || c.blocked || c.ended || c.out.empty() {
		c.mu.Unlock()
		return
	}
	c.flushing = true
	c.mu.Unlock()
	c.flush()
}

// flush writes what is queued and then gives up the write side, which the caller owns. If the transport does not take
// everything at once, others go on.
func (c *core) flush() {
	c.mu.Lock()
	c.flushOwned()
}

// flushOwned is flush. mu is held, and released.
func (c *core) flushOwned() {
	for !c.out.empty() && !c.ended {
		s := c.out.takeSome()
		c.mu.Unlock()
		p := s.pending()
		n, err := c.tr.tryWrite(p, nil)
		c.mu.Lock()
		if !c.wrote(s, n, err) || n < len(p) && !c.cutShort() {
			return
		}
	}
	c.flushed()
}

// cutShort sees to the rest of what the transport has not taken whole: somebody else does, or it reports true, since
// the caller should try again. mu is held, and released unless it reports true.
func (c *core) cutShort() bool {
	switch {
	case !c.looped:
		c.mu.Unlock()
		go c.writeOut()
		return false
	case !c.flags.has(wantRoom):
		c.flags.set(wantRoom)
		c.roomCame = false
		if !c.watched {
			c.watched = true
			c.tr.watchRoom()
		}
		return true // there may be room by now
	case c.roomCame:
		c.roomCame = false
		return true
	}
	c.flushing = false
	c.blocked = true
	ended := c.ended
	if ended {
		c.out.drop()
	}
	c.mu.Unlock()
	if ended {
		c.tr.attend()
	}
	return false
}

// gotRoom is called by the event loop when there is room to write, if that is wanted.
func (c *core) gotRoom() {
	c.mu.Lock()
	if c.flushing {
		c.roomCame = true
		c.mu.Unlock()
		return
	}
	c.blocked = false
	c.flags.clear(wantRoom)
	c.flushLocked()
}

// writeOut is flush with a transport that makes it wait.
func (c *core) writeOut() {
	c.mu.Lock()
	for !c.out.empty() && !c.ended {
		s := c.out.takeSome()
		c.mu.Unlock()
		p := s.pending()
		err := c.tr.write(p)
		c.mu.Lock()
		if !c.wrote(s, len(p), err) {
			return
		}
	}
	c.flushed()
}

// wrote accounts for n bytes of s. After an error it releases mu and returns false. mu is held.
func (c *core) wrote(s segment, n int, err error) bool {
	if err != nil {
		s.release()
		c.writeFailed(err)
		return false
	}
	c.out.size -= n
	if n < len(s.pending()) {
		s.off += n
		c.out.put(s)
	} else {
		s.release()
	}
	c.signalRoom()
	return true
}

// writeFailed gives up the write side for good. The peer may have sent the reason before it stopped taking anything, so
// the connection goes on until the input is at its end, or the time for closing is over. mu is held, and released.
func (c *core) writeFailed(err error) {
	c.flushing = false
	c.out.drop()
	c.breakOff(err)
	closing, ended := c.finish != finishNone || c.ended, c.ended
	if !closing {
		c.limitClosing()
		c.signalRoom()
	}
	c.mu.Unlock()
	switch {
	case ended && c.looped:
		c.tr.attend() // it can be closed now
	case closing:
		c.end(nil)
	}
}

// breakOff has nothing written any more. mu is held.
func (c *core) breakOff(err error) {
	if !c.broken {
		c.broken = true
		c.rare().writeErr = lost(err)
	}
}

// streamGone is called when the stream below is known to have ended, which is what a write would find.
func (c *core) streamGone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.breakOff(nil)
	c.limitClosing()
	c.signalRoom()
}

// flushed gives up the write side. mu is held, and released.
func (c *core) flushed() {
	c.flushing = false
	if c.looped {
		c.flags.clear(wantRoom)
	}
	if c.ended {
		c.out.drop()
		c.mu.Unlock()
		if c.looped {
			c.tr.attend() // it can be closed now
		}
		return
	}
	finish := c.finish
	c.mu.Unlock()
	c.finishNow(finish)
}
