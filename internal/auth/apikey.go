package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"baro.dev/channel"
)

// A Scope is what an API key is for.
type Scope string

// The scopes, and the questions of the HTTP API that each permits.
const (
	ScopePublish Scope = "publish" // publish, batch, broadcast
	ScopeCall    Scope = "call"    // call
	ScopeRead    Scope = "read"    // presence, history, channels, connections, info
	ScopeManage  Scope = "manage"  // subscribe, unsubscribe, disconnect
)

// Scopes are all there are.
func Scopes() []Scope { return []Scope{ScopePublish, ScopeCall, ScopeRead, ScopeManage} }

// An APIKey is what a configuration says of one: not the key, but its hash.
type APIKey struct {
	ID       string   `json:"id"`                 // 1 to 32 of a-z, 0-9
	Hash     string   `json:"hash"`               // "sha256:" and the SHA-256 of the whole key, in hexadecimal
	Scopes   []Scope  `json:"scopes"`             // at least one
	Channels []string `json:"channels,omitempty"` // patterns of the channels that it may touch; all, if there are none
}

// A Grant is what a key that was presented permits.
type Grant struct {
	ID       string
	scopes   []Scope
	channels []channel.Pattern // nil for all
}

// Unlimited is what somebody may who needs no key: everything.
func Unlimited() Grant { return Grant{scopes: Scopes()} }

// May says whether the key has the scope.
func (g Grant) May(scope Scope) bool { return slices.Contains(g.scopes, scope) }

// Limited says whether the key is for some channels only. Such a key is not for questions about no channel in particular, nor
// about users by name, whose channels are "@" and the name.
func (g Grant) Limited() bool { return g.channels != nil }

// Check says whether the key has the scope, and may touch all these channels. A pattern matches the channels of users, which
// begin with "@", only if it begins so too. The error is an [*Error] of the kind ErrForbidden.
func (g Grant) Check(scope Scope, channels ...string) error {
	if !g.May(scope) {
		return refuse(ErrForbidden, fmt.Sprintf("the API key %s has not the scope %q", g.ID, scope))
	}
	if g.channels == nil {
		return nil
	}
	for _, name := range channels {
		if !slices.ContainsFunc(g.channels, func(p channel.Pattern) bool { return matches(p, name) }) {
			return refuse(ErrForbidden, fmt.Sprintf("the API key %s is not for the channel %q", g.ID, name))
		}
	}
	return nil
}

// Keys are API keys. They are not changed once made, and may be used from any goroutine.
type Keys struct {
	keys map[string]storedKey
}

type storedKey struct {
	hash  [sha256.Size]byte
	grant Grant
}

// NewKeys takes the keys of a configuration.
func NewKeys(list []APIKey) (*Keys, error) {
	k := &Keys{make(map[string]storedKey, len(list))}
	for i, key := range list {
		stored, err := key.store()
		if err == nil && k.keys[key.ID].grant.ID != "" {
			err = errors.New("there is another of this id")
		}
		if err != nil {
			return nil, fmt.Errorf("API key %d (id %.40q): %w", i+1, key.ID, err)
		}
		k.keys[key.ID] = stored
	}
	return k, nil
}

func (a *APIKey) store() (s storedKey, err error) {
	if !isKeyID(a.ID) {
		return s, errors.New("its id must be 1 to 32 of a-z and 0-9")
	}
	digest, ok := strings.CutPrefix(a.Hash, "sha256:")
	hash, err := hex.DecodeString(digest)
	if !ok || err != nil || len(hash) != len(s.hash) {
		return s, errors.New(`its hash must be "sha256:" and 64 hexadecimal digits; baro token key prints it`)
	}
	if len(a.Scopes) == 0 {
		return s, errors.New("it has no scopes")
	}
	for _, scope := range a.Scopes {
		if !slices.Contains(Scopes(), scope) {
			return s, fmt.Errorf("there is no scope %.40q: there are %q", scope, Scopes())
		}
	}
	patterns, err := ParsePatterns(a.Channels)
	if err != nil {
		return s, err
	}
	copy(s.hash[:], hash)
	s.grant = Grant{a.ID, slices.Clone(a.Scopes), patterns}
	return s, nil
}

func isKeyID(id string) bool {
	return id != "" && len(id) <= 32 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// ReadKeys reads a file of keys: a JSON list of [APIKey], of up to 1 MiB.
func ReadKeys(path string) (*Keys, error) {
	data, err := readBounded(path, 1<<20)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var list []APIKey
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: it is not a JSON list of API keys: %w", path, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: something follows the list of API keys", path)
	}
	k, err := NewKeys(list)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// Len is how many keys there are.
func (k *Keys) Len() int { return len(k.keys) }

const maxKeyBytes = 256

// Find says what a key permits. How long it takes tells nothing of a secret, nor which ids there are. The error is an [*Error].
func (k *Keys) Find(text string) (Grant, error) {
	id, _, ok := strings.Cut(strings.TrimPrefix(text, keyPrefix), "_")
	if len(text) > maxKeyBytes || !IsKey(text) || !ok {
		return Grant{}, refuse(ErrMalformed, "it is not an API key")
	}
	stored, known := k.keys[id] // the zero key's hash is nobody's
	hash := sha256.Sum256([]byte(text))
	if subtle.ConstantTimeCompare(hash[:], stored.hash[:]) != 1 || !known {
		return Grant{}, refuse(ErrUnknownKey, "there is no such API key")
	}
	return stored.grant, nil
}

const keyPrefix = "baro_"

// IsKey says whether a text has the form of an API key and not that of a token.
func IsKey(text string) bool { return strings.HasPrefix(text, keyPrefix) }

// NewKey makes an API key, baro_ID_SECRET, of 130 random bits and what a configuration says of it. The key itself is kept
// nowhere. Without an id it gets a random one.
func NewKey(id string, scopes []Scope, channels []string) (text string, key APIKey, err error) {
	if id == "" {
		id = strings.ToLower(rand.Text()[:8])
	}
	text = keyPrefix + id + "_" + rand.Text()
	hash := sha256.Sum256([]byte(text))
	key = APIKey{ID: id, Hash: "sha256:" + hex.EncodeToString(hash[:]), Scopes: scopes, Channels: channels}
	_, err = key.store()
	return text, key, err
}

// readBounded reads a file that has no more bytes than max.
func readBounded(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, fmt.Errorf("%s has more than %d bytes", path, max)
	}
	return data, nil
}
