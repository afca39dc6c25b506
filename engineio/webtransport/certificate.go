package webtransport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// certificateLife is less than the two weeks that browsers allow a certificate that a page names by its hash (WebTransport
// API, "custom certificate requirements").
const certificateLife = 13 * 24 * time.Hour

// NewCertificate returns a certificate for development, signed by itself, and its SHA-256 hash: pages may name that instead of a
// certificate that the browser trusts. It is for hosts, names or IP addresses; without any for localhost, 127.0.0.1 and ::1. It is
// good for 13 days from an hour ago, its key is of ECDSA on P-256, as browsers demand.
//
//	io({ transportOptions: { webtransport: { serverCertificateHashes: [
//		{ algorithm: "sha-256", value: new Uint8Array([...]) } // the hash
//	] } } })
func NewCertificate(hosts ...string) (certificate tls.Certificate, hash [sha256.Size]byte, err error) {
	if len(hosts) == 0 {
		hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate, hash, fmt.Errorf("webtransport: making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return certificate, hash, fmt.Errorf("webtransport: making a serial number: %w", err)
	}
	begin := time.Now().Add(-time.Hour)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: hosts[0]},
		NotBefore:             begin,
		NotAfter:              begin.Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return certificate, hash, fmt.Errorf("webtransport: making a certificate for %q: %w", hosts, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return certificate, hash, fmt.Errorf("webtransport: reading the certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, sha256.Sum256(der), nil
}
