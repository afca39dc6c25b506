package engineio

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// inbox is what waits to be handled. Whoever finds nobody at work, works; and others leave what they have to him.
type inbox struct {
	mu      sync.Mutex
	batch   *batch
	working bool
	held    bool        // reading pauses
	muted   atomic.Bool // no message is handled any more
	room    chan struct{}
}

// batch is messages, in order.
type batch struct {
	events []event
	bytes  []byte // of the messages
}

// event is something for a handler: a message, or the end.
type event struct {
	size   int // of the message, whose bytes are in the batch, one behind the other
	binary bool
	closed *CloseError
}

var batches = sync.Pool{New: func() any { return new(batch) }}

const (
	// maxWaiting is how many bytes of messages may wait to be handled before reading pauses.
	maxWaiting = 256 << 10
	// eventBytes is what a message counts besides its bytes.
	eventBytes = 64
	// keepBytes is up to how many bytes a batch is used again.
	keepBytes = 64 << 10
)

func (b *batch) free() {
	clear(b.events)
	if cap(b.bytes) <= keepBytes && cap(b.events) <= 1024 {
		b.events, b.bytes = b.events[:0], b.bytes[:0]
		batches.Put(b)
	}
}

func (b *batch) weight() int { return len(b.bytes) + eventBytes*len(b.events) }

// deliver has a message handled. m.Data is lent.
func (s *Session) deliver(m Message) {
	e := s.server
	in := &s.inbox
	if in.muted.Load() || e.Arrive != nil && s.arrived(m) || e.OnMessage == nil {
		return
	}
	in.mu.Lock()
	if e.set.Inline && !in.working {
		in.working = true
		in.mu.Unlock()
		defer s.work() // deferred, since the handler may end the goroutine
		s.handle(m)
		return
	}
	b := in.add(event{size: len(m.Data), binary: m.Binary}, m.Data)
	start := !in.working
	in.working = true
	if b.weight() > maxWaiting {
		s.pause()
	}
	in.mu.Unlock()
	if start {
		e.crew.Handle(s)
		s.yield()
	}
}

func (in *inbox) add(e event, data []byte) *batch {
	if in.batch == nil {
		in.batch = batches.Get().(*batch)
	}
	b := in.batch
	b.events = append(b.events, e)
	b.bytes = append(b.bytes, data...)
	return b
}

// post has an event handled.
func (s *Session) post(ev event) {
	in := &s.inbox
	in.mu.Lock()
	in.add(ev, nil)
	start := !in.working
	in.working = true
	in.mu.Unlock()
	switch {
	case !start:
	case s.server.set.Inline:
		s.work()
	default:
		s.server.crew.Handle(s)
	}
}

// Work is for the server's crew.
func (s *Session) Work() { s.work() }

// work handles what waits.
func (s *Session) work() {
	in := &s.inbox
	var b *batch
	at, offset := 0, 0
	done := false
	defer func() {
		if !done { // a handler has ended the goroutine
			in.mu.Lock()
			b.events, b.bytes = b.events[at:], b.bytes[offset:]
			if next := in.batch; next != nil {
				b.events, b.bytes = append(b.events, next.events...), append(b.bytes, next.bytes...)
			}
			in.batch = b
			in.mu.Unlock()
			go s.work()
		}
	}()
	for {
		in.mu.Lock()
		b = in.batch
		in.batch = nil
		resume := in.held
		in.held = false
		if b == nil {
			in.working = false
		}
		room := in.room
		if resume {
			in.room = nil
		}
		in.mu.Unlock()
		if resume {
			s.resume(room)
		}
		if b == nil {
			break
		}
		cork := len(b.events) > 1
		if cork {
			s.cork()
		}
		at, offset = 0, 0
		for at < len(b.events) {
			ev := b.events[at]
			data := b.bytes[offset : offset+ev.size : offset+ev.size]
			at++
			offset += ev.size
			if ev.closed != nil {
				s.closed(ev.closed)
			} else if !in.muted.Load() {
				s.handle(Message{Data: data, Binary: ev.binary})
			}
		}
		if cork {
			s.uncork()
		}
		b.free()
	}
	done = true
}

// handle calls OnMessage.
func (s *Session) handle(m Message) {
	returned := false
	defer func() { s.after(returned, recover()) }()
	s.server.OnMessage(s, m)
	returned = true
}

// arrived calls Arrive.
func (s *Session) arrived(m Message) bool {
	returned := false
	defer func() { s.after(returned, recover()) }()
	dealt := s.server.Arrive(s, m)
	returned = true
	return dealt
}

// closed calls OnClose.
func (s *Session) closed(why *CloseError) {
	defer s.server.left()
	if handler := s.server.OnClose; handler != nil {
		returned := false
		defer func() { s.after(returned, recover()) }()
		handler(s, why)
		returned = true
	}
}

// after is deferred: a handler that panics with v, or ends its goroutine (runtime.Goexit), costs its own session only.
func (s *Session) after(returned bool, v any) {
	if returned {
		return
	}
	if v != nil {
		s.server.set.Logger.Error("handler panicked", "remote", s.addr, "panic", v, "stack", string(debug.Stack()))
		s.end(&CloseError{ForcedClose, fmt.Errorf("engineio: handler panicked: %v", v)})
		return
	}
	s.end(&CloseError{ForcedClose, errGoexit})
}

func (s *Session) current() link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

func (s *Session) cork() {
	if l := s.current(); l != nil {
		l.cork()
	}
}

func (s *Session) uncork() {
	if l := s.current(); l != nil {
		l.uncork()
	}
}

func (s *Session) yield() {
	if l := s.current(); l != nil {
		l.yield()
	}
}

// pause has nothing more read. inbox.mu is held. What has been resumed meanwhile pauses again with the next message.
func (s *Session) pause() {
	if l := s.current(); l != nil {
		l.pause()
	}
	if in := &s.inbox; !in.held {
		in.held = true
		in.room = make(chan struct{})
	}
}

// crowded returns a channel that is closed when there is room for messages again; nil: there is.
func (in *inbox) crowded() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.room
}

// resume ends pause.
func (s *Session) resume(room chan struct{}) {
	if l := s.current(); l != nil {
		l.resume()
	}
	close(room)
}
