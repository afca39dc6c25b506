package socketio

import (
	"slices"
	"sync"
	"sync/atomic"
)

// registry is event handlers by name. Events of all clients look at it, so that they take no lock.
type registry struct {
	mu  sync.Mutex // held by those who change it
	now atomic.Pointer[handlers]
}

// handlers are what a registry has at a time. They never change.
type handlers struct {
	list  []*handler
	every []*handler                            // of all events
	index atomic.Pointer[map[string][]*handler] // made by the first event, if there are many
}

// handler is a handler of events, once only if once.
type handler struct {
	name string
	call func(*Event)
	once bool
}

// fewHandlers is up to how many are looked through, name by name.
const fewHandlers = 16

// change has f say what is there from now on.
func (r *registry) change(f func(list, every []*handler) (newList, newEvery []*handler)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := new(handlers)
	if now := r.now.Load(); now != nil {
		next.list, next.every = now.list, now.every
	}
	next.list, next.every = f(next.list, next.every)
	r.now.Store(next)
}

func (r *registry) add(h *handler) (remove func()) {
	r.change(func(list, every []*handler) (_, _ []*handler) { return append(list, h), every })
	return func() { r.removeIf(func(other *handler) bool { return other == h }) }
}

func (r *registry) addAny(h *handler) (remove func()) {
	r.change(func(list, every []*handler) (_, _ []*handler) { return list, append(every, h) })
	return func() { r.removeAnyIf(func(other *handler) bool { return other == h }) }
}

func (r *registry) removeIf(match func(*handler) bool) {
	r.change(func(list, every []*handler) (_, _ []*handler) { return without(list, match), every })
}

func (r *registry) removeAnyIf(match func(*handler) bool) {
	r.change(func(list, every []*handler) (_, _ []*handler) { return list, without(every, match) })
}

// without returns a new list: somebody may be going through the old one.
func without(list []*handler, match func(*handler) bool) []*handler {
	return slices.DeleteFunc(slices.Clone(list), match)
}

// named returns the handlers among which those of a name are, in the order in which they were registered.
func (s *handlers) named(name string) []*handler {
	if len(s.list) <= fewHandlers {
		return s.list
	}
	index := s.index.Load()
	if index == nil {
		made := make(map[string][]*handler, len(s.list))
		for _, h := range s.list {
			made[h.name] = append(made[h.name], h)
		}
		index = &made
		s.index.Store(index)
	}
	return (*index)[name]
}

// call runs the handlers of an event, in the order in which they were registered.
func (r *registry) call(e *Event, name string) {
	now := r.now.Load()
	if now == nil {
		return
	}
	for _, h := range now.named(name) {
		if h.name != name {
			continue
		}
		if h.once && !r.take(h) {
			continue
		}
		h.call(e)
	}
}

// take removes a handler, and reports whether it was there.
func (r *registry) take(h *handler) bool {
	found := false
	r.removeIf(func(other *handler) bool {
		found = found || other == h
		return other == h
	})
	return found
}

func (r *registry) callAny(e *Event) {
	if now := r.now.Load(); now != nil {
		for _, h := range now.every {
			h.call(e)
		}
	}
}
