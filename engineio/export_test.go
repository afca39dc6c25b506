package engineio

// Crowded reports whether reading waits for the session's handler.
func Crowded(s *Session) bool { return s.inbox.crowded() != nil }

// Beating reports whether the heart's goroutine exists.
func Beating(e *Server) bool {
	e.init()
	e.heart.mu.Lock()
	defer e.heart.mu.Unlock()
	return e.heart.running
}
