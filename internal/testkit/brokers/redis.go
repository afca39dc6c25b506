package brokers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/testkit"
)

// slots is how many hash slots a Redis Cluster has.
const slots = 16384

// RedisCluster starts n masters that share the slots, and waits until each of them knows all. args are added to their command lines.
func RedisCluster(t testing.TB, n int, args ...string) []*Server {
	t.Helper()
	all := make([]*Server, n)
	for i := range all {
		all[i] = clusterNode(t, args)
		first, last := slots*i/n, slots*(i+1)/n-1
		all[i].mustDo("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last))
		all[i].mustDo("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		all[i].meet(all[0])
	}
	for _, s := range all {
		s.mustWait(func() error { return s.clusterIs("cluster_state:ok", fmt.Sprintf("cluster_known_nodes:%d\r", n)) })
	}
	return all
}

// Replica starts a replica of a master of a Redis Cluster, and waits until it has all that the master has, and all nodes know it: without
// that it would not be voted for.
func Replica(t testing.TB, master *Server, args ...string) *Server {
	t.Helper()
	s := clusterNode(t, args)
	s.meet(master)
	id := master.mustDo("CLUSTER", "MYID")
	s.mustWait(func() error {
		_, err := s.Do("CLUSTER", "REPLICATE", id)
		return err
	})
	s.mustWait(s.inSync)
	known := regexp.MustCompile(s.mustDo("CLUSTER", "MYID") + ` \S+ (myself,)?slave ` + id)
	for _, addr := range nodes(master.mustDo("CLUSTER", "NODES")) {
		s.mustWait(func() error {
			all, err := do(addr, "CLUSTER", "NODES")
			if err == nil && !known.MatchString(all) {
				err = fmt.Errorf("%s does not know the replica", addr)
			}
			return err
		})
	}
	return s
}

// nodes are the addresses of nodes that live.
func nodes(text string) (all []string) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) > 2 && !strings.Contains(fields[2], "fail") {
			addr, _, _ := strings.Cut(fields[1], "@")
			all = append(all, addr)
		}
	}
	return all
}

func clusterNode(t testing.TB, args []string) *Server {
	t.Helper()
	bus := testkit.FreePort(t)
	return start(t, "redis-server", func(port string) func(string) []string {
		return func(dir string) []string {
			return append(append(redisArgs(port, dir),
				"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", bus, "--cluster-node-timeout", "1000",
				"--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"), args...)
		}
	}, redisReady)
}

