package channel

import "time"

// history is the messages that a channel keeps: a ring, oldest first, without gaps in the offsets.
type history struct {
	ring  []*Message // its length is a power of two, or zero
	first int        // the place of the oldest
	count int
	bytes int64
}

func (h *history) at(i int) *Message {
	return h.ring[(h.first+i)&(len(h.ring)-1)]
}

func (h *history) append(m *Message) {
	if h.count == len(h.ring) {
		h.grow()
	}
	h.ring[(h.first+h.count)&(len(h.ring)-1)] = m
	h.count++
	h.bytes += m.size()
}

func (h *history) grow() {
	ring := make([]*Message, max(2*len(h.ring), 1))
	for i := range h.count {
		ring[i] = h.at(i)
	}
	h.ring, h.first = ring, 0
}

func (h *history) dropOldest() {
	m := h.ring[h.first]
	h.ring[h.first] = nil
	h.first = (h.first + 1) & (len(h.ring) - 1)
	h.count--
	h.bytes -= m.size()
	if h.count == 0 {
		h.ring, h.first = nil, 0
	}
}

// trim drops what is beyond the bounds.
func (h *history) trim(s *Settings, now time.Time) {
	least := 0
	if s.KeepLast {
		least = 1
	}
	for h.count > least && (h.count > s.HistoryCount || h.bytes > s.HistoryBytes || now.Sub(h.at(0).Time) >= s.HistoryAge) {
		h.dropOldest()
	}
}

// find gives the message with an offset, if it is kept. last is the offset of the newest.
func (h *history) find(offset, last uint64) *Message {
	if behind := last - offset; behind < uint64(h.count) {
		return h.at(h.count - 1 - int(behind))
	}
	return nil
}
