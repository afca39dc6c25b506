package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Config is which tokens are accepted. A zero field means the default, which is given with it. There must be a key or a key set.
type Config struct {
	// Keys verify tokens; 100 at most. See [KeySource].
	Keys []Key
	// KeySets are fetched, each from its URL, for the tokens of its issuer; 20 at most.
	KeySets []KeySet

	// Issuers are those whose tokens are accepted ("iss"), beside those that keys and key sets are bound to. Compared byte by
	// byte. Without any, keys that are bound to no issuer accept tokens of any issuer that no other is bound to, and of none.
	Issuers []string
	// Audiences are the names of this server: a token must be for one of them ("aud"). Without any, a token must be for nobody
	// in particular.
	Audiences []string
	// Leeway is how far clocks may be apart. 30 s; negative for none.
	Leeway time.Duration
	// MaxTokenBytes is how long a token may be. 16 KiB.
	MaxTokenBytes int
	// AllowNoExpiry accepts tokens without "exp", which are good for ever.
	AllowNoExpiry bool

	// Transport fetches key sets. By default one that honours the proxy of the environment and keeps no connections.
	Transport http.RoundTripper
	// Log is where key sets that cannot be fetched are reported. [slog.Default].
	Log *slog.Logger
}

// A Verifier verifies tokens. Its methods may be called from any goroutine. It has no goroutine but while a key set is being
// fetched.
type Verifier struct {
	keys      []Key
	sets      []*remoteSet
	issuers   []string // all that are accepted; empty for any
	bound     map[string]bool
	audiences []string
	leeway    time.Duration
	maxBytes  int
	noExpiry  bool
}

// New makes a Verifier. It fetches nothing yet: see [Verifier.Refresh].
func New(c Config) (*Verifier, error) {
	if len(c.Keys)+len(c.KeySets) == 0 {
		return nil, errors.New("there is no key to verify tokens with")
	}
	if len(c.Keys) > 100 || len(c.KeySets) > 20 {
		return nil, errors.New("more than 100 keys, or 20 key sets")
	}
	v := &Verifier{
		keys: slices.Clone(c.Keys), audiences: slices.Clone(c.Audiences), bound: make(map[string]bool),
		leeway: c.Leeway, maxBytes: c.MaxTokenBytes, noExpiry: c.AllowNoExpiry,
	}
	switch {
	case c.Leeway == 0:
		v.leeway = 30 * time.Second
	case c.Leeway < 0:
		v.leeway = 0
	}
	if v.maxBytes <= 0 {
		v.maxBytes = 16 << 10
	}
	for i, k := range c.Keys {
		if len(k.methods) == 0 {
			return nil, errors.New("a key without a kind: make it with SecretKey or PublicKeys")
		}
		v.keys[i].source = k.fingerprint()
		if k.Issuer != "" {
			v.bound[k.Issuer] = true
		}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	for _, s := range c.KeySets {
		remote, err := newRemoteSet(s, c.Transport, c.Log)
		if err != nil {
			return nil, err
		}
		v.sets, v.bound[s.Issuer] = append(v.sets, remote), true
	}
	free := slices.ContainsFunc(c.Keys, func(k Key) bool { return k.Issuer == "" })
	if len(c.Issuers) > 0 || !free {
		v.issuers = slices.Clone(c.Issuers)
		for issuer := range v.bound {
			v.issuers = append(v.issuers, issuer)
		}
	}
	return v, nil
}

// Verify says who a token is of. The context bounds how long it waits for a key set; most tokens wait for nothing. The error is
// an [*Error]. The Identity belongs to the caller.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if len(token) > v.maxBytes {
		return Identity{}, refuse(ErrTooLong, fmt.Sprintf("it has %d bytes, the limit is %d", len(token), v.maxBytes))
	}
	if IsKey(token) {
		return Identity{}, refuse(ErrMalformed, "it is an API key, which is for the HTTP API: a token is needed")
	}
	c, err := parseCompact(token)
	if err != nil {
		return Identity{}, err
	}
	if err := c.readHeader(); err != nil {
		return Identity{}, err
	}
	source, err := v.checkSignature(ctx, c)
	if err != nil {
		return Identity{}, err
	}
	t, err := c.times()
	if err != nil {
		return Identity{}, err
	}
	if err := t.check(time.Now(), v.leeway, !v.noExpiry); err != nil {
		return Identity{}, err
	}
	if err := c.checkAudience(v.audiences); err != nil {
		return Identity{}, err
	}
	i, err := c.identity()
	if err != nil {
		return Identity{}, err
	}
	i.Expires, i.source = t.expires, source
	return i, nil
}

