package topics

// A Set is the topics of one subscriber: at least one, or the subscriber has none. A nil Set is empty.
//
// Most subscribers have one topic, or a few: the first needs nothing but the Set, and the others no map until
// there are many.
type Set[S any] struct {
	first subscription[S] // slot 0
	more  *more[S]        // nil for one topic
}

// A subscription is a topic, and the position of the subscriber among its members.
type subscription[S any] struct {
	topic    *topic[S]
	position int
}

// A more is what a Set has beyond its first topic.
type more[S any] struct {
	list  []subscription[S] // slots 1 and up
	index map[*topic[S]]int // the slot of every topic, once there are many
}

// Few topics are searched, many have an index. In between it stays as it is, for those who come and go.
const (
	indexAbove = 8
	searchUpTo = 4
)

// Len returns how many topics the subscriber has.
func (s *Set[S]) Len() int {
	switch {
	case s == nil || s.first.topic == nil:
		return 0
	case s.more == nil:
		return 1
	}
	return 1 + len(s.more.list)
}

func (s *Set[S]) at(slot int) *subscription[S] {
	if slot == 0 {
		return &s.first
	}
	return &s.more.list[slot-1]
}

// find returns the slot of t, or a negative number: t may be nil, too.
func (s *Set[S]) find(t *topic[S]) int {
	switch {
	case s == nil || t == nil:
		return -1
	case s.first.topic == t:
		return 0
	case s.more == nil:
		return -1
	case s.more.index != nil:
		if slot, ok := s.more.index[t]; ok {
			return slot
		}
		return -1
	}
	for i := range s.more.list {
		if s.more.list[i].topic == t {
			return i + 1
		}
	}
	return -1
}

// add adds t, which s does not have yet, and returns its slot.
func (s *Set[S]) add(t *topic[S], position int) (slot int) {
	if s.first.topic == nil {
		s.first = subscription[S]{t, position}
		return 0
	}
	if s.more == nil {
		s.more = new(more[S])
	}
	s.more.list = append(s.more.list, subscription[S]{t, position})
	slot = len(s.more.list)
	switch {
	case s.more.index != nil:
		s.more.index[t] = slot
	case s.Len() > indexAbove:
		s.reindex()
	}
	return slot
}

// remove empties a slot, which the last takes.
func (s *Set[S]) remove(slot int) {
	last := s.Len() - 1
	if last == 0 {
		s.first = subscription[S]{}
		return
	}
	if s.more.index != nil {
		delete(s.more.index, s.at(slot).topic)
	}
	if slot != last {
		moved := *s.at(last)
		*s.at(slot) = moved
		moved.topic.members[moved.position].slot = slot
		if s.more.index != nil {
			s.more.index[moved.topic] = slot
		}
	}
	s.shorten()
}

// shorten removes the last slot, which is not the only one. The index gives memory back when the list does.
func (s *Set[S]) shorten() {
	before := cap(s.more.list)
	s.more.list = pop(s.more.list)
	switch {
	case s.more.list == nil:
		s.more = nil
	case s.more.index == nil:
	case s.Len() <= searchUpTo:
		s.more.index = nil
	case cap(s.more.list) != before:
		s.reindex()
	}
}

func (s *Set[S]) reindex() {
	index := make(map[*topic[S]]int, s.Len())
	for slot := range s.Len() {
		index[s.at(slot).topic] = slot
	}
	s.more.index = index
}
