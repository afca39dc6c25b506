package socketio

import (
	"slices"
	"sync"
)

// registry is event handlers by name.
type registry struct {
	mu    sync.Mutex
	list  []*handler            // never changed in place but at its end
	index map[string][]*handler // nil while there are few
	any   []*handler
}

// handler is a handler of events, once only if once.
type handler struct {
	name string
	call func(*Event)
	once bool
}

// fewHandlers is up to how many are looked through, name by name.
const fewHandlers = 16

func (r *registry) add(h *handler) (remove func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, h)
	switch {
	case r.index != nil:
		r.index[h.name] = append(r.index[h.name], h)
	case len(r.list) > fewHandlers:
		r.reindex()
	}
	return func() { r.removeIf(func(other *handler) bool { return other == h }) }
}

func (r *registry) addAny(h *handler) (remove func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.any = append(r.any, h)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.any = without(r.any, func(other *handler) bool { return other == h })
	}
}

func (r *registry) reindex() {
	r.index = nil
	if len(r.list) > fewHandlers {
		r.index = make(map[string][]*handler, len(r.list))
		for _, h := range r.list {
			r.index[h.name] = append(r.index[h.name], h)
		}
	}
}

func (r *registry) removeIf(match func(*handler) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = without(r.list, match)
	r.reindex()
}

// without returns a new list: somebody may be going through the old one.
func without(list []*handler, match func(*handler) bool) []*handler {
	return slices.DeleteFunc(slices.Clone(list), match)
}

// call runs the handlers of an event, in the order in which they were registered.
func (r *registry) call(e *Event, name string) {
	r.mu.Lock()
	list := r.list
	if r.index != nil {
		list = r.index[name]
	}
	r.mu.Unlock()
	for _, h := range list {
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
	r.mu.Lock()
	list := r.any
	r.mu.Unlock()
	for _, h := range list {
		h.call(e)
	}
}
