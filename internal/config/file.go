package config

import (
	"errors"
	"fmt"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/internal/server"
)

// File is what is in the file alone, or in a variable of its own. The tags of the structs are all that is said of the keys, here and
// in docs/: doc is the meaning, and see [Key] for default, example, required, secret and reload.
type File struct {
	Channels    []Rule   `yaml:"channels" reload:"true" doc:"rules for channels, see [channels](channels.md); the first whose pattern matches holds"`
	Auth        *Auth    `yaml:"auth" reload:"true" doc:"tokens of clients, see [auth](auth.md)"`
	APIKeys     []APIKey `yaml:"api_keys" reload:"true" doc:"API keys of backends, as baro token key prints them, see [auth](auth.md)"`
	APIKeysFile path     `yaml:"api_keys_file" reload:"true" doc:"a JSON list of the same, instead"`
	Webhooks    Webhooks `yaml:"webhooks" reload:"true" doc:"what the backend is told and asked, see [webhooks](webhooks.md)"`
}

// A Rule is what holds for the channels whose names match a pattern. Of several that match the first holds. What is left out is
// as the flags say; who may do what: only whose token permits it.
type Rule struct {
	Pattern         pattern `yaml:"pattern" required:"true" example:"rooms/*/chat" doc:"the channels: * is anything but a slash, ** anything"`
	History         History `yaml:"history"`
	MaxMessageBytes size    `yaml:"max_message_bytes" example:"16KiB" doc:"bytes of a message; else as the flags say"`
	Last            bool    `yaml:"last" default:"false" doc:"newcomers get the last message"`
	Presence        bool    `yaml:"presence" default:"false" doc:"members are told who joins and leaves"`
	Echo            *bool   `yaml:"echo" default:"true" doc:"what a client publishes comes back to it"`
	PublishRate     float64 `yaml:"publish_rate" example:"5" doc:"messages a second of one client; without it there is no bound"`
	Access          Access  `yaml:"access"`
}

// History is how much a channel keeps.
type History struct {
	Count int      `yaml:"count" example:"100" doc:"messages that the channel keeps; -1 for none; else as the flags say"`
	Bytes size     `yaml:"bytes" example:"1MiB" doc:"bytes of messages that it keeps; else as the flags say"`
	Age   duration `yaml:"age" example:"24h" doc:"how long a message is kept; else as the flags say"`
}

// Access is who may do what: anyone, users, token or nobody.
type Access struct {
	Subscribe who `yaml:"subscribe" default:"token" doc:"who may read what is published"`
	Publish   who `yaml:"publish" default:"token" doc:"who may publish"`
	Presence  who `yaml:"presence" default:"token" doc:"who may see who is there"`
	History   who `yaml:"history" default:"token" doc:"who may read what was published"`
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
	Keys          []TokenKey `yaml:"keys" doc:"what verifies tokens; each by one of secret, secret_file, public_key, public_key_file"`
	KeySets       []KeySet   `yaml:"key_sets" doc:"where an identity provider publishes its keys"`
	Issuers       []string   `yaml:"issuers" default:"[]" doc:"the iss of tokens that are accepted, beside those of keys and key sets"`
	Audiences     []string   `yaml:"audiences" example:"[baro]" doc:"names of this server: a token must be for one of them (aud); without any, for nobody in particular"`
	Leeway        duration   `yaml:"leeway" default:"30s" doc:"how far clocks may be apart; negative for none"`
	MaxTokenBytes size       `yaml:"max_token_bytes" default:"16KiB" doc:"bytes of a token"`
	AllowNoExpiry bool       `yaml:"allow_no_expiry" default:"false" doc:"accept tokens without exp, which are good for ever"`
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

// A TokenKey verifies tokens: see [auth.KeySource].
type TokenKey struct {
	ID            string `yaml:"id" example:"\"2026\"" doc:"the kid of its tokens; without it any"`
	Issuer        string `yaml:"issuer" example:"https://www.example.com" doc:"the iss of its tokens; without it any"`
	Secret        string `yaml:"secret" secret:"true" doc:"a secret of 32 bytes or more, shared with whoever makes the tokens; baro token secret makes one"`
	SecretFile    path   `yaml:"secret_file" secret:"true" example:"token.secret" doc:"the file that it is in"`
	PublicKey     string `yaml:"public_key" doc:"PEM of public keys or certificates: RSA, ECDSA, Ed25519"`
	PublicKeyFile path   `yaml:"public_key_file" doc:"the file that it is in"`

	loaded []auth.Key
}

func (k *TokenKey) check() (err error) {
	k.loaded, err = auth.KeySource{
		ID: k.ID, Issuer: k.Issuer, Secret: k.Secret, SecretFile: string(k.SecretFile),
		PublicKey: k.PublicKey, PublicKeyFile: string(k.PublicKeyFile),
	}.Load()
	return err
}

// A KeySet is where keys are published: see [auth.KeySet].
type KeySet struct {
	URL       string   `yaml:"url" required:"true" example:"https://id.example.com/.well-known/jwks.json" doc:"a JSON Web Key Set"`
	Issuer    string   `yaml:"issuer" required:"true" example:"https://id.example.com/" doc:"the iss of its tokens"`
	Refresh   duration `yaml:"refresh" default:"10m" doc:"how often it is fetched"`
	MaxStale  duration `yaml:"max_stale" default:"24h" doc:"how long what was fetched holds while nothing can be"`
	AllowHTTP bool     `yaml:"allow_http" default:"false" doc:"http, to this machine itself"`
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
	ID       string    `yaml:"id" required:"true" example:"shop" doc:"1 to 32 of a-z and 0-9"`
	Hash     string    `yaml:"hash" required:"true" example:"\"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"" doc:"of the key, which is kept nowhere"`
	Scopes   []scope   `yaml:"scopes" required:"true" example:"[publish, call, read, manage]" doc:"what it is for"`
	Channels []pattern `yaml:"channels" example:"[\"shop/**\"]" doc:"the channels that it may touch; without it all"`
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
