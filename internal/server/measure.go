package server

import "baro.dev/internal/metrics"

// state is what metrics ask for when somebody scrapes.
func (s *Server) state() metrics.State {
	ready, _ := s.ready()
	_, users := s.registry.Len()
	state := metrics.State{Ready: ready, Users: users, Channels: s.hub.Stats().Channels}
	if s.certificates != nil {
		state.CertificateExpiry = s.certificates.Expiry()
	}
	return state
}
