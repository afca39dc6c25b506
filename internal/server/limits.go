package server

import (
	"context"
	"log/slog"

	"golang.org/x/time/rate"
)

// setLimits has the bounds of a configuration hold, for what comes from now on. It may be called at any time.
func (s *Server) setLimits(p *parts) {
	s.trusted.Store(&p.trusted)
	most := s.connections.descriptors.room(p.MaxConnections)
	if most < p.MaxConnections && s.connections.max.Load() != int64(most) { // and it is not said again at a reload
		level := slog.LevelWarn
		if p.MaxConnections == defaultMaxConnections { // nobody has asked for so many
			level = slog.LevelInfo
		}
		s.log.Log(context.Background(), level, "there are too few descriptors for max_connections: it is lowered; ulimit -n, LimitNOFILE= in a unit, raises them",
			"max_connections", p.MaxConnections, "lowered_to", most, "descriptors", s.connections.descriptors.most)
	}
	s.connections.max.Store(int64(most))
	s.connections.hosts.bound(p.MaxConnectionsPerAddress)
	s.slots.bound(most)
	limit := rate.Inf
	if p.ConnectRate > 0 {
		limit = rate.Limit(p.ConnectRate)
	}
	if old := s.connects.Load(); old == nil || old.Limit() != limit || old.Burst() != p.ConnectBurst {
		s.connects.Store(rate.NewLimiter(limit, p.ConnectBurst))
	}
	s.paces.Store(&paces{float64(p.MessageRate), float64(p.ByteRate)})
	if s.registry != nil {
		s.registry.SetBounds(p.MaxChannelsPerConnection, p.MaxConnectionsPerUser)
	}
}

// lets says whether there may be another client, by the rate at which they come.
func (s *Server) lets() bool { return s.connects.Load().Allow() }

// Capacity is how many connections there may be, which is Config.MaxConnections or as many as there are descriptors for, and how many
// descriptors there are; 0: that is not known.
func (s *Server) Capacity() (connections, descriptors int) {
	return int(s.connections.max.Load()), s.connections.descriptors.most
}
