package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
)

// namespaces are networks of the system, each for one node, which a bridge joins: a node is cut off by taking its plug out of the bridge, so
// that nobody is told anything: packets are lost. The test reaches each node past the bridge.
type namespaces struct {
	t       *testing.T
	bridge  string   // the namespace that the bridge is in
	names   []string // of the others
	joined  []string // addresses, to each other
	reached []string // addresses, to the test
}

// startNamespaces makes namespaces, or skips the test: that needs rights that not everybody has.
func startNamespaces(t *testing.T, n int) *namespaces {
	t.Helper()
	const ip = "/usr/sbin/ip"
	if _, err := os.Stat(ip); err != nil || os.Geteuid() != 0 {
		t.Skip("network namespaces need the superuser, and iproute2")
	}
	tag, net := os.Getpid()%100_000, 1+rand.IntN(250)
	s := &namespaces{t: t, bridge: fmt.Sprintf("baro%d", tag)}
	if text, err := exec.Command(ip, "netns", "add", s.bridge).CombinedOutput(); err != nil {
		t.Skipf("network namespaces cannot be made: %v, %s", err, text)
	}
	t.Cleanup(func() { s.do("netns", "del", s.bridge) })
	s.do("-n", s.bridge, "link", "add", "bridge", "type", "bridge")
	s.do("-n", s.bridge, "link", "set", "bridge", "up")
	for i := range n {
		name := fmt.Sprintf("baro%d-%d", tag, i)
		s.do("netns", "add", name)
		t.Cleanup(func() { s.do("netns", "del", name) })
		port, way := fmt.Sprintf("port%d", i), fmt.Sprintf("baro%d.%d", tag, i)
		s.names = append(s.names, name)
		s.joined = append(s.joined, fmt.Sprintf("10.213.%d.%d", net, 1+i))
		s.reached = append(s.reached, fmt.Sprintf("10.214.%d.%d", net, 4*i+2))
		s.do("-n", name, "link", "set", "lo", "up")
		s.do("-n", s.bridge, "link", "add", port, "type", "veth", "peer", "name", "net", "netns", name)
		s.do("-n", s.bridge, "link", "set", port, "master", "bridge", "up")
		s.do("-n", name, "address", "add", s.joined[i]+"/24", "dev", "net")
		s.do("-n", name, "link", "set", "net", "up")
		s.do("link", "add", way, "type", "veth", "peer", "name", "test", "netns", name)
		s.do("address", "add", fmt.Sprintf("10.214.%d.%d/30", net, 4*i+1), "dev", way)
		s.do("link", "set", way, "up")
		s.do("-n", name, "address", "add", s.reached[i]+"/30", "dev", "test")
		s.do("-n", name, "link", "set", "test", "up")
	}
	return s
}

func (s *namespaces) do(args ...string) {
	s.t.Helper()
	if text, err := exec.Command("/usr/sbin/ip", args...).CombinedOutput(); err != nil {
		s.t.Fatalf("ip %q: %v, %s", args, err, text)
	}
}

// cut cuts one off from the others.
func (s *namespaces) cut(i int) {
	s.t.Helper()
	s.do("-n", s.bridge, "link", "set", fmt.Sprintf("port%d", i), "down")
}

func (s *namespaces) heal(i int) {
	s.t.Helper()
	s.do("-n", s.bridge, "link", "set", fmt.Sprintf("port%d", i), "up")
}
