package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// A KeySet says where the keys of an issuer are published (a JWK Set, RFC 7517). The URL is the operator's word, so that it
// may be of a private address, where many identity providers are; no part of it ever comes from a token.
type KeySet struct {
	URL    string `json:"url"`    // https; and http with AllowHTTP
	Issuer string `json:"issuer"` // the "iss" of the tokens that these keys verify, and no others; required
	// AllowHTTP permits http to localhost, 127.0.0.0/8 and ::1, for tests and development.
	AllowHTTP bool `json:"allow_http,omitempty"`
	// Refresh is how old keys may be until they are fetched anew, in the background; after twice that time they are waited
	// for. 10 min; at least 10 s, which is the least time between two attempts, whatever tokens ask for.
	Refresh time.Duration `json:"-"`
	// MaxStale is how old keys may be that serve on because the URL does not answer. 24 h.
	MaxStale time.Duration `json:"-"`
}

// Bounds of a fetch.
const (
	fetchTimeout  = 5 * time.Second
	fetchInterval = 10 * time.Second
	maxSetBytes   = 1 << 20
)

// remoteSet is a KeySet and what was fetched of it. Its mutex guards what follows it; a fetch runs on a goroutine of its own,
// one at a time, and holds the mutex only to tell its result.
type remoteSet struct {
	issuer, url       string
	refresh, maxStale time.Duration
	client            *http.Client
	log               *slog.Logger
	ctx               context.Context // of fetches; ends with close
	cancel            context.CancelFunc
	fetches           sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	keys      []Key
	fetched   time.Time     // when keys were
	attempted time.Time     // when the last attempt ended
	err       error         // of the last attempt
	flight    chan struct{} // closed when the attempt under way ends; nil if there is none
}

func newRemoteSet(s KeySet, transport http.RoundTripper, log *slog.Logger) (*remoteSet, error) {
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("key set %q: %w", Redact(s.URL), err)
	}
	if s.Refresh == 0 {
		s.Refresh = 10 * time.Minute
	}
	if s.MaxStale == 0 {
		s.MaxStale = 24 * time.Hour
	}
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		}
	}
	r := &remoteSet{issuer: s.Issuer, url: s.URL, refresh: s.Refresh, maxStale: s.MaxStale, log: log}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r, nil
}

func (s *KeySet) validate() error {
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New("it is not a URL")
	case s.Issuer == "":
		return errors.New("it has no issuer: keys verify the tokens of one issuer only")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("its URL must begin with https://")
	case u.Scheme == "http" && !s.AllowHTTP:
		return errors.New("its URL is http, by which anybody on the way could put in keys: it must be https")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("http is permitted to this machine itself only")
	case s.Refresh != 0 && s.Refresh < fetchInterval:
		return fmt.Errorf("a refresh of less than %v", fetchInterval)
	case s.MaxStale < 0:
		return errors.New("a negative max_stale")
	}
	return nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// find gives the keys for a token. It waits for a fetch if there are none, or only old ones.
func (s *remoteSet) find(ctx context.Context, c *compact) ([]Key, error) {
	for waited := false; ; waited = true {
		s.mu.Lock()
		now := time.Now()
		age := now.Sub(s.fetched)
		if age >= s.maxStale {
			s.keys = nil
		}
		found := match(s.keys, c)
		wanted := len(found) == 0 || age >= 2*s.refresh
		var flight chan struct{}
		if wanted || age >= s.refresh {
			flight = s.fetch(now)
		}
		err := s.err
		if s.fetched.IsZero() && err == nil {
			err = errors.New("never fetched")
		}
		s.mu.Unlock()

		if !waited && wanted && flight != nil {
			select {
			case <-flight:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		switch {
		case len(found) > 0:
			return found, nil
		case err != nil:
			return nil, refuse(ErrUnavailable, "the keys of its issuer cannot be had at the moment")
		}
		return nil, refuse(ErrUnknownKey, "its issuer has no such key")
	}
}

// match gives the keys of the token's kid and algorithm. A token without a kid must fit one key only.
func match(keys []Key, c *compact) []Key {
	var found []Key
	for _, k := range keys {
		if (!c.hasKid || k.ID == c.kid) && k.method(c.alg) != nil {
			found = append(found, k)
		}
	}
	if !c.hasKid && len(found) > 1 {
		return nil
	}
	return found
}

// fetch begins an attempt, or joins the one under way; nil if the last is too recent, so that tokens with keys that nobody
// has cannot make it ask in a loop. The mutex is held.
func (s *remoteSet) fetch(now time.Time) chan struct{} {
	if s.flight != nil {
		return s.flight
	}
	if s.closed || !s.attempted.IsZero() && now.Sub(s.attempted) < fetchInterval {
		return nil
	}
	return s.start()
}

func (s *remoteSet) start() chan struct{} {
	done := make(chan struct{})
	s.flight = done
	s.fetches.Go(func() {
		keys, err := s.get()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told(keys, err)
		s.flight = nil
		close(done)
	})
	return done
}

// told takes the result of an attempt. The mutex is held.
func (s *remoteSet) told(keys []Key, err error) {
	now := time.Now()
	failed := s.err != nil
	s.attempted, s.err = now, err
	switch {
	case err == nil:
		for i := range keys {
			keys[i].source = s.source()
		}
		s.keys, s.fetched = keys, now
		if failed {
			s.log.Info("a key set is there again", "issuer", s.issuer, "url", Redact(s.url), "keys", len(keys))
		}
	case s.closed:
	case len(s.keys) > 0:
		s.log.Warn("a key set could not be fetched; the keys of before serve on", "issuer", s.issuer, "url", Redact(s.url),
			"error", err, "age", now.Sub(s.fetched).Round(time.Second).String(), "until", s.fetched.Add(s.maxStale))
	default:
		s.log.Warn("a key set could not be fetched; tokens of its issuer are refused", "issuer", s.issuer, "url", Redact(s.url), "error", err)
	}
}

// get makes one request.
func (s *remoteSet) get() ([]Key, error) {
	ctx, cancel := context.WithTimeout(s.ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := s.client.Do(r)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // the log names the URL itself, redacted
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered with status %d; redirects are not followed", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxSetBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxSetBytes {
		return nil, fmt.Errorf("it answered with more than %d bytes", maxSetBytes)
	}
	return parseSet(body, func(kid string, why error) {
		s.log.Warn("a key of a key set is left out", "issuer", s.issuer, "kid", fmt.Sprintf("%.64s", kid), "error", why)
	})
}

// source is that of its keys.
func (s *remoteSet) source() string { return s.issuer + " " + s.url }

// inherit takes over what another one of the same URL has fetched.
func (s *remoteSet) inherit(old *remoteSet) {
	old.mu.Lock()
	keys, fetched, attempted, err := old.keys, old.fetched, old.attempted, old.err
	old.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.fetched, s.attempted, s.err = keys, fetched, attempted, err
}

// refreshNow fetches whenever the last attempt was.
func (s *remoteSet) refreshNow(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.New("closed")
	}
	flight := s.flight
	if flight == nil {
		flight = s.start()
	}
	s.mu.Unlock()
	select {
	case <-flight:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *remoteSet) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.fetches.Wait()
}
