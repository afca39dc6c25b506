package ws

import "sync"

// outQueue holds encoded frames that wait to be written, in order. While empty it holds no memory but its own struct.
// The connection's mutex guards it.
type outQueue struct {
	list *segmentList // nil: nothing waits
	size int          // bytes to be written, those of a segment that has been taken included
}

// segmentList is a list of segments from a pool.
type segmentList struct {
	segments []segment
	first    int // those before it have been taken
}

var segmentLists = sync.Pool{New: func() any { return &segmentList{segments: make([]segment, 0, 4)} }}

// maxPooledSegments is the longest list that goes back to the pool.
const maxPooledSegments = 1 << 10

// segment is a run of frames: in a buffer of the pool, or in bytes shared with other connections.
type segment struct {
	own    *buffer
	shared []byte
	off    int // bytes that have been written
}

// shareSize is the size from which shared bytes are queued as they are; fewer are cheaper to copy.
const shareSize = 4 << 10

func (q *outQueue) empty() bool { return q.size == 0 }

func (q *outQueue) add(s segment) {
	if q.list == nil {
		q.list = segmentLists.Get().(*segmentList)
	}
	q.list.segments = append(q.list.segments, s)
}

// waiting are the segments that have not been taken.
func (q *outQueue) waiting() []segment {
	if q.list == nil {
		return nil
	}
	return q.list.segments[q.list.first:]
}

// clear lets go of a list whose segments have all been taken.
func (q *outQueue) clear() {
	if l := q.list; l != nil {
		q.list = nil
		clear(l.segments)
		l.segments, l.first = l.segments[:0], 0
		if cap(l.segments) <= maxPooledSegments {
			segmentLists.Put(l)
		}
	}
}

// last returns the buffer at the end of the queue, nil if there is none.
func (q *outQueue) last() *buffer {
	if waiting := q.waiting(); len(waiting) > 0 {
		return waiting[len(waiting)-1].own
	}
	return nil
}

// room returns the buffer at the end of the queue, with room for n more bytes. Whoever appends to it adds to size.
func (q *outQueue) room(n int) *buffer {
	if b := q.last(); b != nil && (cap(b.b)-len(b.b) >= n || len(b.b) < readSize) {
		b.grow(n)
		return b
	}
	b := newBuffer(n)
	q.add(segment{own: b})
	return b
}

// copy queues a copy of p.
func (q *outQueue) copy(p []byte) {
	b := q.room(len(p))
	b.b = append(b.b, p...)
	q.size += len(p)
}

// share queues p itself if that is worth it. Nobody may change p any more.
func (q *outQueue) share(p []byte) {
	if len(p) < shareSize {
		q.copy(p)
		return
	}
	q.add(segment{shared: p})
	q.size += len(p)
}

// take removes the first segment to have it written; its bytes stay counted in size until then.
func (q *outQueue) take() segment {
	l := q.list
	s := l.segments[l.first]
	l.segments[l.first] = segment{}
	l.first++
	if l.first == len(l.segments) {
		q.clear()
	}
	return s
}

// maxGather is how many bytes of several segments are copied to be written as one: a system call costs more.
const maxGather = 64 << 10

// takeSome is take for as many segments as can be written as one.
func (q *outQueue) takeSome() segment {
	s := q.take()
	size, n := len(s.pending()), 0
	for _, next := range q.waiting() {
		if size+len(next.pending()) > maxGather {
			break
		}
		size += len(next.pending())
		n++
	}
	if n == 0 {
		return s
	}
	b := newBuffer(size)
	for {
		b.b = append(b.b, s.pending()...)
		s.release()
		if n == 0 {
			return segment{own: b}
		}
		s = q.take()
		n--
	}
}

// put returns what is left of a segment to the front.
func (q *outQueue) put(s segment) {
	if l := q.list; l != nil && l.first > 0 {
		l.first--
		l.segments[l.first] = s
		return
	}
	q.add(segment{})
	copy(q.list.segments[1:], q.list.segments)
	q.list.segments[0] = s
}

// moveTo appends what is in q to other.
func (q *outQueue) moveTo(other *outQueue) {
	for _, s := range q.waiting() {
		other.add(s)
	}
	other.size += q.size
	q.size = 0
	q.clear()
}

// drop releases everything.
func (q *outQueue) drop() {
	for _, s := range q.waiting() {
		s.release()
	}
	q.size = 0
	q.clear()
}

// pending is what is still to be written.
func (s *segment) pending() []byte {
	if s.own != nil {
		return s.own.b[s.off:]
	}
	return s.shared[s.off:]
}

func (s *segment) release() {
	if s.own != nil {
		s.own.free()
		s.own = nil
	}
}
