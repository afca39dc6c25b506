package embedded

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/cluster/tlsfiles"
	"baro.dev/internal/testkit"
)

type names map[string][]string

func (n names) LookupHost(_ context.Context, host string) ([]string, error) {
	if found := n[host]; found != nil {
		return found, nil
	}
	return nil, errors.New("no such host")
}

func TestLookUp(t *testing.T) {
	s := &Server{options: Options{Peers: []string{"baro", "one:6223", "127.0.0.1", "localhost:7000", "nobody", "baro:7000"}}}
	found := s.lookUp(t.Context(), names{
		"baro": {"10.0.0.2", "10.0.0.1", "fd00::1"}, "one": {"10.0.0.9"}, "localhost": {"127.0.0.1", "::1"},
	})
	want := []string{"10.0.0.1:6222", "10.0.0.1:7000", "10.0.0.2:6222", "10.0.0.2:7000", "[fd00::1]:6222", "[fd00::1]:7000"}
	if !slices.Equal(found, want) {
		t.Errorf("%v, not %v", found, want)
	}
}

// begin starts a node.
func begin(t *testing.T, o Options) *Server {
	t.Helper()
	o.NoSync, o.Log = true, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// together waits until two nodes are a cluster.
func together(t *testing.T, one, other *Server) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); one.Err() != nil || other.Err() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(one.Err(), other.Err())
		}
	}
}

// TestTold has a node told of another one that it does not know by its options.
func TestTold(t *testing.T) {
	o := func() Options {
		return Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Peers: []string{"127.0.0.1:1", "127.0.0.1:2"}}
	}
	one, other := begin(t, o()), begin(t, o())
	if err := one.Err(); err == nil || !strings.Contains(err.Error(), "1 of 2") {
		t.Fatalf("one of two says %v", err)
	}
	if err := one.tell(scene{peers: []string{other.Addr().String()}}); err != nil {
		t.Fatal(err)
	}
	together(t, one, other)
}

// A node that ends while its peers are looked up ends well.
func TestToldWhenStopped(t *testing.T) {
	s := begin(t, Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Peers: []string{"127.0.0.1:1"}})
	at := s.Addr()
	s.Stop()
	_ = s.tell(scene{peers: []string{"127.0.0.1:2"}})
	if s.Addr() == nil || s.Addr().String() != at.String() {
		t.Errorf("it was at %v, and is at %v", at, s.Addr())
	}
}

// An authority that is replaced is believed without a restart.
func TestNewAuthority(t *testing.T) {
	dirs, listen := []string{t.TempDir(), t.TempDir()}, testkit.FreeAddresses(t, 2)
	options := func(i int) Options {
		at := func(name string) string { return filepath.Join(dirs[i], name) }
		return Options{
			Dir: dirs[i], Listen: listen[i], Peers: listen, TLS: tlsfiles.Files{Cert: at("cert.pem"), Key: at("key.pem"), CA: at("ca.pem")},
		}
	}
	changed := time.Now().Add(-time.Hour)
	issue := func(by *testkit.Authority) {
		changed = changed.Add(time.Minute)
		for _, dir := range dirs {
			cert, key := by.Issue(t, "node", func(c *x509.Certificate) {
				c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
			})
			for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": key, "ca.pem": by.PEM} {
				if err := os.Chtimes(testkit.WriteFile(t, dir, name, text), changed, changed); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	issue(testkit.NewAuthority(t, "before"))
	one, other := begin(t, options(0)), begin(t, options(1))
	together(t, one, other)

	before := scene{authority: changed}
	if now := one.look(t.Context(), names{}, before); !now.authority.Equal(changed) {
		t.Errorf("the authority is that of %v, and was not replaced after %v", now.authority, changed)
	}
	other.Stop()
	issue(testkit.NewAuthority(t, "after"))
	if err := os.WriteFile(filepath.Join(dirs[0], "ca.pem"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if now := one.look(t.Context(), names{}, before); !now.authority.Equal(before.authority) {
		t.Errorf("a file with no certificate was taken: that of %v", now.authority)
	}
	issue(testkit.NewAuthority(t, "later"))
	if now := one.look(t.Context(), names{}, before); !now.authority.Equal(changed) {
		t.Errorf("the authority is that of %v, and was replaced at %v", now.authority, changed)
	}
	together(t, one, begin(t, options(1)))
}
