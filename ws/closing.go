package ws

import (
	"errors"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"baro.dev/ws/internal/frame"
)

// finish is what follows when everything queued has been written.
type finish byte

const (
	finishNone finish = iota
	// finishClose closes the transport: both close frames have been exchanged, or the stream is at its end.
	finishClose
	// finishWait waits for the server to close the transport first (RFC 6455 7.1.1).
	finishWait
	// finishLinger says that nothing more follows, and reads until the peer has understood: closing with input
	// unread would have the kernel reset the connection, and the close frame could be lost with it.
	finishLinger
)

// maxReason is the longest reason of a close frame, in bytes.
const maxReason = frame.MaxControlPayload - 2

// lingerBytes is how much is read from a peer that goes on sending after it was told that the connection failed.
const lingerBytes = 4 << 20

// appendClose appends the payload of a close frame.
func appendClose(dst []byte, code StatusCode, reason string) []byte {
	if code == StatusNoStatus || code == 0 {
		return dst
	}
	for len(reason) > maxReason || !utf8.ValidString(reason) {
		if !utf8.ValidString(reason) && len(reason) <= maxReason {
			reason = ""
			break
		}
		// Cut between characters.
		cut := maxReason
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	return append(append(dst, byte(code>>8), byte(code)), reason...)
}

// parseClose reads the payload of a close frame (RFC 6455 5.5.1, 7.4).
func parseClose(p []byte) (*CloseError, error) {
	if len(p) == 0 {
		return &CloseError{Code: StatusNoStatus, Remote: true}, nil
	}
	if len(p) == 1 {
		return nil, &frame.Error{Code: uint16(StatusProtocolError), Reason: "close frame with a payload of one byte"}
	}
	code := StatusCode(p[0])<<8 | StatusCode(p[1])
	if !code.OnWire() {
		return nil, &frame.Error{Code: uint16(StatusProtocolError), Reason: "close frame with code " + code.String()}
	}
	if !utf8.Valid(p[2:]) {
		return nil, &frame.Error{Code: uint16(StatusInvalidPayload), Reason: "close frame with a reason that is not valid UTF-8"}
	}
	return &CloseError{Code: code, Reason: string(p[2:]), Remote: true}, nil
}

// queueClose queues the one close frame of this side. mu is held.
func (c *core) queueClose(code StatusCode, reason string) {
	if c.sentClose || c.ended || c.broken {
		return
	}
	var payload [frame.MaxControlPayload]byte
	p := appendClose(payload[:0], code, reason)
	c.encode(&c.out, frame.Header{Opcode: frame.Close, Fin: true, Length: len(p)}, p)
	c.sentClose = true
	if c.held != nil {
		c.held.drop()
	}
	c.signalRoom() // nobody needs to wait for it any more
	c.limitClosing()
}

// limitClosing ends the connection if the closing handshake takes too long. mu is held.
func (c *core) limitClosing() {
	switch {
	case c.limited || c.ended:
	case c.looped:
		c.limited = true
		c.tr.attend()
	case c.set.closeTimeout > 0:
		c.limited = true
		c.rare().closer = time.AfterFunc(c.set.closeTimeout, c.closeTimedOut)
	}
}

func (c *core) closeTimedOut() {
	c.mu.Lock()
	err := c.writeErr
	c.mu.Unlock()
	if err == nil {
		err = &CloseError{Code: StatusAbnormalClosure, Err: errCloseTimeout}
	}
	c.end(err)
}

var errCloseTimeout error = &sentinel{"ws: closing handshake timed out", os.ErrDeadlineExceeded}

// startClose sends a close frame with code and reason: the first step of the closing handshake (RFC 6455 7.1.2).
// Nothing can be sent after it. It returns the error that writing got, if a close had been sent or received before.
func (c *core) startClose(code StatusCode, reason string) error {
	c.mu.Lock()
	if err := c.writable(); err != nil {
		c.mu.Unlock()
		return err
	}
	c.queueClose(code, reason)
	c.setErr(&CloseError{Code: code, Reason: reason, Err: ErrClosed})
	c.flushLocked()
	return nil
}

// fail fails the connection (RFC 6455 7.1.7): a close frame, and the end of the stream.
func (c *core) fail(err *CloseError) error {
	if err.Code == StatusAbnormalClosure {
		c.end(err)
		return c.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err)
	return c.err
}

// failLocked is fail. mu is held, and held again at the end.
func (c *core) failLocked(err *CloseError) {
	if c.ended || c.finish != finishNone {
		return
	}
	c.queueClose(err.Code, err.Reason)
	c.setErr(err)
	c.flags.set(inputOver)
	c.finish = finishLinger
	if c.stream {
		c.finish = finishClose // nothing is lost by closing a stream
	}
	c.limitClosing()
	if c.flushing || c.blocked {
		return // the flusher will finish
	}
	c.flushing = true
	c.mu.Unlock()
	c.flush()
	c.mu.Lock()
}

// received handles the peer's close frame.
func (c *core) received(p []byte) error {
	ce, err := parseClose(p)
	if err != nil {
		return c.fail(violation(err))
	}
	c.mu.Lock()
	if c.ended || c.gotClose {
		c.mu.Unlock()
		return c.Err()
	}
	c.gotClose = true
	c.queueClose(ce.Code, "") // 5.5.1: typically echoes the status code
	c.setErr(ce)
	if c.client {
		c.finish = finishWait
	} else {
		c.finish = finishClose
	}
	c.flags.set(inputOver)
	c.limitClosing()
	if c.flushing || c.blocked {
		c.mu.Unlock()
	} else {
		c.flushing = true
		c.mu.Unlock()
		c.flush()
	}
	return c.Err()
}

// setErr keeps the first reason why the connection ends. mu is held.
func (c *core) setErr(err error) {
	if c.err == nil {
		c.rare().err = err
	}
}

// finishNow does what follows the last write. Only the one who gave up the write side calls it.
func (c *core) finishNow(f finish) {
	switch f {
	case finishNone:
	case finishClose:
		c.end(nil)
	default:
		if c.looped {
			c.tr.attend() // the loop reads on
			return
		}
		go c.linger(f)
	}
}

// linger reads and drops until the peer closes the stream, or has sent too much, or the time for closing is over.
func (c *core) linger(f finish) {
	if f == finishLinger {
		c.tr.closeWrite()
	}
	c.tr.interrupt() // whoever is reading leaves, and finds that the connection has failed
	c.readMu.Lock()
	c.dropInput()
	c.readMu.Unlock() // from now on, nobody else gets as far as reading the transport
	c.tr.resume()
	var trash [1 << 10]byte
	for n := 0; n < lingerBytes; {
		p, _, err := c.tr.read(trash[:], false)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.tr.resume() // it was somebody who waits for a reader to leave
		case err != nil:
			n = lingerBytes
		}
		n += len(p)
	}
	c.end(nil)
}

