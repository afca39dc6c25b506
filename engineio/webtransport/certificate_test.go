package webtransport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"testing"
	"time"

	"baro.dev/engineio/webtransport"
)

// What browsers demand of a certificate that is named by its hash: X.509 version 3, a key of the named kinds (P-256 is
// the one that has to be supported), valid now and for two weeks at most (WebTransport API, "custom certificate requirements").
func TestNewCertificate(t *testing.T) {
	tests := map[string]struct {
		hosts, good, bad []string
	}{
		"defaults": {nil, []string{"localhost", "127.0.0.1", "::1"}, []string{"example.com", "10.0.0.1"}},
		"own":      {[]string{"dev.example", "10.0.0.1"}, []string{"dev.example", "10.0.0.1"}, []string{"localhost"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, hash, err := webtransport.NewCertificate(tt.hosts...)
			if err != nil {
				t.Fatal(err)
			}
			if hash != sha256.Sum256(c.Certificate[0]) {
				t.Error("another hash")
			}
			leaf := c.Leaf
			if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() || leaf.Version != 3 {
				t.Error(leaf.PublicKeyAlgorithm, leaf.Version)
			}
			now := time.Now()
			if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 14*24*time.Hour || now.Before(leaf.NotBefore) || now.After(leaf.NotAfter.Add(-12*24*time.Hour)) {
				t.Error(leaf.NotBefore, leaf.NotAfter)
			}
			for _, host := range tt.good {
				if err := leaf.VerifyHostname(host); err != nil {
					t.Error(err)
				}
			}
			for _, host := range tt.bad {
				if leaf.VerifyHostname(host) == nil {
					t.Error("good for", host)
				}
			}
		})
	}
}
