package channel

import "sync/atomic"

// sharing keeps what was made of a message for its subscribers, for as long as the message is on its way to them.
type sharing struct {
	made atomic.Pointer[made] // newest first; [over] once the message was delivered
}

type made struct {
	key   any
	value any
	next  *made
}

// over ends a sharing: nothing made later is kept, or the history would hold each message in every encoding.
var over = new(made)

func (s *sharing) end() { s.made.Store(over) }

// Shared gives what encode makes of m. While m is being delivered (see [Subscriber]), subscribers that ask with the same
// key share one result: a broadcast is encoded once for each kind of subscriber, not once for each subscriber. At any
// other time encode is called.
//
// Two calls with one key must have the same T, and encode must not depend on anything but m. The result belongs to
// everybody and must not be changed. Shared may be called from any goroutine.
func Shared[T any](m *Message, key any, encode func(*Message) T) T {
	if m.sharing == nil {
		return encode(m)
	}
	return share(m.sharing, m, key, encode)
}

func share[M, T any](s *sharing, m M, key any, encode func(M) T) T {
	head := s.made.Load()
	if head == over {
		return encode(m)
	}
	for e := head; e != nil; e = e.next {
		if e.key == key {
			return e.value.(T)
		}
	}
	value := encode(m)
	// Where another goroutine was faster this result is simply not shared.
	s.made.CompareAndSwap(head, &made{key: key, value: value, next: head})
	return value
}
