package embedded

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// resolver is [net.Resolver].
type resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
}

const (
	lookEvery  = 10 * time.Second
	lookWithin = 5 * time.Second
	maxRoutes  = 64
)

// A scene is what the server is told of again when it has changed.
type scene struct {
	peers     []string  // that names stand for
	authority time.Time // when the file of it was changed
}

// lookAround has the server connect to every node that a name stands for, as those of a headless service in Kubernetes do, since NATS itself
// tries one of them; and believe the authority that is on the disk now.
func (s *Server) lookAround(ctx context.Context, dns resolver, now scene) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		now = s.look(ctx, dns, now)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look tells the server what is not as before, and says how it is now; as before, if the server did not take it.
func (s *Server) look(ctx context.Context, dns resolver, before scene) scene {
	now := scene{s.lookUp(ctx, dns), s.options.TLS.Authority()}
	if len(now.peers) == 0 {
		now.peers = before.peers
	}
	if now.authority.IsZero() {
		now.authority = before.authority
	}
	if slices.Equal(now.peers, before.peers) && now.authority.Equal(before.authority) || ctx.Err() != nil {
		return before
	}
	if err := s.tell(now); err != nil {
		s.log.Warn("the addresses of the other nodes, or their authority, were not taken", "error", err)
		return before
	}
	s.log.Debug("the other nodes are at", "addresses", now.peers, "authority", now.authority)
	return now
}

// lookUp gives the addresses of the names that have more than one.
func (s *Server) lookUp(ctx context.Context, dns resolver) (found []string) {
	for _, peer := range s.options.Peers {
		host, port, err := splitPeer(peer)
		if err != nil {
			continue
		}
		if _, err := netip.ParseAddr(host); err == nil {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, lookWithin)
		addresses, err := dns.LookupHost(bounded, host)
		cancel()
		if err != nil || len(addresses) < 2 || host == "localhost" { // which has one of each kind
			continue
		}
		for _, a := range addresses {
			found = append(found, net.JoinHostPort(a, strconv.Itoa(port)))
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return found[:min(len(found), maxRoutes)]
}

// tell adds peers to those that were given, and reads the authority.
func (s *Server) tell(now scene) error {
	given := s.given.Clone()
	for _, address := range now.peers {
		if route, err := s.options.route(address); err == nil {
			given.Routes = append(given.Routes, route)
		}
	}
	if s.options.TLS.Given() {
		secure, err := s.options.TLS.Mutual()
		if err != nil {
			return err
		}
		given.Cluster.TLSConfig = secure
	}
	return s.nats.ReloadOptions(given)
}
