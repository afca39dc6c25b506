package auth

import (
	"errors"
	"time"
)

// Why a token or a key is refused. Each is what [errors.Is] compares with; the errors themselves are [*Error] and say more.
var (
	// ErrInvalid matches every refusal: all of the following but the last two. Trying again does not help.
	ErrInvalid = errors.New("auth: invalid")

	ErrMissing    = errors.New("auth: no credentials")             // the request has none
	ErrMalformed  = errors.New("auth: malformed credentials")      // not a token, not a key, or more than one of them
	ErrTooLong    = errors.New("auth: token too long")             // more than Config.MaxTokenBytes
	ErrUnknownKey = errors.New("auth: unknown key")                // no configured key verifies tokens of this kid and algorithm; or there is no such API key
	ErrSignature  = errors.New("auth: wrong signature")            // of a token
	ErrExpired    = errors.New("auth: expired")                    // exp has passed
	ErrNotYet     = errors.New("auth: not valid yet")              // nbf, or iat, is to come
	ErrClaims     = errors.New("auth: unacceptable claims")        // another issuer or audience, a bad name, no expiry
	ErrForbidden  = errors.New("auth: not among the key's rights") // of an API key: its scopes, its channels

	// ErrUnavailable means that the keys could not be fetched, for now: trying again later may help.
	ErrUnavailable = errors.New("auth: keys unavailable")
	// ErrTooMany means that nothing is looked at for a while from whoever has shown too many wrong ones; see Error.After.
	ErrTooMany = errors.New("auth: too many attempts")
)

// An Error is a refusal. Its text is fit for whoever presented the token: it never contains the token, nor a URL of the
// configuration.
type Error struct {
	Kind   error         // one of the sentinels
	Reason string        // what is wrong: "it expired 3m0s ago"
	After  time.Duration // of ErrTooMany: when to try again
}

func (e *Error) Error() string { return e.Kind.Error() + ": " + e.Reason }

// Is makes an Error match its kind, and [ErrInvalid] if it is final.
func (e *Error) Is(target error) bool {
	return target == e.Kind || target == ErrInvalid && e.Kind != ErrUnavailable && e.Kind != ErrTooMany
}

func refuse(kind error, reason string) error { return &Error{Kind: kind, Reason: reason} }
