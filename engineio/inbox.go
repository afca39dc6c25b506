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
	begun   bool          // OnOpen has returned
	last    bool          // the end is in a batch, or was: nothing comes after it
	muted   atomic.Bool   // no message is handled any more
	over    atomic.Bool   // nobody waits for room any more
	held    atomic.Bool   // reading pauses
	room    chan struct{} // closed when it goes on
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
	if in.last { // a transport may have had it in hand
		in.mu.Unlock()
		return
	}
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
		e.crew.Handle((*worker)(s))
		s.yield()
	}
}

func (in *inbox) add(e event, data []byte) *batch {
	if in.batch == nil {
		in.batch = batches.Get().(*batch)
	}
	b := in.batch
	in.last = e.closed != nil
	b.events = append(b.events, e)
	b.bytes = append(b.bytes, data...)
	return b
}

// endsEarly reports whether OnOpen has yet to return. Then the end waits for that, and Session.begin tells of it.
func (in *inbox) endsEarly(why *CloseError) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.begun {
		in.add(event{closed: why}, nil)
	}
	return !in.begun
}

// begin notes that OnOpen has returned. It reports whether something waits to be handled, and how the session has ended
// already, if it has.
func (in *inbox) begin() (waits bool, why *CloseError) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.begun = true
	in.working = in.batch != nil
	if in.working {
		for _, e := range in.batch.events {
			if e.closed != nil {
				why = e.closed
			}
		}
	}
	return in.working, why
}

// postClosed has OnClose called, and never by the caller: who ends a session may hold locks that the handler needs, or be the
// heart of all.
func (s *Session) postClosed(why *CloseError) {
	in := &s.inbox
	in.mu.Lock()
	in.add(event{closed: why}, nil)
	start := !in.working
	in.working = true
	in.mu.Unlock()
	if start {
		s.server.crew.Handle((*worker)(s))
	}
}

// worker is a session that the server's crew works for.
type worker Session

// Work implements crew.Worker.
func (w *worker) Work() { (*Session)(w).work() }

// mute has no message handled any more, and nobody wait for that.
func (in *inbox) mute() {
	in.muted.Store(true)
	in.release()
}

// release has nobody wait for room any more: no more messages come.
func (in *inbox) release() {
	in.over.Store(true)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.makeRoom()
}

// makeRoom lets those go on who wait for room. mu is held.
func (in *inbox) makeRoom() {
	if in.room != nil {
		close(in.room)
		in.room = nil
	}
}

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
		resume := in.held.Load()
		if resume {
			in.held.Store(false)
		}
		if b == nil {
			in.working = false
		}
		in.makeRoom()
		in.mu.Unlock()
		if resume {
			s.resume()
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
	in := &s.inbox
	in.held.Store(true)
	if in.room == nil && !in.over.Load() {
		in.room = make(chan struct{})
	}
}

// crowded returns a channel that is closed when there is room for messages again; nil: there is.
func (in *inbox) crowded() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.room
}

// resume ends pause. What the client has sent meanwhile counts from now on.
func (s *Session) resume() {
	s.heard()
	if l := s.current(); l != nil {
		l.resume()
	}
}
