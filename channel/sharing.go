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

func (s *sharing) end() {
	head := s.made.Swap(over)
	if head == over {
		return
	}
	for e := head; e != nil; e = e.next {
		if g, ok := e.value.(Gathering); ok {
			g.Delivered()
		}
	}
}

// A Gathering is what subscribers gather in that get a message together: see [Gather].
type Gathering interface {
	// Delivered is called once, when everybody has been handed the message. What holds for [Subscriber.Deliver] holds for it.
	Delivered()
}

// Gather gives, within a subscriber's Deliver, what all subscribers that ask with the same key share while m is being
// delivered, and which is told at the end of that: a transport that sends to many at once puts those there that m is for. Where
// there is nothing of the kind create makes it. If m is not being delivered, but handed to a newcomer, ok is false.
//
// Two calls with one key must have the same T, and [Shared] must be called with other keys.
func Gather[T Gathering](m *Message, key any, create func(*Message) T) (gathering T, ok bool) {
	if m.sharing == nil {
		return gathering, false
	}
	for {
		head := m.sharing.made.Load()
		if head == over {
			return gathering, false
		}
		for e := head; e != nil; e = e.next {
			if e.key == key {
				return e.value.(T), true
			}
		}
		if gathering = create(m); m.sharing.made.CompareAndSwap(head, &made{key: key, value: gathering, next: head}) {
			return gathering, true
		}
	}
}

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