// endOfInput ends the connection when the peer has ended its side, or the stream has failed: err is io.EOF, or why. Who has
// only ended its side may go on receiving, so what has been sent leaves first, within the time for closing.
func (c *core) endOfInput(err error) {
	c.mu.Lock()
	waits := (c.flushing || !c.out.empty()) && !c.ended && !c.broken && c.finish == finishNone
	if err != io.EOF || !waits {
		c.mu.Unlock()
		c.end(lost(err))
		return
	}
	c.rare().cut = lost(err)
	c.setErr(c.cut)
	c.flags.set(inputOver)
	c.finish = finishClose
	c.signalRoom() // nothing more is taken
	c.limitClosing()
	c.flushLocked()
}

// end closes the transport and ends everything that waits. err is why, unless there is a reason already.
func (c *core) end(err error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended = true
	c.flags.set(inputOver)
	switch {
	case err == nil && c.writeErr != nil:
		err = c.writeErr
	case err == nil:
		err = ErrClosed
	}
	if c.rare(); c.cut == nil {
		c.cut = err
	}
	c.setErr(err)
	for _, t := range []*time.Timer{c.closer, c.ticker} {
		if t != nil {
			t.Stop()
		}
	}
	if !c.flushing {
		c.out.drop()
	}
	if c.held != nil {
		c.held.drop()
	}
	c.rare().pings = nil
	if c.cancelCtx != nil {
		c.cancelCtx(c.err)
	}
	gracefully := c.finish != finishNone && c.out.empty()
	c.mu.Unlock()
	_ = c.tr.close(gracefully)
	c.mu.Lock()
	c.gone = true
	done, onEnd := c.done, c.onEnd
	c.mu.Unlock()
	if done != nil {
		close(done)
	}
	if onEnd != nil {
		onEnd()
	}
}

// CloseNow ends the connection without a closing handshake. What is queued is lost. It does nothing to a connection
// that has ended, and lets one that is ending by itself, because the peer has closed it, or it has failed, or somebody
// is in Conn.Close, send its close frame: that takes Limits.CloseTimeout at most, in the background, except that a
// handler of an HTTP/2 or HTTP/3 request is kept until then. So it can be deferred.
func (c *core) CloseNow() error {
	c.mu.Lock()
	ending := (c.finish != finishNone || c.flags.has(closing)) && !c.ended
	if c.finish == finishWait && !c.flushing && c.out.empty() {
		ending = false // only the server's end of the stream is missing
	}
	c.mu.Unlock()
	if !ending {
		c.end(ErrClosed)
	}
	if c.stream {
		<-c.Done() // if somebody else is ending it, too: afterwards the handler may return
	}
	return nil
}
