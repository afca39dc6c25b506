package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// MaxSetKeys is how many keys a key set may have.
const MaxSetKeys = 100

// jwk is what is read of a JSON Web Key (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).
type jwk struct {
	Kty    string   `json:"kty"`
	Kid    string   `json:"kid"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	Crv    string   `json:"crv"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X      string   `json:"x"`
	Y      string   `json:"y"`

	D json.RawMessage `json:"d"` // only a private key has it
}

// errNotForThis is of keys that belong in a set, and are for others.
var errNotForThis = errors.New("it is not for signatures, or of a kind that is not known")

// parseSet reads a JWK Set (RFC 7517 section 5). Keys that cannot be used are left out, and told to skipped.
func parseSet(data []byte, skipped func(kid string, why error)) ([]Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, errors.New("it is not a JWK Set")
	}
	if len(set.Keys) > MaxSetKeys {
		return nil, fmt.Errorf("it has %d keys, the limit is %d", len(set.Keys), MaxSetKeys)
	}
	var keys []Key
	for _, raw := range set.Keys {
		var j jwk
		if err := json.Unmarshal(raw, &j); err != nil {
			skipped("", errors.New("it is not a JWK"))
			continue
		}
		k, err := j.key()
		if err != nil {
			if err != errNotForThis {
				skipped(j.Kid, err)
			}
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key that verifies tokens")
	}
	return keys, nil
}

func (j *jwk) key() (Key, error) {
	if j.D != nil {
		return Key{}, errors.New("it is a private key, and published")
	}
	if j.Use != "" && j.Use != "sig" || j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify") {
		return Key{}, errNotForThis
	}
	public, err := j.public()
	if err != nil {
		return Key{}, err
	}
	k, err := publicKey(public)
	if err != nil {
		return Key{}, err
	}
	k.ID = j.Kid
	if j.Alg != "" { // it narrows what the kind permits, and never widens it
		k.methods = slices.DeleteFunc(k.methods, func(m jwt.SigningMethod) bool { return m.Alg() != j.Alg })
		if len(k.methods) == 0 {
			return Key{}, errNotForThis
		}
	}
	return k, nil
}

// public never makes a shared secret ("oct"), which has no place where everybody may read it.
func (j *jwk) public() (crypto.PublicKey, error) {
	switch {
	case j.Kty == "RSA":
		return j.rsa()
	case j.Kty == "EC" && (j.Crv == "P-256" || j.Crv == "P-384" || j.Crv == "P-521"):
		return j.ecdsa()
	case j.Kty == "OKP" && j.Crv == "Ed25519":
		x, err := base64url.DecodeString(j.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("it is not an Ed25519 key")
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, errNotForThis
}

func (j *jwk) rsa() (crypto.PublicKey, error) {
	n, err := base64url.DecodeString(j.N)
	if err != nil || len(n) == 0 || len(n) > maxRSABits/8+1 {
		return nil, errors.New("it is not an RSA key of a length that is taken")
	}
	e, err := base64url.DecodeString(j.E)
	if err != nil || len(e) == 0 || len(e) > 4 {
		return nil, errors.New("it is not an RSA key with an exponent that is taken")
	}
	exponent := new(big.Int).SetBytes(e).Int64()
	if exponent < 3 || exponent%2 == 0 || exponent > 1<<31-1 {
		return nil, errors.New("it is not an RSA key with an exponent that is taken")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent)}, nil
}

func (j *jwk) ecdsa() (crypto.PublicKey, error) {
	curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[j.Crv]
	size := (curve.Params().BitSize + 7) / 8
	x, errX := base64url.DecodeString(j.X)
	y, errY := base64url.DecodeString(j.Y)
	if errX != nil || errY != nil || len(x) > size || len(y) > size {
		return nil, errors.New("its point is longer than those of the curve")
	}
	// RFC 7518 section 6.2.1.2 wants the zeroes that a coordinate begins with, which PyJWT for one leaves out.
	point := make([]byte, 1+2*size)
	point[0] = 4
	copy(point[1+size-len(x):], x)
	copy(point[1+2*size-len(y):], y)
	p, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, errors.New("its point is not on the curve")
	}
	return p, nil
}
