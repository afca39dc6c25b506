package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// secretPrefix begins every secret, so that one is known when it is seen where it should not be.
const secretPrefix = "whsec_"

// Bounds of a key, in bytes, as Standard Webhooks has them, and of how many secrets may be in use while they are rotated.
const (
	minKeyBytes = 24
	maxKeyBytes = 64
	maxSecrets  = 4
)

// NewSecret makes a secret of 32 random bytes: "whsec_" and base64.
func NewSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, crypto/rand says
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// keys are what secrets stand for.
type keys [][]byte

// parseSecrets reads one to maxSecrets secrets. Its errors do not repeat them.
func parseSecrets(secrets []string) (keys, error) {
	if len(secrets) == 0 {
		return nil, errors.New("it has no secret")
	}
	if len(secrets) > maxSecrets {
		return nil, fmt.Errorf("it has %d secrets, the limit is %d", len(secrets), maxSecrets)
	}
	var all keys
	for i, secret := range secrets {
		encoded, ok := strings.CutPrefix(secret, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil {
			return nil, fmt.Errorf("secret %d is not %q and base64", i+1, secretPrefix)
		}
		if len(key) < minKeyBytes || len(key) > maxKeyBytes {
			return nil, fmt.Errorf("secret %d has %d bytes, it must have %d to %d", i+1, len(key), minKeyBytes, maxKeyBytes)
		}
		all = append(all, key)
	}
	return all, nil
}

// sign gives the value of the header webhook-signature: one signature for each key.
func (k keys) sign(id string, timestamp int64, body []byte) string {
	var b strings.Builder
	for i, key := range k {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("v1,")
		b.WriteString(base64.StdEncoding.EncodeToString(signature(key, id, strconv.FormatInt(timestamp, 10), body)))
	}
	return b.String()
}

// signature is HMAC-SHA256 of id.timestamp.body.
func signature(key []byte, id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(id + "." + timestamp + "."))
	h.Write(body)
	return h.Sum(nil)
}
