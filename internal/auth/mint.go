package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A SigningKey makes tokens. Make one with [ParseSigningKey].
type SigningKey struct {
	method  jwt.SigningMethod
	private any
	public  Key
}

// ParseSigningKey reads a private key in PEM form, or takes the text as a secret. The algorithm is HS256, RS256, ES256, ES384,
// ES512 or EdDSA, after the kind of the key.
func ParseSigningKey(text []byte) (SigningKey, error) {
	if !isPEM(text) {
		public, err := SecretKey(text)
		return SigningKey{jwt.SigningMethodHS256, public.public, public}, err
	}
	private, err := privateOf(text)
	if err != nil {
		return SigningKey{}, err
	}
	public, err := publicKey(private.Public())
	if err != nil {
		return SigningKey{}, err
	}
	return SigningKey{public.methods[0], private, public}, nil
}

func privateOf(text []byte) (crypto.Signer, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, errors.New("there is no private key in PEM form without a passphrase")
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
			return nil, errors.New("this is a public key: tokens are signed with the private one")
		default:
			continue // "EC PARAMETERS" goes before the key
		}
		if err != nil {
			return nil, err
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("a key of the kind %T cannot sign", key)
		}
		return signer, nil
	}
}

// Key is the key that verifies what this one signs.
func (k SigningKey) Key() Key { return k.public }

// Algorithm is the "alg" of the tokens that it makes.
func (k SigningKey) Algorithm() string { return k.method.Alg() }

// Claims are what [Mint] puts into a token. Empty fields are left out.
type Claims struct {
	User             string
	Channels         []string
	Subscribe        []string // patterns, as in Rights
	Publish          []string
	Presence         []string
	History          []string
	Info, Meta       json.RawMessage
	Issuer, Audience string
	Issued, Expires  time.Time      // to the second
	Other            map[string]any // any others, by name, which must not be of the above
	KeyID            string         // "kid" in the header
}

// Mint makes a token. What a [Verifier] would refuse to read is not made.
func Mint(key SigningKey, c Claims) (string, error) {
	claims, err := c.all()
	if err != nil {
		return "", err
	}
	t := jwt.NewWithClaims(key.method, claims)
	if c.KeyID != "" {
		t.Header["kid"] = c.KeyID
	}
	signed, err := t.SignedString(key.private)
	if err != nil {
		return "", err
	}
	read, err := parseCompact(signed)
	if err != nil {
		return "", err
	}
	if _, err := read.identity(); err != nil {
		return "", err
	}
	return signed, nil
}

func (c *Claims) all() (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	rights := map[string][]string{}
	for action, patterns := range map[Action][]string{Subscribe: c.Subscribe, Publish: c.Publish, Presence: c.Presence, History: c.History} {
		if len(patterns) > 0 {
			rights[string(action)] = patterns
		}
	}
	for name, raw := range map[string]json.RawMessage{"info": c.Info, "meta": c.Meta} {
		if len(raw) > 0 && !json.Valid(raw) {
			return nil, fmt.Errorf("%s is not JSON", name)
		}
	}
	optional := []struct {
		name  string
		given bool
		value any
	}{
		{"sub", c.User != "", c.User},
		{"channels", len(c.Channels) > 0, c.Channels},
		{"rights", len(rights) > 0, rights},
		{"info", len(c.Info) > 0, c.Info},
		{"meta", len(c.Meta) > 0, c.Meta},
		{"iss", c.Issuer != "", c.Issuer},
		{"aud", c.Audience != "", c.Audience},
		{"iat", !c.Issued.IsZero(), c.Issued.Unix()},
		{"exp", !c.Expires.IsZero(), c.Expires.Unix()},
	}
	for _, o := range optional {
		if _, clash := c.Other[o.name]; clash {
			return nil, fmt.Errorf("the claim %q is not among the others: it has a place of its own", o.name)
		}
		if o.given {
			claims[o.name] = o.value
		}
	}
	maps.Copy(claims, c.Other)
	return claims, nil
}

// NewSecret makes an HMAC secret of 384 random bits: 64 bytes of text, which are enough for HS512.
func NewSecret() string {
	random := make([]byte, 48)
	rand.Read(random)
	return base64url.EncodeToString(random)
}

// NewKeyPair makes a key pair in PEM form (PKCS #8 and SubjectPublicKeyInfo): "ed25519", "ecdsa" (P-256) or "rsa" (3072 bits).
func NewKeyPair(kind string) (private, public []byte, err error) {
	var signer crypto.Signer
	switch kind {
	case "ed25519":
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	case "ecdsa":
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		signer, err = rsa.GenerateKey(rand.Reader, 3072)
	default:
		return nil, nil, fmt.Errorf("a key pair of the kind %q: it must be ed25519, ecdsa or rsa", kind)
	}
	if err != nil {
		return nil, nil, err
	}
	if private, err = x509.MarshalPKCS8PrivateKey(signer); err != nil {
		return nil, nil, err
	}
	if public, err = x509.MarshalPKIXPublicKey(signer.Public()); err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), nil
}
