package config

import (
	"errors"
	"fmt"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/internal/server"
)

// File is what is in the file alone.
type File struct {
	Channels    []Rule   `yaml:"channels"`
	Auth        *Auth    `yaml:"auth"`
	APIKeys     []APIKey `yaml:"api_keys"`
	APIKeysFile path     `yaml:"api_keys_file"` // a JSON list of the same
	Webhooks    Webhooks `yaml:"webhooks"`
}

// A Rule is what holds for the channels whose names match a pattern. Of several that match the first holds. What is left out is
// as the flags say; who may do what: only whose token permits it.
type Rule struct {
	Pattern         pattern `yaml:"pattern"`
	History         History `yaml:"history"`
	MaxMessageBytes size    `yaml:"max_message_bytes"`
	Last            bool    `yaml:"last"`         // newcomers get the last message
	Presence        bool    `yaml:"presence"`     // joins and leaves are told
	Echo            *bool   `yaml:"echo"`         // what a client publishes comes back to it. true
	PublishRate     float64 `yaml:"publish_rate"` // messages a second of one client. No bound
	Access          Access  `yaml:"access"`
}

// History is how much a channel keeps.
type History struct {
	Count int      `yaml:"count"` // -1 for none
	Bytes size     `yaml:"bytes"`
	Age   duration `yaml:"age"`
}

// Access is who may do what: anyone, users, token or nobody.
type Access struct {
	Subscribe who `yaml:"subscribe"`
	Publish   who `yaml:"publish"`
	Presence  who `yaml:"presence"`
	History   who `yaml:"history"`
}

func (r *Rule) check() error {
	switch {
	case r.Pattern.String() == "":
		return errors.New("it has no pattern")
	case r.History.Bytes < 0 || r.History.Age < 0 || r.MaxMessageBytes < 0:
		return errors.New("sizes and times must not be negative")
	case !(r.PublishRate >= 0 && r.PublishRate <= maxRate):
		return fmt.Errorf("its publish_rate must be 0 to %d", maxRate)
	}
	return nil
}

// maxRate is more than a client does.
const maxRate = 1_000_000

func (r *Rule) settings() channel.Rule {
	return channel.Rule{Pattern: r.Pattern.Pattern, Settings: channel.Settings{
		HistoryCount: r.History.Count, HistoryBytes: int64(r.History.Bytes), HistoryAge: r.History.Age.std(),
		MaxMessageBytes: int(r.MaxMessageBytes), KeepLast: r.Last, Presence: r.Presence, NoEcho: r.Echo != nil && !*r.Echo,
	}}
}

func (r *Rule) rule() server.Rule {
	s := r.settings()
	return server.Rule{Pattern: s.Pattern, Settings: s.Settings, Access: clients.Rule{
		Subscribe: clients.Who(r.Access.Subscribe), Publish: clients.Who(r.Access.Publish),
		Presence: clients.Who(r.Access.Presence), History: clients.Who(r.Access.History), PublishRate: r.PublishRate,
	}}
}

// Auth is which tokens are accepted: see [auth.Config].
type Auth struct {
	Keys          []Key    `yaml:"keys"`
	KeySets       []KeySet `yaml:"key_sets"`
	Issuers       []string `yaml:"issuers"`
	Audiences     []string `yaml:"audiences"`
	Leeway        duration `yaml:"leeway"`
	MaxTokenBytes size     `yaml:"max_token_bytes"`
	AllowNoExpiry bool     `yaml:"allow_no_expiry"`
}

// config is what auth makes of it.
func (a *Auth) config() *auth.Config {
	c := &auth.Config{
		Issuers: a.Issuers, Audiences: a.Audiences, Leeway: a.Leeway.std(), MaxTokenBytes: int(a.MaxTokenBytes), AllowNoExpiry: a.AllowNoExpiry,
	}
	for i := range a.Keys {
		c.Keys = append(c.Keys, a.Keys[i].loaded...)
	}
	for i := range a.KeySets {
		c.KeySets = append(c.KeySets, a.KeySets[i].set())
	}
	return c
}

// A Key verifies tokens: see [auth.KeySource].
type Key struct {
	ID            string `yaml:"id"`
	Issuer        string `yaml:"issuer"`
	Secret        string `yaml:"secret"`
	SecretFile    path   `yaml:"secret_file"`
	PublicKey     string `yaml:"public_key"`
	PublicKeyFile path   `yaml:"public_key_file"`

	loaded []auth.Key
}

func (k *Key) check() (err error) {
	k.loaded, err = auth.KeySource{
		ID: k.ID, Issuer: k.Issuer, Secret: k.Secret, SecretFile: string(k.SecretFile),
		PublicKey: k.PublicKey, PublicKeyFile: string(k.PublicKeyFile),
	}.Load()
	return err
}

// A KeySet is where keys are published: see [auth.KeySet].
type KeySet struct {
	URL       string   `yaml:"url"`
	Issuer    string   `yaml:"issuer"`
	Refresh   duration `yaml:"refresh"`
	MaxStale  duration `yaml:"max_stale"`
	AllowHTTP bool     `yaml:"allow_http"`
}

func (s *KeySet) check() error {
	v, err := auth.New(auth.Config{KeySets: []auth.KeySet{s.set()}})
	if err == nil {
		v.Close()
	}
	return err
}

func (s *KeySet) set() auth.KeySet {
	return auth.KeySet{URL: s.URL, Issuer: s.Issuer, AllowHTTP: s.AllowHTTP, Refresh: s.Refresh.std(), MaxStale: s.MaxStale.std()}
}

// An APIKey is what is said of a key of a backend, as baro token key prints it: see [auth.APIKey].
type APIKey struct {
	ID       string    `yaml:"id"`
	Hash     string    `yaml:"hash"`
	Scopes   []scope   `yaml:"scopes"`
	Channels []pattern `yaml:"channels"`
}

func (k *APIKey) check() error {
	_, err := auth.NewKeys([]auth.APIKey{k.key()})
	return errors.Unwrap(err) // without its number
}

func (k *APIKey) key() auth.APIKey {
	o := auth.APIKey{ID: k.ID, Hash: k.Hash}
	for _, s := range k.Scopes {
		o.Scopes = append(o.Scopes, auth.Scope(s))
	}
	for _, p := range k.Channels {
		o.Channels = append(o.Channels, p.String())
	}
	return o
}