func (s *Server) meet(other *Server) {
	if s == other {
		return
	}
	// others are told the port of the node's bus beside its own; see CLUSTER MEET
	for line := range strings.Lines(other.mustDo("CLUSTER", "NODES")) {
		if !strings.Contains(line, "myself") {
			continue
		}
		_, rest, _ := strings.Cut(line, "@")
		bus, _, _ := strings.Cut(rest, " ")
		bus, _, _ = strings.Cut(bus, ",")
		s.mustDo("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(other.Port()), bus)
	}
}

func (s *Server) clusterIs(lines ...string) error {
	info, err := s.Do("CLUSTER", "INFO")
	if err != nil {
		return err
	}
	for _, line := range lines {
		if !strings.Contains(info, line) {
			return fmt.Errorf("no %q in %q", line, info)
		}
	}
	return nil
}

func (s *Server) inSync() error {
	info, err := s.Do("INFO", "replication")
	if err == nil && (!strings.Contains(info, "role:slave") || !strings.Contains(info, "master_link_status:up")) {
		err = fmt.Errorf("no replica yet: %q", info)
	}
	return err
}

// Sentinels are a master, a replica, and three sentinels that watch over them and agree by two.
type Sentinels struct {
	Name            string // of the master, to the sentinels
	Master, Replica *Server
	Sentinels       []*Server
}

// Addrs are those of the sentinels.
func (s *Sentinels) Addrs() []string {
	var all []string
	for _, one := range s.Sentinels {
		all = append(all, one.Addr)
	}
	return all
}

// Sentinel starts Redis with sentinels, which take a master for gone after a second.
func Sentinel(t testing.TB) *Sentinels {
	t.Helper()
	s := &Sentinels{Name: "main", Master: Redis(t, "--repl-diskless-sync-delay", "0")}
	s.Replica = Redis(t, "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1 "+strconv.Itoa(s.Master.Port()))
	s.Replica.mustWait(s.Replica.inSync)
	for range 3 {
		one := start(t, "redis-server", func(port string) func(string) []string {
			return func(dir string) []string {
				conf := filepath.Join(dir, "sentinel.conf") // which sentinels have to have, and write to
				if f, err := os.OpenFile(conf, os.O_CREATE, 0o600); err == nil {
					f.Close()
				}
				return []string{conf, "--sentinel", "--bind", "127.0.0.1", "--port", port, "--dir", dir}
			}
		}, redisReady)
		one.mustDo("SENTINEL", "MONITOR", s.Name, "127.0.0.1", strconv.Itoa(s.Master.Port()), "2")
		one.mustDo("SENTINEL", "SET", s.Name, "down-after-milliseconds", "1000")
		one.mustDo("SENTINEL", "SET", s.Name, "failover-timeout", "5000")
		s.Sentinels = append(s.Sentinels, one)
	}
	for _, one := range s.Sentinels {
		one.mustWait(func() error {
			info, err := one.Do("INFO", "sentinel")
			if err == nil && !strings.Contains(info, "slaves=1,sentinels=3") {
				err = fmt.Errorf("not complete: %q", info)
			}
			return err
		})
	}
	return s
}

func redisReady(addr string) error {
	reply, err := do(addr, "PING")
	if err == nil && reply != "PONG" {
		err = errors.New(reply)
	}
	return err
}

// Do gives a command to a Redis server and returns its answer, if that is a text or a number; the elements of an array come one a line.
func (s *Server) Do(command ...string) (string, error) { return do(s.Addr, command...) }

func (s *Server) mustDo(command ...string) string {
	s.t.Helper()
	reply, err := s.Do(command...)
	if err != nil {
		s.t.Fatalf("%v: %v", command, err)
	}
	return reply
}

func (s *Server) mustWait(f func() error) {
	s.t.Helper()
	if err := s.wait(f); err != nil {
		s.t.Fatal(err)
	}
}

func do(addr string, command ...string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(c, b.String()); err != nil {
		return "", err
	}
	return reply(bufio.NewReader(c))
}

func reply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return "", errors.New("no answer of Redis")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '-':
		return "", errors.New(rest)
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 || n > 1<<20 {
			return "", err
		}
		text := make([]byte, n+2)
		_, err = io.ReadFull(r, text)
		return string(text[:n]), err
	case '*':
		n, err := strconv.Atoi(rest)
		var all []string
		for i := 0; err == nil && i < n; i++ {
			var one string
			one, err = reply(r)
			all = append(all, one)
		}
		return strings.Join(all, "\n"), err
	}
	return rest, nil
}

// MoveSlot gives a slot of a Redis Cluster, and the keys in it, to another master, as redis-cli does: without IMPORTING the new owner has no new
// epoch, and what the old one has said just before may take the slot back, after which nobody has it.
func MoveSlot(t testing.TB, slot string, from, to *Server) {
	t.Helper()
	must := func(s *Server, command ...string) string {
		v, err := s.Do(command...)
		if err != nil {
			t.Errorf("%v: %v", command, err)
		}
		return v
	}
	fromID, toID := must(from, "CLUSTER", "MYID"), must(to, "CLUSTER", "MYID")
	must(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
	must(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
	for keys := must(from, "CLUSTER", "GETKEYSINSLOT", slot, "100"); keys != ""; keys = must(from, "CLUSTER", "GETKEYSINSLOT", slot, "100") {
		for key := range strings.Lines(keys) {
			must(from, "MIGRATE", "127.0.0.1", strconv.Itoa(to.Port()), strings.TrimSpace(key), "0", "5000")
		}
	}
	must(to, "CLUSTER", "SETSLOT", slot, "NODE", toID)
	must(from, "CLUSTER", "SETSLOT", slot, "NODE", toID)
}
