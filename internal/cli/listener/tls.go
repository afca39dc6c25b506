package listener

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"time"

	"baro.dev/internal/cluster/tlsfiles"
)

// TLS is what a listener shows. The zero value is none.
type TLS struct {
	CertificateFile, KeyFile string // PEM; the key may be in the file of the certificate
	SelfMade                 bool   // a certificate made now
}

// SelfMadeFor is how long a certificate is valid that was made here: browsers take the hash of one for WebTransport that is valid for
// no more than two weeks (https://www.w3.org/TR/webtransport/, custom certificate requirements).
const SelfMadeFor = 13 * 24 * time.Hour

// Config reads the files, which it does again when they have changed, or makes a certificate for this machine and hosts. It returns nil where
// there is to be no TLS, and the SHA-256 of a certificate that was made.
func (t TLS) Config(hosts ...string) (*tls.Config, [sha256.Size]byte, error) {
	var none [sha256.Size]byte
	switch {
	case t.SelfMade && t.CertificateFile != "":
		return nil, none, errors.New("there is a certificate already: none need be made")
	case t.SelfMade:
		pair, err := selfMade(hosts)
		if err != nil {
			return nil, none, err
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, sha256.Sum256(pair.Certificate[0]), nil
	case t.CertificateFile != "":
		key := t.KeyFile
		if key == "" {
			key = t.CertificateFile
		}
		config, err := tlsfiles.Files{Cert: t.CertificateFile, Key: key}.Client()
		return config, none, err
	case t.KeyFile != "":
		return nil, none, errors.New("there is a key without a certificate")
	}
	return nil, none, nil
}

func selfMade(hosts []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now().Add(-time.Hour)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "baro"},
		NotBefore:             now,
		NotAfter:              now.Add(SelfMadeFor),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if host != "" {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
