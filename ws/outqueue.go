package ws

// outQueue holds encoded frames that wait to be written, in order. While empty it holds no memory but its own struct.
// The connection's mutex guards it.
type outQueue struct {
	segments []segment
	inline   [1]segment // where segments starts, so that a short queue allocates nothing
	first    int        // the segments before it have been taken
	size     int        // bytes to be written, those of a segment that has been taken included
}

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
	if q.segments == nil {
		q.segments = q.inline[:0]
	}
	q.segments = append(q.segments, s)
}

// room returns the buffer at the end of the queue, with room for n more bytes. Whoever appends to it adds to size.
func (q *outQueue) room(n int) *buffer {
	if last := len(q.segments) - 1; last >= q.first && last >= 0 {
		if b := q.segments[last].own; b != nil && (cap(b.b)-len(b.b) >= n || len(b.b) < readSize) {
			b.grow(n)
			return b
		}
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
	s := q.segments[q.first]
	q.segments[q.first] = segment{}
	q.first++
	if q.first == len(q.segments) {
		q.segments, q.first = nil, 0
	}
	return s
}

// put returns what is left of a segment to the front.
func (q *outQueue) put(s segment) {
	if q.first > 0 {
		q.first--
		q.segments[q.first] = s
		return
	}
	q.add(segment{})
	copy(q.segments[1:], q.segments)
	q.segments[0] = s
}

// moveTo appends what is in q to other.
func (q *outQueue) moveTo(other *outQueue) {
	for _, s := range q.segments[min(q.first, len(q.segments)):] {
		other.add(s)
	}
	other.size += q.size
	*q = outQueue{}
}

// drop releases everything.
func (q *outQueue) drop() {
	for _, s := range q.segments[min(q.first, len(q.segments)):] {
		s.release()
	}
	*q = outQueue{}
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
