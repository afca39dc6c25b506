package embedded_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/internal/cluster/embedded"
	"baro.dev/internal/cluster/tlsfiles"
	"baro.dev/internal/testkit"
)

// start starts a node that is stopped with the test.
func start(t *testing.T, o embedded.Options) *embedded.Server {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	s, err := embedded.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// eventually waits until a condition holds, and fails where it does not.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after 40 s: %s", what)
		}
	}
}

func client(t *testing.T, s *embedded.Server) *nats.Conn {
	t.Helper()
	c, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestOfOne(t *testing.T) {
	dir := t.TempDir()
	s := start(t, embedded.Options{Dir: dir, NoSync: true})
	if err := s.Err(); err != nil || s.Addr() != nil || s.Replicas() != 1 {
		t.Errorf("a server of its own: %v, at %v, %d replicas", err, s.Addr(), s.Replicas())
	}
	js, err := client(t, s).JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "kept", Subjects: []string{"kept"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish("kept", []byte("메세지")); err != nil {
		t.Fatal(err)
	}
	name := s.Name()
	s.Stop()
	s.Stop()
	if err := s.Err(); err == nil {
		t.Error("a server that was stopped says that it is well")
	}

	s = start(t, embedded.Options{Dir: dir, NoSync: true})
	if s.Name() != name {
		t.Errorf("the node was %s, and is %s", name, s.Name())
	}
	js, _ = client(t, s).JetStream()
	if m, err := js.GetLastMsg("kept", "kept"); err != nil || string(m.Data) != "메세지" {
		t.Errorf("what was kept is %v, %v", m, err)
	}
}

// TestOfThree starts three, which a new cluster begins with, stops two, which is too many, and has one of them come back.
func TestOfThree(t *testing.T) {
	peers := testkit.FreeAddresses(t, 3)
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	options := func(i int) embedded.Options {
		return embedded.Options{Dir: dirs[i], Listen: peers[i], Peers: peers, Secret: strings.Repeat("s", 32), NoSync: true}
	}
	first := start(t, options(0))
	if err := first.Err(); err == nil {
		t.Error("one of three has a leader")
	}
	second, third := start(t, options(1)), start(t, options(2))
	for i, s := range []*embedded.Server{first, second, third} {
		eventually(t, fmt.Sprintf("node %d has a leader", i), func() bool { return s.Err() == nil })
	}
	if first.Replicas() != 3 {
		t.Errorf("%d replicas in a cluster of three", first.Replicas())
	}
	js, _ := client(t, first).JetStream()
	eventually(t, "a stream of three", func() bool {
		_, err := js.AddStream(&nats.StreamConfig{Name: "kept", Subjects: []string{"kept"}, Replicas: 3})
		return err == nil
	})
	third.Stop()
	eventually(t, "two of three go on", func() bool {
		_, err := js.Publish("kept", []byte("메세지"))
		return err == nil && first.Err() == nil
	})
	second.Stop()
	eventually(t, "one of three knows that it is alone", func() bool {
		err := first.Err()
		return err != nil && strings.Contains(err.Error(), "1 of 3 nodes")
	})
	start(t, options(2))
	eventually(t, "two of three go on again", func() bool { return first.Err() == nil })
	eventually(t, "what was published is there", func() bool {
		m, err := js.GetLastMsg("kept", "kept")
		return err == nil && string(m.Data) == "메세지"
	})
}

func TestStrangers(t *testing.T) {
	peers := testkit.FreeAddresses(t, 2)
	secret := strings.Repeat("s", 32)
	s := start(t, embedded.Options{Dir: t.TempDir(), Listen: peers[0], Peers: peers, Secret: secret, NoSync: true})
	other := start(t, embedded.Options{Dir: t.TempDir(), Listen: peers[1], Peers: peers, Secret: strings.ToUpper(secret), NoSync: true})
	heard := make(chan *nats.Msg, 1)
	if _, err := client(t, other).ChanSubscribe("secrets", heard); err != nil {
		t.Fatal(err)
	}
	c := client(t, s)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err := c.Publish("secrets", nil); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-heard:
		t.Error("who has another secret hears the cluster")
	default:
	}
	if s.Err() == nil || other.Err() == nil {
		t.Error("two with different secrets are a cluster")
	}
}

// TestTLS has two nodes show each other certificates, one of which is not of the authority of the other two.
func TestTLS(t *testing.T) {
	ours, theirs := testkit.NewAuthority(t, "ours"), testkit.NewAuthority(t, "theirs")
	listen := testkit.FreeAddresses(t, 3)
	options := func(i int, by *testkit.Authority, peers []string) embedded.Options {
		dir := t.TempDir()
		cert, key := by.Issue(t, "node", func(c *x509.Certificate) {
			c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		})
		return embedded.Options{
			Dir: dir, Listen: listen[i], Peers: peers, NoSync: true,
			TLS: tlsfiles.Files{
				Cert: testkit.WriteFile(t, dir, "cert.pem", cert), Key: testkit.WriteFile(t, dir, "key.pem", key),
				CA: testkit.WriteFile(t, dir, "ca.pem", ours.PEM),
			},
		}
	}
	first, stranger := start(t, options(0, ours, listen[:2])), start(t, options(2, theirs, listen))
	second := start(t, options(1, ours, listen[:2]))
	eventually(t, "those of one authority are a cluster", func() bool { return first.Err() == nil && second.Err() == nil })
	if stranger.Err() == nil {
		t.Error("a stranger is in the cluster")
	}
}

// A node that has lost its disk comes back by its name, and gets its copy from the others: then another one may be away.
func TestLostDisk(t *testing.T) {
	peers := testkit.FreeAddresses(t, 3)
	nodes, options := make([]*embedded.Server, 3), make([]embedded.Options, 3)
	for i := range nodes {
		options[i] = embedded.Options{Dir: t.TempDir(), Name: fmt.Sprint("host ", i), NoSync: true, Listen: peers[i], Peers: peers}
		nodes[i] = start(t, options[i])
	}
	for _, s := range nodes {
		eventually(t, "all are there", func() bool { return s.Err() == nil })
	}
	js, err := client(t, nodes[1]).JetStream()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is a stream of three", func() bool {
		_, err := js.AddStream(&nats.StreamConfig{Name: "kept", Subjects: []string{"kept"}, Replicas: 3})
		return err == nil
	})
	eventually(t, "a message is kept", func() bool {
		_, err := js.Publish("kept", []byte("hello"))
		return err == nil
	})
	nodes[2].Stop()
	options[2].Dir = t.TempDir()
	nodes[2] = start(t, options[2])
	eventually(t, "it has its copy", func() bool { return nodes[2].Err() == nil && nodes[2].Behind() == nil })
	nodes[0].Stop()
	eventually(t, "two of three are enough", func() bool { return nodes[1].Err() == nil && nodes[2].Err() == nil })
	eventually(t, "another message is kept", func() bool {
		_, err := js.Publish("kept", []byte("hello again"))
		return err == nil
	})
}

