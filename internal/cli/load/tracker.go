package load

// maxMissing is how many messages a tracker remembers that have not come. Of those beyond it that come late it cannot be told that
// they are not duplicates.
const maxMissing = 1 << 14

// A tracker finds out what was lost, came twice or came late of messages that are numbered from 0.
type tracker struct {
	next    uint32 // one more than the highest that has come
	got     uint32 // different ones
	missing map[uint32]struct{}
}

// take takes a message. fresh: it has not come before. late: one behind it came first.
func (t *tracker) take(number uint32) (fresh, late bool) {
	if number < t.next {
		if _, ok := t.missing[number]; !ok {
			return false, false
		}
		delete(t.missing, number)
		t.got++
		return true, true
	}
	for n := t.next; n < number && len(t.missing) < maxMissing; n++ {
		if t.missing == nil {
			t.missing = make(map[uint32]struct{})
		}
		t.missing[n] = struct{}{}
	}
	t.next = number + 1
	t.got++
	return true, false
}
