package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"baro.dev/channel"
)

// reasonOf gives what a package below found wrong, without its own prefix.
func reasonOf(err error) string {
	if invalid, ok := errors.AsType[*channel.InvalidError](err); ok {
		return invalid.Reason
	}
	return err.Error()
}

// times are the claims about time (RFC 7519 section 4.1); zero where there is none.
type times struct {
	expires, notBefore, issued time.Time
}

func (c *compact) times() (t times, err error) {
	for name, into := range map[string]*time.Time{"exp": &t.expires, "nbf": &t.notBefore, "iat": &t.issued} {
		raw, ok := c.claims[name]
		if !ok {
			continue
		}
		var seconds float64
		// To the end of the year 9999, so that no conversion overflows.
		if string(raw) == "null" || json.Unmarshal(raw, &seconds) != nil || seconds < 0 || seconds >= 253402300800 {
			return t, refuse(ErrClaims, fmt.Sprintf("%q is not a time", name))
		}
		*into = time.UnixMilli(int64(seconds * 1000))
	}
	return t, nil
}

// check says whether a token with these times is valid now.
func (t times) check(now time.Time, leeway time.Duration, needExpiry bool) error {
	switch {
	case t.expires.IsZero() && needExpiry:
		return refuse(ErrClaims, "it has no expiry (exp)")
	case !t.expires.IsZero() && !now.Before(t.expires.Add(leeway)):
		return refuse(ErrExpired, "it expired "+round(now.Sub(t.expires))+" ago")
	case t.notBefore.After(now.Add(leeway)):
		return refuse(ErrNotYet, "it is valid in "+round(t.notBefore.Sub(now))+" (nbf)")
	case t.issued.After(now.Add(leeway)):
		return refuse(ErrNotYet, "it was issued in the future, by "+round(t.issued.Sub(now))+" (iat)")
	}
	return nil
}

func round(d time.Duration) string { return d.Round(time.Second).String() }

// text reads a claim that is a string.
func (c *compact) text(name string) (string, error) {
	var s string
	if err := member(c.claims, name, &s); err != nil {
		return "", refuse(ErrClaims, fmt.Sprintf("%q is not a string", name))
	}
	return s, nil
}

// audiences reads the claim "aud", which is a string or a list of them (RFC 7519 section 4.1.3).
func (c *compact) audiences() ([]string, error) {
	raw, ok := c.claims["aud"]
	if !ok {
		return nil, nil
	}
	var one string
	if raw[0] == '"' && json.Unmarshal(raw, &one) == nil {
		return []string{one}, nil
	}
	var many []string
	if err := json.Unmarshal(raw, &many); err != nil || many == nil {
		return nil, refuse(ErrClaims, `"aud" is neither a string nor a list of strings`)
	}
	return many, nil
}

// checkAudience refuses a token for others: who is not named where somebody is must refuse (RFC 7519 section 4.1.3).
func (c *compact) checkAudience(ours []string) error {
	theirs, err := c.audiences()
	switch {
	case err != nil:
		return err
	case slices.ContainsFunc(theirs, func(a string) bool { return slices.Contains(ours, a) }):
		return nil
	case c.claims["aud"] != nil && len(ours) == 0:
		return refuse(ErrClaims, "it is for an audience (aud), and this server is configured with none")
	case c.claims["aud"] != nil:
		return refuse(ErrClaims, "it is for another audience (aud)")
	case len(ours) > 0:
		return refuse(ErrClaims, "it has no audience (aud), and must have this server's")
	}
	return nil
}

// identity reads the claims that say who and what.
func (c *compact) identity() (i Identity, err error) {
	if i.User, err = c.text("sub"); err != nil {
		return i, err
	}
	if i.User != "" {
		if err := ValidateUser(i.User); err != nil {
			return i, err
		}
	}
	if i.Channels, err = c.channels(); err != nil {
		return i, err
	}
	if i.Rights, err = c.rights(); err != nil {
		return i, err
	}
	i.Info, i.Meta = c.value("info"), c.value("meta")
	return i, nil
}

func (c *compact) value(name string) json.RawMessage {
	if raw := c.claims[name]; string(raw) != "null" {
		return raw
	}
	return nil
}

func (c *compact) channels() ([]string, error) {
	var names []string
	if member(c.claims, "channels", &names) != nil {
		return nil, refuse(ErrClaims, `"channels" is not a list of strings`)
	}
	if len(names) > MaxChannels {
		return nil, refuse(ErrClaims, fmt.Sprintf("%d channels, the limit is %d", len(names), MaxChannels))
	}
	for i, name := range names {
		if err := channel.ValidateName(name); err != nil {
			return nil, refuse(ErrClaims, fmt.Sprintf("channel %d: %s", i+1, reasonOf(err)))
		}
	}
	return names, nil
}

func (c *compact) rights() (r Rights, err error) {
	var lists map[Action][]string
	if member(c.claims, "rights", &lists) != nil {
		return r, refuse(ErrClaims, `"rights" is not an object of lists of strings`)
	}
	for action, texts := range lists {
		patterns := r.of(action)
		if patterns == nil {
			return r, refuse(ErrClaims, `"rights" has another name than subscribe, publish, presence and history`)
		}
		if *patterns, err = ParsePatterns(texts); err != nil {
			return r, err
		}
	}
	return r, nil
}
