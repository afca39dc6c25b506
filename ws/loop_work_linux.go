package ws

import (
	"io"
	"sync"
)

const (
	// maxWaiting is how many bytes of messages may wait to be handled before reading pauses. What one read brings may go
	// past it.
	maxWaiting = 64 << 10
	// maxBatch is from how many bytes on the rest of one read is not even parsed: compressed, it may be a thousand times
	// as much.
	maxBatch = 256 << 10
	// itemBytes is what a message counts besides its bytes: there are empty ones.
	itemBytes = 64
)

// batch is what one read brought, in order, for the goroutine of the connection.
type batch struct {
	items []item
	chunk *buffer // where short messages are
	loan  *loan   // where the others are that have no buffer of their own
	lent  bool    // there are such
	first int     // the items before it have been done
	bytes int
	next  *batch
	last  *batch // of the list that begins here
}

// item is something for the connection's goroutine to do.
type item struct {
	kind    itemKind
	message Message
	own     *buffer // where the message is, if it is not in the chunk
	verdict *CloseError
	payload []byte // of a ping, or of the peer's close frame
}

type itemKind byte

const (
	itemMessage itemKind = iota
	itemPing             // answer a ping
	itemVerdict          // fail with the verdict, or without one answer the peer's close frame
	itemEnd              // the stream has failed with the verdict, or without one ended
	itemClosed           // call OnClose
)

var batches = sync.Pool{New: func() any { return new(batch) }}

func (b *batch) free() {
	if b.chunk != nil {
		b.chunk.free()
	}
	if b.loan != nil {
		b.loan.giveBack()
	}
	clear(b.items)
	*b = batch{items: b.items[:0]}
	if cap(b.items) <= 256 {
		batches.Put(b)
	}
}

// queue adds an item to the batch of the read at hand.
func (l *looped) queue(i item) *batch {
	local := l.local()
	if local.batch == nil {
		local.batch = batches.Get().(*batch)
	}
	b := local.batch
	b.items = append(b.items, i)
	return b
}

// queueMessage queues a message. What is short is copied, unless much has been read; a buffer of its own goes with it.
func (l *looped) queueMessage(m Message) {
	s := (*Socket)(l)
	s.postpone = true // what follows
	i := item{message: m}
	if s.msg != nil && len(m.Data) >= copySize {
		i.own, s.msg = s.msg, nil
		b := l.queue(i)
		b.bytes += cap(i.own.b) + itemBytes
		return
	}
	b := l.queue(i)
	if l.local().large && s.msg == nil {
		b.lent = true
		b.bytes += len(m.Data) + itemBytes
		return
	}
	it := &b.items[len(b.items)-1]
	if b.chunk == nil && len(m.Data) < readSize {
		b.chunk = newBuffer(len(m.Data) + min(len(s.rest), readSize)) // most of what follows fits as well
	}
	if chunk := b.chunk; chunk != nil && cap(chunk.b)-len(chunk.b) >= len(m.Data) {
		at := len(chunk.b)
		chunk.b = append(chunk.b, m.Data...)
		it.message.Data = chunk.b[at:len(chunk.b):len(chunk.b)]
	} else {
		it.own = newBuffer(len(m.Data))
		it.own.b = append(it.own.b, m.Data...)
		it.message.Data = it.own.b
	}
	b.bytes += len(m.Data) + itemBytes
	if s.msg != nil {
		s.release()
	}
}

// handOver passes the batch of the read at hand to the goroutine of the connection.
func (l *looped) handOver() {
	s := (*Socket)(l)
	loop := s.place.conn.Loop()
	local := l.local()
	b := local.batch
	if b == nil {
		return
	}
	local.batch = nil
	lent := b.lent
	if lent {
		b.loan, loop.Buffer = local.lend(loop.Buffer)
	}
	s.mu.Lock()
	first := s.place.work
	if first == nil {
		b.last = b
		s.place.work = b
	} else {
		first.bytes += b.bytes
		first.last.next = b
		first.last = b
	}
	if s.place.work.bytes > maxWaiting {
		s.flags.set(paused)
	}
	start := !s.flags.has(working)
	s.flags.set(working)
	s.mu.Unlock()
	if start {
		local.crew.Handle(l)
		if lent && local.lender.out.Load() >= maxLoans {
			loop.YieldNow() // so that some come back, while they are in the cache
		} else {
			loop.Yield()
		}
	}
}

// Work implements crew.Worker.
func (l *looped) Work() { (*Socket)(l).work() }

// work handles messages while there are any.
func (s *Socket) work() {
	var b *batch
	returned := false
	defer func() {
		if !returned { // a handler has ended the goroutine
			go s.workOn(b)
		}
	}()
	for {
		s.mu.Lock()
		b = s.place.work
		s.place.work = nil
		if b == nil {
			s.flags.clear(working)
		}
		resume := s.flags.take(paused)
		s.mu.Unlock()
		if b == nil {
			break
		}
		if resume {
			s.tr.attend()
		}
		s.workOff(&b)
	}
	returned = true
}

// workOn is work, beginning with b.
func (s *Socket) workOn(b *batch) {
	returned := false
	defer func() {
		if !returned {
			go s.workOn(b)
		}
	}()
	s.workOff(&b)
	returned = true
	s.work()
}

// workOff does what is in *list, which is always what is left to do.
func (s *Socket) workOff(list **batch) {
	corked := false
	for *list != nil {
		b := *list
		for b.first < len(b.items) {
			it := &b.items[b.first]
			b.first++
			more := b.first < len(b.items) || b.next != nil
			corked = corked || more
			s.workItem(it, more)
		}
		*list = b.next
		b.free()
	}
	if corked {
		s.flags.clear(moreInput)
		s.mu.Lock()
		s.flushLocked()
	}
}

func (s *Socket) workItem(it *item, more bool) {
	switch it.kind {
	case itemMessage:
		if handler := s.server.OnMessage; handler != nil && !s.flags.has(muted) {
			s.flags.put(moreInput, more)
			s.handle(handler, it.message)
		}
		if it.own != nil {
			it.own.free()
		}
	case itemPing:
		s.flags.put(moreInput, more)
		s.pong(it.payload)
	case itemVerdict:
		s.flags.clear(moreInput)
		if it.verdict != nil {
			s.fail(it.verdict)
		} else {
			_ = s.received(it.payload)
		}
	case itemEnd:
		s.flags.clear(moreInput)
		if it.verdict != nil {
			s.end(it.verdict)
		} else {
			s.endOfInput(io.EOF)
		}
	case itemClosed:
		s.closed()
	}
}

// halve is called when the descriptor is closed and when OnClose has returned: nothing is left after both.
func (s *Socket) halve() {
	if s.flags.bits.Or(halved)&halved != 0 {
		s.server.remove(s)
	}
}

// closed calls OnClose.
func (s *Socket) closed() {
	defer s.halve()
	if handler := s.server.OnClose; handler != nil {
		s.guard(func() { handler(s, s.Err()) })
	}
}

// closed has OnClose called, after the messages that wait.
func (l *looped) closed() {
	s := (*Socket)(l)
	if s.inline || s.server.OnClose == nil && !s.flags.has(working) {
		s.closed()
		return
	}
	l.queue(item{kind: itemClosed})
	l.handOver()
}
