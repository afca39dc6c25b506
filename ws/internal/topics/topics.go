// Package topics keeps who subscribes to what: the subscribers of a topic, to publish to them, and the topics of a
// subscriber, to leave them all when its connection ends.
//
// Neither side is a map of the other: a topic has a dense list of its subscribers and a subscriber one of its topics,
// and each entry knows where its counterpart is. So publishing is a walk over a slice, and it takes as many steps to
// subscribe and to unsubscribe whether the subscriber has one topic or 100,000, and the topic one subscriber or a
// million. Lists and maps grow and shrink now and then, at the expense of the call at hand.
package topics

import (
	"iter"
	"maps"
	"strings"
)

// A Registry is the topics of one event loop and their subscribers, which are of type S: connections. It is made by New.
//
// It is not safe for concurrent use: whoever owns it, as a loop does, or holds the lock that guards it, serialises every
// call, iterations from beginning to end included. The same holds for the field of each subscriber that New is told of.
type Registry[S any] struct {
	set    func(S) **Set[S]
	topics map[string]*topic[S]
	peak   int        // most topics since the map was made, which never shrinks by itself
	spare  *cursor[S] // cursors for iterations to come, as many as there have been at a time
}

// New returns a Registry without topics. What a subscriber subscribes to is kept where set says, a field of the
// subscriber's own: nil for as long as it has no topic, and changed by the Registry alone. A subscriber belongs to one
// Registry.
func New[S any](set func(S) **Set[S]) *Registry[S] {
	return &Registry[S]{set: set}
}

// Subscribe adds s to the subscribers of topic, and reports whether it was not one of them before. A new topic's name is
// copied, so that it keeps no message alive that it was cut from. Neither the length of names nor the number of topics is
// bounded here: that is the caller's to do, by Set.Len and Registry.Len.
func (r *Registry[S]) Subscribe(s S, topic string) (added bool) {
	set := r.set(s)
	t := r.topics[topic]
	if t == nil {
		t = r.create(strings.Clone(topic))
	} else if (*set).find(t) >= 0 {
		return false
	}
	if *set == nil {
		*set = new(Set[S])
	}
	slot := (*set).add(t, len(t.members))
	t.members = append(t.members, member[S]{s, slot})
	return true
}

// Unsubscribe removes s from the subscribers of topic, and reports whether it was one of them.
func (r *Registry[S]) Unsubscribe(s S, topic string) (removed bool) {
	set := r.set(s)
	t := r.topics[topic]
	slot := (*set).find(t)
	if slot < 0 {
		return false
	}
	r.vacate(t, (*set).at(slot).position)
	(*set).remove(slot)
	if (*set).Len() == 0 {
		*set = nil
	}
	return true
}

// Leave unsubscribes s from all its topics, as when its connection ends.
func (r *Registry[S]) Leave(s S) {
	set := r.set(s)
	for slot := range (*set).Len() {
		at := (*set).at(slot)
		r.vacate(at.topic, at.position)
	}
	*set = nil
}

// Has reports whether s subscribes to topic.
func (r *Registry[S]) Has(s S, topic string) bool {
	return (*r.set(s)).find(r.topics[topic]) >= 0
}

// Len returns how many topics have subscribers.
func (r *Registry[S]) Len() int { return len(r.topics) }

// Count returns how many subscribers topic has.
func (r *Registry[S]) Count(topic string) int {
	if t := r.topics[topic]; t != nil {
		return len(t.members)
	}
	return 0
}

// All iterates over the subscribers of topic, in no particular order. In the course of it anybody may be subscribed and
// unsubscribed, and other iterations may begin and end. Whoever is subscribed from its beginning to its end is visited
// exactly once; who is unsubscribed is not visited from then on, not even if subscribed again; and who is subscribed
// after its beginning is not visited.
func (r *Registry[S]) All(topic string) iter.Seq[S] {
	return func(yield func(S) bool) {
		t := r.topics[topic]
		if t == nil {
			return
		}
		c := r.begin(t)
		defer r.end(t, c) // even if the loop's body panics
		for c.left > 0 {
			c.left--
			if !yield(t.members[c.left].value) {
				return
			}
		}
	}
}

// Topics iterates over the topics of s, in no particular order. In the course of it s may be unsubscribed from the topic
// at hand, and subscribed to others, which are not visited. If s is unsubscribed from one that was still to come, a topic
// may be visited twice, but none that stays is left out.
func (r *Registry[S]) Topics(s S) iter.Seq[string] {
	return func(yield func(string) bool) {
		set := r.set(s)
		for slot := (*set).Len() - 1; slot >= 0; slot = min(slot, (*set).Len()) - 1 {
			if !yield((*set).at(slot).topic.name) {
				return
			}
		}
	}
}

// mapKept is how many topics the map has had, at least, before it is worth being made anew for fewer.
const mapKept = 64

// create adds the topic of that name, which has no subscriber yet.
func (r *Registry[S]) create(name string) *topic[S] {
	if r.topics == nil {
		r.topics = make(map[string]*topic[S])
	}
	t := &topic[S]{name: name}
	r.topics[name] = t
	r.peak = max(r.peak, len(r.topics))
	return t
}

// forget removes a topic that has no subscriber left.
func (r *Registry[S]) forget(t *topic[S]) {
	delete(r.topics, t.name)
	if r.peak < mapKept || len(r.topics) > r.peak/4 {
		return
	}
	topics := make(map[string]*topic[S], len(r.topics))
	maps.Copy(topics, r.topics)
	r.topics, r.peak = topics, len(topics)
}
