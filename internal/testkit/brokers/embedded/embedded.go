// Package embedded starts nats-server within the process of a test. Only tests import it.
package embedded

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"baro.dev/internal/testkit"
)

// A Server is a nats-server within the process. Its methods are for the goroutine of the test.
type Server struct {
	// URL is where clients connect; it stays the same over Restart.
	URL string
	// Dir is where it keeps its streams.
	Dir string
	// Server is the running one; nil: it was stopped.
	*server.Server

	t       testing.TB
	options server.Options
	cluster []*Server // of which it is one; nil: alone
}

// NATS starts n servers with JetStream, each with a directory of its own, which end with the test; more than one make a cluster. It waits
// until JetStream can be used.
func NATS(t testing.TB, n int) []*Server {
	t.Helper()
	all, routes := make([]*Server, n), make([]*url.URL, n)
	addresses := testkit.FreeAddresses(t, 2*n)
	for i := range routes {
		routes[i] = &url.URL{Scheme: "nats-route", Host: addresses[n+i]}
	}
	for i := range all {
		s := &Server{t: t, URL: "nats://" + addresses[i], Dir: t.TempDir()}
		s.options = server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: port(addresses[i]), NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: s.Dir, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 30,
		}
		if n > 1 {
			s.options.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port(addresses[n+i])}
			s.options.Routes, s.cluster = routes, all
		}
		t.Cleanup(s.Stop)
		s.start()
		all[i] = s
	}
	for _, s := range all {
		s.wait()
	}
	return all
}

func (s *Server) start() {
	s.t.Helper()
	options := s.options
	started, err := server.NewServer(&options)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Server = started
	started.Start()
}

// wait waits until clients are answered, and JetStream has a leader that knows all of the cluster.
func (s *Server) wait() {
	s.t.Helper()
	for start := time.Now(); !s.ReadyForConnections(time.Second) || !s.JetStreamIsCurrent() || !s.led(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > testkit.Patience {
			s.t.Fatalf("%s is not ready", s.URL)
		}
	}
}

func (s *Server) led() bool {
	for _, other := range s.cluster {
		if other.Server != nil && other.JetStreamIsLeader() {
			return len(other.JetStreamClusterPeers()) == len(s.cluster)
		}
	}
	return s.cluster == nil
}

// Stop ends the server, and waits until it has. Nothing is done if it was stopped already.
func (s *Server) Stop() {
	if s.Server != nil {
		s.Shutdown()
		s.WaitForShutdown()
		s.Server = nil
	}
}

// Restart starts the server again, on the same port and with what it had; it is stopped first if it is there. It waits until clients are
// answered and JetStream can be used.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.start()
	s.wait()
}

func port(address string) int {
	_, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	return n
}
