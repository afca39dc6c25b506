package testkit_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"testing/synctest"

	"baro.dev/internal/testkit"
)

// recorder is a test that has to fail.
type recorder struct {
	testing.TB

	cleanup func()
	failed  bool
}

func (r *recorder) Cleanup(f func())      { r.cleanup = f }
func (r *recorder) Errorf(string, ...any) { r.failed = true }

// In a bubble nobody waits for Patience to be over.
func TestNoLeaks(t *testing.T) {
	for name, test := range map[string]struct {
		leak func(t *testing.T) (end func())
		want bool
	}{
		"nothing": {func(*testing.T) func() { return func() {} }, false},
		"goroutines": {func(*testing.T) func() {
			end := make(chan struct{})
			for range 10 { // of those there were before, some may end meanwhile
				go func() { <-end }()
			}
			return func() { close(end) }
		}, true},
		"descriptor": {func(t *testing.T) func() {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			return func() { f.Close() }
		}, testkit.Descriptors() > 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{TB: t}
				testkit.NoLeaks(r)
				end := test.leak(t)
				r.cleanup()
				end()
				if r.failed != test.want {
					t.Errorf("failed: %v", r.failed)
				}
			})
		})
	}
}

func TestCertificate(t *testing.T) {
	cert, key, roots := testkit.Certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Error(err)
		}
	}
}
