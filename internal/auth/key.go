package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// What keys must have.
const (
	MinSecretBytes = 32   // RFC 7518 section 3.2, for HS256; HS384 needs 48, HS512 needs 64
	minRSABits     = 2048 // RFC 7518 section 3.3
	maxRSABits     = 8192 // beyond it a signature costs too much to verify
)

// A Key verifies tokens, by the algorithms of its kind and no others. Make one with [SecretKey], [PublicKeys] or
// [KeySource.Load]. It is not changed once it is in use.
type Key struct {
	// ID is the "kid" of the tokens that it is for; without one the key is tried for any.
	ID string
	// Issuer is the "iss" of the tokens that it is for. A token of an issuer that some key is bound to is verified by such keys
	// only, and by keys without an issuer if there is none.
	Issuer string

	methods []jwt.SigningMethod
	public  any    // what the methods verify with
	source  string // where a Verifier has it from: what two of them have in common
}

// method gives the signing method of that name if the key is of its kind.
func (k *Key) method(alg string) jwt.SigningMethod {
	for _, m := range k.methods {
		if m.Alg() == alg {
			return m
		}
	}
	return nil
}

// SecretKey makes a key of a secret that is shared with whoever makes the tokens: HMAC, of 32 bytes at least.
func SecretKey(secret []byte) (Key, error) {
	if len(secret) < MinSecretBytes {
		return Key{}, fmt.Errorf("the secret has %d bytes: it needs %d at least (RFC 7518 section 3.2); baro token secret makes one", len(secret), MinSecretBytes)
	}
	if looksPublic(secret) {
		return Key{}, errors.New("what is given as a secret looks like a key of a pair, and a public key is no secret")
	}
	methods := []jwt.SigningMethod{jwt.SigningMethodHS256}
	if len(secret) >= 48 {
		methods = append(methods, jwt.SigningMethodHS384)
	}
	if len(secret) >= 64 {
		methods = append(methods, jwt.SigningMethodHS512)
	}
	return Key{methods: methods, public: bytes.Clone(secret)}, nil
}

// fingerprint is the same for the same key of the same issuer, wherever it was read from.
func (k *Key) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q ", k.Issuer)
	if secret, ok := k.public.([]byte); ok {
		h.Write(secret)
	} else if der, err := x509.MarshalPKIXPublicKey(k.public); err == nil {
		h.Write(der)
	}
	return string(h.Sum(nil))
}

// looksPublic finds PEM, the formats of OpenSSH, a JWK, and DER.
func looksPublic(secret []byte) bool {
	for _, prefix := range []string{"ssh-", "ecdsa-sha2-", "{", "\x30\x81", "\x30\x82"} {
		if bytes.HasPrefix(secret, []byte(prefix)) {
			return true
		}
	}
	return isPEM(secret)
}

func isPEM(data []byte) bool { return bytes.Contains(data, []byte("-----BEGIN ")) }

// PublicKeys reads the public keys, or certificates, of a PEM text: RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521,
// Ed25519.
func PublicKeys(text []byte) ([]Key, error) {
	var keys []Key
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		public, err := publicOf(block)
		if err != nil {
			return nil, err
		}
		key, err := publicKey(public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no public key in PEM form")
	}
	return keys, nil
}

func publicOf(block *pem.Block) (crypto.PublicKey, error) {
	switch {
	case block.Type == "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("this is a private key: whoever verifies needs the public one only (openssl pkey -pubout)")
	}
	return nil, fmt.Errorf("PEM of the type %q is no public key", block.Type)
}

// publicKey binds a public key to the algorithms of its kind (RFC 7518 section 3.1, RFC 8037 section 3.1).
func publicKey(public crypto.PublicKey) (Key, error) {
	switch p := public.(type) {
	case *rsa.PublicKey:
		if bits := p.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return Key{}, fmt.Errorf("an RSA key of %d bits: it must have %d to %d", bits, minRSABits, maxRSABits)
		}
		return Key{public: p, methods: []jwt.SigningMethod{
			jwt.SigningMethodRS256, jwt.SigningMethodRS384, jwt.SigningMethodRS512,
			jwt.SigningMethodPS256, jwt.SigningMethodPS384, jwt.SigningMethodPS512,
		}}, nil
	case *ecdsa.PublicKey:
		m, err := ecdsaMethod(p)
		return Key{public: p, methods: []jwt.SigningMethod{m}}, err
	case ed25519.PublicKey:
		return Key{public: p, methods: []jwt.SigningMethod{jwt.SigningMethodEdDSA}}, nil
	}
	return Key{}, fmt.Errorf("a key of the kind %T cannot verify tokens: RSA, ECDSA and Ed25519 can", public)
}

// ecdsaMethod gives the one algorithm of a curve (RFC 7518 section 3.4).
func ecdsaMethod(p *ecdsa.PublicKey) (jwt.SigningMethod, error) {
	for _, m := range []*jwt.SigningMethodECDSA{jwt.SigningMethodES256, jwt.SigningMethodES384, jwt.SigningMethodES512} {
		if p.Curve.Params().BitSize == m.CurveBits {
			return m, nil
		}
	}
	return nil, fmt.Errorf("an ECDSA key on the curve %s: it must be P-256, P-384 or P-521", p.Curve.Params().Name)
}

// A KeySource is where the keys of a configuration come from: one of the four.
type KeySource struct {
	ID     string `json:"id,omitempty"`     // as in [Key]
	Issuer string `json:"issuer,omitempty"` // as in [Key]

	Secret        string `json:"secret,omitempty"`          // an HMAC secret, of which the bytes of the text count
	SecretFile    string `json:"secret_file,omitempty"`     // the same in a file, without the line break at its end
	PublicKey     string `json:"public_key,omitempty"`      // PEM: see [PublicKeys]
	PublicKeyFile string `json:"public_key_file,omitempty"` // the same in a file
}

// Load makes the keys.
func (s KeySource) Load() ([]Key, error) {
	given := 0
	for _, v := range []string{s.Secret, s.SecretFile, s.PublicKey, s.PublicKeyFile} {
		if v != "" {
			given++
		}
	}
	if given != 1 {
		return nil, errors.New("a key is given by one of secret, secret_file, public_key and public_key_file")
	}
	keys, err := s.read()
	if err != nil {
		if file := s.SecretFile + s.PublicKeyFile; file != "" {
			err = fmt.Errorf("%s: %w", file, err)
		}
		return nil, err
	}
	for i := range keys {
		keys[i].ID, keys[i].Issuer = s.ID, s.Issuer
	}
	return keys, nil
}

func (s KeySource) read() ([]Key, error) {
	secret, public := []byte(s.Secret), []byte(s.PublicKey)
	var err error
	switch {
	case s.SecretFile != "":
		secret, err = readKeyFile(s.SecretFile)
	case s.PublicKeyFile != "":
		public, err = readKeyFile(s.PublicKeyFile)
	}
	if err != nil {
		return nil, err
	}
	if len(public) > 0 {
		return PublicKeys(public)
	}
	k, err := SecretKey(secret)
	return []Key{k}, err
}

// readKeyFile reads a file of at most 64 KiB, without the line break at its end.
func readKeyFile(path string) ([]byte, error) {
	data, err := readBounded(path, 64<<10)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		if at, ok := errors.AsType[*os.PathError](err); ok {
			return nil, at.Err // the caller names the file
		}
	}
	return bytes.TrimRight(data, "\r\n"), err
}
