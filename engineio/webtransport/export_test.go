package webtransport

import "time"

// Hasten has s not wait for clients to read what they were sent last.
func (s *Server) Hasten() { s.linger = time.Millisecond }
