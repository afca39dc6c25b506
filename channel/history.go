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
func (h *history) trim(o *Options, now time.Time) {
	for h.count > 0 && (h.count > o.HistoryCount || h.bytes > o.HistoryBytes || now.Sub(h.at(0).Time) >= o.HistoryAge) {
		h.dropOldest()
	}
}