// A directory is of one process at a time, and so is an address: whoever is started twice learns that at once.
func TestTwice(t *testing.T) {
	peers := testkit.FreeAddresses(t, 3)
	o := embedded.Options{Dir: t.TempDir(), NoSync: true, Listen: peers[0], Peers: peers}
	s := start(t, o)
	if _, err := embedded.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("the same directory: %v", err)
	}
	other := o
	other.Dir = t.TempDir()
	if _, err := embedded.Start(t.Context(), other); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the same address: %v", err)
	}
	s.Stop()
	start(t, o)
	start(t, embedded.Options{Dir: other.Dir, NoSync: true, Listen: peers[1], Peers: peers})
}

func TestMistakes(t *testing.T) {
	remote := []string{"10.0.0.1", "10.0.0.2:6222"}
	for _, c := range []struct {
		say string
		o   embedded.Options
	}{
		{"needs a directory", embedded.Options{}},
		{"needs a secret", embedded.Options{Dir: "d", Peers: remote}},
		{"needs a secret", embedded.Options{Dir: "d", Listen: ":6222", Peers: []string{"127.0.0.1"}}},
		{"needs 16", embedded.Options{Dir: "d", Peers: remote, Secret: "short"}},
		{"0 replicas", embedded.Options{Dir: "d", Replicas: 3}},
		{"6 replicas", embedded.Options{Dir: "d", Peers: remote, Secret: strings.Repeat("s", 16), Replicas: 6}},
		{"the name", embedded.Options{Dir: "d", Cluster: "a.b"}},
		{"the peer", embedded.Options{Dir: "d", Secret: strings.Repeat("s", 16), Peers: []string{"nats://host"}}},
		{"the peer", embedded.Options{Dir: "d", Secret: strings.Repeat("s", 16), Peers: []string{"host:port"}}},
		{"the address", embedded.Options{Dir: "d", Listen: "6222"}},
		{"no such file", embedded.Options{Dir: "d", TLS: tlsfiles.Files{Cert: "none.pem", Key: "none.pem"}}},
	} {
		if err := c.o.Check(); err == nil || !strings.Contains(err.Error(), c.say) && c.say != "0 replicas" {
			t.Errorf("%+v: %v, and nothing of %q", c.o, err, c.say)
		}
	}
	local := embedded.Options{Dir: "d", Listen: "127.0.0.1:6222", Peers: []string{"127.0.0.1:6223", "[::1]:6224", "localhost"}}
	if err := local.Check(); err != nil {
		t.Errorf("a cluster on one machine: %v", err)
	}
}

func TestNameCut(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "node"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(t.Context(), embedded.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "no name of a node") {
		t.Errorf("a file of a name that is empty: %v", err)
	}
}
