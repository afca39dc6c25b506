package socketio

import "sync"

// hooks are what the application has registered with a namespace, or a parent of namespaces.
type hooks struct {
	events registry

	mu            sync.RWMutex
	middleware    []func(*Socket) error
	connection    []func(*Socket)
	disconnecting []func(*Socket, Reason)
	disconnect    []func(*Socket, Reason)
	serverSide    []serverSideHandler
}

type serverSideHandler struct {
	name    string
	handler func(args Args, answer func(value any))
}

func add[T any](h *hooks, list *[]T, v T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*list = append(*list, v)
}

// listed returns what is on a list now. Lists only grow, so that the slice stays as it is.
func listed[T any](h *hooks, list *[]T) []T {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return *list
}
