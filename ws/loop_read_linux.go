package ws

import (
	"io"
	"os"
	"sync"
	"syscall"
	"unicode/utf8"

	"baro.dev/ws/internal/frame"
)

// lingerRead is how much is read and dropped in one go.
const lingerReads = 16

// Ready implements eventloop.Handler.
func (l *looped) Ready(readable, hungUp, writable bool) {
	s := (*Socket)(l)
	if hungUp {
		s.place.hungUp = true
	}
	if writable && s.flags.has(wantRoom) {
		s.gotRoom()
	}
	if readable {
		l.readable()
	}
}

// readable reads once, into the loop's buffer or the message in progress, and handles what came.
func (l *looped) readable() {
	s := (*Socket)(l)
	p := &s.place
	switch {
	case p.shut:
		l.linger()
		return
	case p.stopped, !p.opened, s.flags.has(paused | halted):
		p.unread = true
		return
	case s.flags.has(inputOver):
		l.stop()
		p.unread = true
		return
	}
	l.takeInput()
	if len(s.rest) > 0 { // it was put off
		l.parse()
		p.conn.Again()
		return
	}
	dst := s.fillDirect()
	if dst == nil {
		dst = p.conn.Loop().Buffer
	}
	n, errno := p.conn.Read(dst)
	switch {
	case errno == syscall.EAGAIN:
		l.restInput()
		return
	case errno != 0:
		l.over(os.NewSyscallError("read", errno))
		return
	case n == 0:
		l.over(io.EOF)
		return
	}
	s.flags.set(heard)
	s.rest = dst[:n]
	s.flags.clear(putOff)
	local := l.local()
	local.large = n >= minLoan && !s.inline && &dst[0] == &p.conn.Loop().Buffer[0] && local.lender.out.Load() < maxLoans
	l.parse()
	local.large = false
	if n == len(dst) || p.hungUp { // otherwise all has been read: more makes an event
		p.conn.Again()
	}
}

// takeInput gives the connection the loop's input, unless it has one with something unfinished in it.
func (l *looped) takeInput() {
	s := (*Socket)(l)
	if s.input != nil {
		return
	}
	local := l.local()
	if s.input, local.input = local.input, nil; s.input == nil {
		s.input = inputs.Get().(*input)
	}
	s.parser.Init(&s.set.Rules, true, s.deflate != nil)
}

var inputs = sync.Pool{New: func() any { return new(input) }}

// restInput gives it back if nothing is unfinished.
func (l *looped) restInput() {
	s := (*Socket)(l)
	in := s.input
	if in == nil || in.parser.Within() || in.msg != nil || in.ctl != nil || len(in.rest) > 0 {
		return
	}
	s.input = nil
	in.rest, in.postpone = nil, false
	if local := l.local(); local.input == nil {
		local.input = in
	} else {
		inputs.Put(in)
	}
}

// parse handles all that has come. It is not left in the loop's buffer.
func (l *looped) parse() {
	s := (*Socket)(l)
	s.postpone = !s.inline && s.flags.has(working)
	local := l.local()
	for {
		if len(s.rest) > 0 && (s.flags.has(halted) || local.batch != nil && local.batch.bytes > maxBatch) {
			l.putOff()
			break
		}
		if opcode, payload, n := s.parser.Whole(s.rest); n > 0 && (opcode == frame.Binary || utf8.Valid(payload)) {
			s.rest = s.rest[n:]
			l.message(Message{MessageType(opcode), payload})
			continue
		} else if n > 0 {
			l.failed(s.refuse(invalidText()))
			break
		}
		ev, err := s.core.next()
		if err == nil && ev.None {
			break
		}
		var m Message
		complete := false
		if err == nil {
			m, complete, err = s.collect(ev)
		}
		if err != nil {
			l.failed(err)
			break
		}
		if complete {
			l.message(m)
		}
	}
	if s.buf != nil {
		readBuffers.Put(s.buf)
		s.buf = nil
	}
	l.handOver()
	if s.place.corked {
		s.place.corked = false
		s.flags.clear(moreInput)
		s.mu.Lock()
		s.flushLocked()
	}
	l.restInput()
}

// putOff keeps what has not been parsed until reading goes on.
func (l *looped) putOff() {
	s := (*Socket)(l)
	if !s.flags.has(putOff) {
		s.rest = append([]byte(nil), s.rest...)
		s.flags.set(putOff)
	}
	s.place.unread = true
}

// failed ends the input.
func (l *looped) failed(err error) {
	s := (*Socket)(l)
	if err == errPostponed {
		l.queue(item{kind: itemVerdict, verdict: s.verdict, payload: s.goodbye})
		s.verdict, s.goodbye = nil, nil
	}
	l.stop()
}

// over is called at the end of the stream.
func (l *looped) over(err error) {
	s := (*Socket)(l)
	if s.flags.has(working) && !s.inline {
		i := item{kind: itemEnd}
		if err != io.EOF {
			i.verdict = lost(err)
		}
		l.queue(i)
		l.handOver()
		l.stop()
		return
	}
	l.stop()
	s.endOfInput(err)
}

// stop has nothing parsed any more.
func (l *looped) stop() {
	s := (*Socket)(l)
	s.place.stopped = true
	if s.input != nil {
		s.rest = nil
	}
}

// message has a message handled: now, or by the goroutine of the connection.
func (l *looped) message(m Message) {
	s := (*Socket)(l)
	if s.set.idleTimeout > 0 {
		s.flags.set(messaged)
	}
	handler := s.server.OnMessage
	switch {
	case handler == nil || s.flags.has(muted):
	case !s.inline:
		l.queueMessage(m)
		return
	default:
		more := len(s.rest) > 0
		s.place.corked = s.place.corked || more
		s.flags.put(moreInput, more)
		s.handle(handler, m)
	}
	if s.msg != nil {
		s.release()
	}
}

// linger drops what comes until the peer has understood that the connection has failed.
func (l *looped) linger() {
	s := (*Socket)(l)
	for range lingerReads {
		buffer := s.place.conn.Loop().Buffer
		n, errno := s.place.conn.Read(buffer)
		s.place.lingered += int32(n)
		switch {
		case errno == syscall.EAGAIN:
			return
		case errno != 0 || n == 0 || s.place.lingered >= lingerBytes:
			s.end(nil)
			return
		}
	}
	s.place.conn.Again()
}
