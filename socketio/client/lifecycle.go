package client

import "sync"

// happening is something that happens to a manager.
type happening int

const (
	reconnecting happening = iota
	reconnected
	reconnectFailed
	gaveUp
	pinged
)

// lifecycle is who wants to know what happens to a manager.
type lifecycle struct {
	mu       sync.Mutex
	handlers []func(what happening, err error, attempt int)
}

func (l *lifecycle) add(f func(happening, error, int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers = append(l.handlers, f)
}

func (l *lifecycle) tell(what happening, err error, attempt int) {
	l.mu.Lock()
	all := l.handlers
	l.mu.Unlock()
	for _, f := range all {
		f(what, err, attempt)
	}
}

// on registers a handler of one kind. Those of managers are called by the goroutine to which it happens: they must not wait.
func (m *Manager) on(what happening, f func(err error, attempt int)) {
	m.events.add(func(w happening, err error, attempt int) {
		if w == what {
			f(err, attempt)
		}
	})
}

// OnReconnectAttempt registers a handler that is called before each attempt to connect again (reconnect_attempt), the first being 1. It
// must not wait; that holds for all handlers of a manager.
func (m *Manager) OnReconnectAttempt(f func(attempt int)) {
	m.on(reconnecting, func(_ error, attempt int) { f(attempt) })
}

// OnReconnect registers a handler that is called when there is a connection again (reconnect).
func (m *Manager) OnReconnect(f func()) { m.on(reconnected, func(error, int) { f() }) }

// OnReconnectError registers a handler that is called when a connection could not be made (error, reconnect_error).
func (m *Manager) OnReconnectError(f func(error)) {
	m.on(reconnectFailed, func(err error, _ int) { f(err) })
}

// OnReconnectFailed registers a handler that is called when no more attempts are made (reconnect_failed).
func (m *Manager) OnReconnectFailed(f func()) { m.on(gaveUp, func(error, int) { f() }) }

// OnPing registers a handler that is called for each ping of the server (ping).
func (m *Manager) OnPing(f func()) { m.on(pinged, func(error, int) { f() }) }
