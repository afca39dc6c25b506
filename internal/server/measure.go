package server

import "baro.dev/internal/metrics"

// state is what metrics ask for when somebody scrapes.
func (s *Server) state() metrics.State {
	ready, _ := s.ready()
	_, users := s.registry.Len()
	return metrics.State{Ready: ready, Users: users, Channels: s.hub.Stats().Channels}
}
