package clients

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
)

// An Identity is who a client is.
type Identity struct {
	auth.Identity
	Anonymous bool // neither a token nor the backend says who it is

	client string // the id that the backend was told; "": it was not asked
	under  uint64 // the number of the policy by which it was identified
}

// Hello is what a client says of itself when it comes.
type Hello struct {
	Token string // "" for none
	// User is who its certificate says it is, until then. "": it has shown none, or none says it.
	User      string
	Until     time.Time
	Transport string // "websocket", "sse" and so on: for the backend and for [Registry.Connections]
	Remote    string // its address
	Header    http.Header
	// Data is what the client wants the backend to know; nil for nothing.
	Data json.RawMessage
}

// A ConnectQuestion is what the backend is asked about a client that comes without a token that this server verifies.
type ConnectQuestion struct {
	Client    string `json:"client,omitempty"`
	Transport string `json:"transport"`
	Remote    string `json:"remote,omitempty"`
	Token     string `json:"token,omitempty"`
	// Headers are those of its request that the configuration names.
	Headers map[string]string `json:"headers,omitempty"`
	Data    json.RawMessage   `json:"data,omitempty"`
}

// A ConnectAnswer is what it answers.
type ConnectAnswer struct {
	User     string          `json:"user"`
	Info     json.RawMessage `json:"info"`
	Channels []string        `json:"channels"`
	Rights   struct {
		Subscribe []string `json:"subscribe"`
		Publish   []string `json:"publish"`
		Presence  []string `json:"presence"`
		History   []string `json:"history"`
	} `json:"rights"`
	Expires float64         `json:"expires"` // seconds since 1970; 0 for never
	Meta    json.RawMessage `json:"meta"`
}

// Identify says who a client is: by its token if tokens are verified here; else by its certificate, if it has no token; else by asking the
// backend if there is one to ask; else it is anonymous, if that is allowed. The error is a [Error], or one that [ErrorOf] knows.
func (r *Registry) Identify(ctx context.Context, h Hello) (*Identity, error) {
	return r.identify(ctx, "", h)
}

func (r *Registry) identify(ctx context.Context, id string, h Hello) (*Identity, error) {
	p := r.policy.Load()
	switch {
	case h.Token != "" && p.verifier != nil:
		var identity auth.Identity
		err := r.config.Attempts.Try(h.Remote, func() (err error) {
			identity, err = p.verifier.Verify(ctx, h.Token)
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(identity.Info) > channel.MaxInfoBytes {
			return nil, ErrCredentials.With(fmt.Sprintf("the token's info has %d bytes, the limit is %d", len(identity.Info), channel.MaxInfoBytes))
		}
		if !identity.Expires.IsZero() && r.until(identity.Expires) <= 0 {
			// Clocks may be apart, and so a verifier accepts it for a while; but its connection would end at once, again and again.
			return nil, ErrExpired
		}
		return &Identity{Identity: identity, under: p.number}, nil
	case h.Token == "" && h.User != "":
		if r.until(h.Until) <= 0 {
			return nil, ErrExpired
		}
		return &Identity{Identity: auth.Identity{User: h.User, Expires: h.Until}, under: p.number}, nil
	case r.config.Ask != nil && p.askConnect:
		return r.askConnect(ctx, p, id, h)
	case h.Token != "":
		return nil, ErrCredentials.With("this server verifies no tokens")
	case p.anonymous:
		return p.nobody, nil
	}
	return nil, ErrCredentials
}

func (r *Registry) askConnect(ctx context.Context, p *policy, id string, h Hello) (*Identity, error) {
	if id == "" {
		id = newID()
	}
	var a ConnectAnswer
	question := ConnectQuestion{id, h.Transport, h.Remote, h.Token, selected(h.Header, p.askHeaders), h.Data}
	if err := r.config.Ask(ctx, KindConnect, question, &a); err != nil {
		if p, ok := errors.AsType[*Error](err); ok && p.Number == refusedNumber {
			denied := *p
			denied.Status, denied.Number = http.StatusForbidden, ErrForbidden.Number
			return nil, &denied
		}
		return nil, err
	}
	identity := &Identity{
		Identity: auth.Identity{User: a.User, Info: a.Info, Channels: a.Channels, Meta: a.Meta}, client: id, Anonymous: a.User == "",
		under: p.number,
	}
	var errs [7]error
	identity.Rights.Subscribe, errs[0] = auth.ParsePatterns(a.Rights.Subscribe)
	identity.Rights.Publish, errs[1] = auth.ParsePatterns(a.Rights.Publish)
	identity.Rights.Presence, errs[2] = auth.ParsePatterns(a.Rights.Presence)
	identity.Rights.History, errs[3] = auth.ParsePatterns(a.Rights.History)
	if a.User != "" {
		errs[4] = auth.ValidateUser(a.User)
	}
	if len(a.Info) > channel.MaxInfoBytes {
		errs[5] = fmt.Errorf("info has %d bytes, the limit is %d", len(a.Info), channel.MaxInfoBytes)
	}
	identity.Expires, errs[6] = expiry(a.Expires)
	if err := errors.Join(errs[:]...); err != nil {
		r.config.Log.Warn("the backend's answer to connect makes no sense", "error", err)
		return nil, ErrBackend
	}
	return identity, nil
}

// newID makes the id of a client: 110 random bits, which others may see, since nothing can be done with it but to ask for it.
func newID() string { return rand.Text()[:22] }

// endOfTime is the end of the year 9999.
const endOfTime = 253402300800

func expiry(seconds float64) (time.Time, error) {
	switch {
	case seconds == 0:
		return time.Time{}, nil
	case seconds > 0 && seconds < endOfTime:
		return time.UnixMilli(int64(seconds * 1000)), nil
	}
	return time.Time{}, fmt.Errorf("expires is %v, and no time in seconds since 1970", seconds)
}

func selected(h http.Header, names []string) map[string]string {
	some := map[string]string{}
	for _, name := range names {
		if values := h.Values(name); len(values) > 0 {
			some[http.CanonicalHeaderKey(name)] = strings.Join(values, ", ")
		}
	}
	return some
}
