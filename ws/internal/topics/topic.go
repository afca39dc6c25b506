package topics

// A topic is a name and those who subscribe to it: at least one, or the Registry does not have it.
type topic[S any] struct {
	name    string
	members []member[S]
	cursors *cursor[S] // of the iterations under way
}

// A member is a subscriber, and the slot of its Set where it has this topic. It holds the subscriber itself, and not its
// Set, so that an iteration touches no memory but the list's.
type member[S any] struct {
	value S
	slot  int
}

// A cursor is how far an iteration over a topic's members has come. It goes from the last to the first: members[:left]
// are still to be visited, and who is appended meanwhile is out of its reach.
type cursor[S any] struct {
	left int
	next *cursor[S] // of the same topic, or spare
}

func (r *Registry[S]) begin(t *topic[S]) *cursor[S] {
	c := r.spare
	if c == nil {
		c = new(cursor[S])
	} else {
		r.spare = c.next
	}
	c.left, c.next = len(t.members), t.cursors
	t.cursors = c
	return c
}

func (r *Registry[S]) end(t *topic[S], c *cursor[S]) {
	at := &t.cursors
	for *at != c { // the first, unless iterations end in another order than they began, as with iter.Pull
		at = &(*at).next
	}
	*at = c.next
	c.next, r.spare = r.spare, c
}

// vacate removes the member at hole, and the topic if that was its last. The last member takes its place, but where
// cursors lie between them, it would be visited twice: there the last member still to be visited by the nearest cursor
// fills the hole and leaves one just behind that cursor, and so on to the end of the list.
func (r *Registry[S]) vacate(t *topic[S], hole int) {
	for end := 0; end < len(t.members); {
		end = len(t.members)
		for c := t.cursors; c != nil; c = c.next {
			if c.left > hole {
				end = min(end, c.left)
			}
		}
		for c := t.cursors; c != nil; c = c.next {
			if c.left == end {
				c.left--
			}
		}
		if hole != end-1 {
			m := t.members[end-1]
			t.members[hole] = m
			(*r.set(m.value)).at(m.slot).position = hole
			hole = end - 1
		}
	}
	t.members = pop(t.members)
	if len(t.members) == 0 {
		r.forget(t)
	}
}

// pop removes the last of list, and gives memory back when no more than a quarter of it is in use.
func pop[E any](list []E) []E {
	last := len(list) - 1
	clear(list[last:])
	list = list[:last]
	switch {
	case last == 0:
		return nil
	case last <= cap(list)/4:
		return append(make([]E, 0, cap(list)/2), list...)
	}
	return list
}
