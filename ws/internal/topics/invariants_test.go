package topics

import "testing"

// checkInvariants looks at a Registry from the inside: who points to whom, and what memory is held for it.
func checkInvariants(t *testing.T, r *Registry[*subscriber], subscribers []*subscriber) {
	t.Helper()
	members := 0
	for name, topic := range r.topics {
		if topic.name != name || len(topic.members) == 0 {
			t.Fatalf("topic %q, of %d members, is %q", topic.name, len(topic.members), name)
		}
		members += len(topic.members)
		for i, m := range topic.members {
			if at := *m.value.topics.at(m.slot); at.topic != topic || at.position != i {
				t.Fatalf("%s: member %d is %d in its set", name, i, at.position)
			}
		}
		checkList(t, topic.members)
		for c := topic.cursors; c != nil; c = c.next {
			if c.left < 0 || c.left > len(topic.members) {
				t.Fatalf("%s: %d of %d members left", name, c.left, len(topic.members))
			}
		}
	}
	if r.peak >= mapKept && len(r.topics) <= r.peak/4 || len(r.topics) > r.peak {
		t.Fatalf("a map for %d topics holds %d", r.peak, len(r.topics))
	}
	for _, s := range subscribers {
		if s.topics != nil {
			members -= s.topics.Len()
			checkSet(t, s)
		}
	}
	if members != 0 {
		t.Fatalf("%d more members than subscriptions", members)
	}
}

func checkSet(t *testing.T, s *subscriber) {
	t.Helper()
	n := s.topics.Len()
	for slot := range n {
		if at := s.topics.at(slot); at.topic.members[at.position] != (member[*subscriber]{s, slot}) {
			t.Fatalf("%d: slot %d is another's", s.id, slot)
		}
	}
	switch m := s.topics.more; {
	case n == 0:
		t.Fatalf("%d: an empty set", s.id)
	case n == 1:
		if m != nil {
			t.Fatalf("%d: one topic needs no more", s.id)
		}
	case m.index == nil:
		if n > indexAbove {
			t.Fatalf("%d: %d topics without an index", s.id, n)
		}
		checkList(t, m.list)
	default:
		if n <= searchUpTo || len(m.index) != n {
			t.Fatalf("%d: an index of %d for %d topics", s.id, len(m.index), n)
		}
		for slot := range n {
			if got, ok := m.index[s.topics.at(slot).topic]; !ok || got != slot {
				t.Fatalf("%d: slot %d is %d in the index", s.id, slot, got)
			}
		}
		checkList(t, m.list)
	}
}

// checkList tells whether a list is too long for what it holds, or holds what was removed.
func checkList[E comparable](t *testing.T, list []E) {
	t.Helper()
	if len(list) <= cap(list)/4 {
		t.Fatalf("%d entries in %d", len(list), cap(list))
	}
	var zero E
	for _, e := range list[len(list):cap(list)] {
		if e != zero {
			t.Fatal("a removed entry is still held")
		}
	}
}
