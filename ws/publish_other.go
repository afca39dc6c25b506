//go:build !linux

package ws

// hub returns the hub of s.
func (s *Socket) hub() *hub { return s.server.portableHub() }

// eachHub calls f for all hubs.
func (s *Server) eachHub(f func(*hub)) {
	s.mu.Lock()
	portable := s.portable
	s.mu.Unlock()
	if portable != nil {
		f(portable)
	}
}
