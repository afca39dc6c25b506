package auth

import (
	"encoding/json"
	"time"
)

// An Inspection is what a token says. Nothing of it is verified, and all of it may be hostile.
type Inspection struct {
	Header, Claims json.RawMessage // JSON objects
	Algorithm      string          // "alg"
	User           string          // "sub"; "" if there is none, or none that is a string
	Issuer         string          // "iss", likewise
	Audiences      []string        // "aud", likewise
	Expires        time.Time       // "exp"; zero if there is none, or none that is a time
	NotBefore      time.Time       // "nbf", likewise
	Issued         time.Time       // "iat", likewise
}

// Inspect reads a token of up to 1 MiB without verifying it.
func Inspect(token string) (Inspection, error) {
	if len(token) > 1<<20 {
		return Inspection{}, refuse(ErrTooLong, "it has more than 1 MiB")
	}
	c, err := parseCompact(token)
	if err != nil {
		return Inspection{}, err
	}
	var i Inspection
	// What is wrong with a member is for a Verifier to say.
	_ = member(c.header, "alg", &i.Algorithm)
	if i.Header, err = json.Marshal(c.header); err != nil {
		return i, err
	}
	if i.Claims, err = json.Marshal(c.claims); err != nil {
		return i, err
	}
	i.User, _ = c.text("sub")
	i.Issuer, _ = c.text("iss")
	i.Audiences, _ = c.audiences()
	t, _ := c.times()
	i.Expires, i.NotBefore, i.Issued = t.expires, t.notBefore, t.issued
	return i, nil
}