// checkSignature finds the keys that a token may be verified by, and tries them. What it reads of the claims is not verified
// at that time: it chooses among what is configured. It gives the source of the key that has signed.
func (v *Verifier) checkSignature(ctx context.Context, c *compact) (source string, err error) {
	issuer, err := c.text("iss")
	if err != nil {
		return "", err
	}
	if len(v.issuers) > 0 && !slices.Contains(v.issuers, issuer) {
		return "", refuse(ErrClaims, "it is of an issuer (iss) that is not accepted")
	}
	keys, err := v.candidates(ctx, c, issuer)
	if err != nil {
		return "", err
	}
	if len(keys) == 0 {
		return "", refuse(ErrUnknownKey, fmt.Sprintf("no key verifies tokens of its issuer, key (kid) and algorithm (%.16q)", c.alg))
	}
	for _, k := range keys {
		if k.method(c.alg).Verify(c.signed, c.signature, k.public) == nil {
			return k.source, nil
		}
	}
	return "", refuse(ErrSignature, "the key that it should be signed by did not sign it")
}

// candidates gives the keys of the token's issuer, kid and algorithm.
func (v *Verifier) candidates(ctx context.Context, c *compact, issuer string) ([]Key, error) {
	owner := issuer
	if !v.bound[issuer] {
		owner = ""
	}
	var keys []Key
	for _, k := range v.keys {
		if k.Issuer == owner && (k.ID == "" || !c.hasKid || k.ID == c.kid) && k.method(c.alg) != nil {
			keys = append(keys, k)
		}
	}
	if !inSets(c.alg) {
		return keys, nil
	}
	for _, s := range v.sets {
		if len(keys) > 0 {
			break
		}
		if s.issuer != owner {
			continue
		}
		found, err := s.find(ctx, c)
		if err != nil && !errors.Is(err, ErrUnknownKey) {
			return nil, err
		}
		keys = append(keys, found...)
	}
	return keys, nil
}

// inSets says whether the keys of sets verify such an algorithm. They are not asked for what they cannot have.
func inSets(alg string) bool {
	switch jwt.GetSigningMethod(alg).(type) {
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS, *jwt.SigningMethodECDSA, *jwt.SigningMethodEd25519:
		return true
	}
	return false
}

// Refresh fetches all key sets now, so that the first token need not wait, and an operator learns what is not to be had. The
// error names each set that failed; whatever was fetched before remains in use.
func (v *Verifier) Refresh(ctx context.Context) error {
	var errs []error
	for _, s := range v.sets {
		if err := s.refreshNow(ctx); err != nil {
			errs = append(errs, fmt.Errorf("the keys of %s from %s: %w", s.issuer, Redact(s.url), err))
		}
	}
	return errors.Join(errs...)
}

// Trusts says whether the key, or the key set, that verified an identity, by this Verifier or another, is one of this one's. An identity
// that no Verifier has verified is nobody's.
func (v *Verifier) Trusts(i Identity) bool {
	return i.source != "" && (slices.ContainsFunc(v.keys, func(k Key) bool { return k.source == i.source }) ||
		slices.ContainsFunc(v.sets, func(s *remoteSet) bool { return s.source() == i.source }))
}

// Verified says whether an identity comes from a token that a Verifier has verified.
func (i *Identity) Verified() bool { return i.source != "" }

// Inherit takes over the keys that another Verifier has fetched, of the key sets that both have: where this one takes its place, no
// token waits for them. It comes before the first token.
func (v *Verifier) Inherit(old *Verifier) {
	for _, s := range v.sets {
		for _, o := range old.sets {
			if s.source() == o.source() {
				s.inherit(o)
			}
		}
	}
}

// Close ends what is being fetched. Tokens of key sets that were not fetched are refused from then on.
func (v *Verifier) Close() {
	for _, s := range v.sets {
		s.close()
	}
}
