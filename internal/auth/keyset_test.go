package auth_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/auth"
)

// issuer is somebody who signs tokens, and publishes keys.
type issuer struct {
	name string
	keys map[string]ed25519.PrivateKey
}

func newIssuer(name string, kids ...string) *issuer {
	i := &issuer{name, map[string]ed25519.PrivateKey{}}
	for _, kid := range kids {
		_, i.keys[kid], _ = ed25519.GenerateKey(rand.Reader)
	}
	return i
}

func (i *issuer) token(t testing.TB, kid string) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.keys[kid])
	if err != nil {
		t.Fatal(err)
	}
	k := signer(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	token, err := auth.Mint(k, auth.Claims{User: "u-" + i.name, Issuer: i.name, KeyID: kid, Expires: time.Now().Add(1000 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (i *issuer) set(kids ...string) string {
	keys := []any{}
	for _, kid := range kids {
		keys = append(keys, map[string]string{
			"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig",
			"x": base64.RawURLEncoding.EncodeToString(i.keys[kid].Public().(ed25519.PublicKey)),
		})
	}
	set, _ := json.Marshal(map[string]any{"keys": keys})
	return string(set)
}

// endpoint is where a set is fetched, in a bubble of synctest.
type endpoint struct {
	mu       sync.Mutex
	requests int
	answer   func(*http.Request) (*http.Response, error)
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	e.mu.Lock()
	e.requests++
	answer := e.answer
	e.mu.Unlock()
	return answer(r)
}

func (e *endpoint) answers(body string) {
	e.does(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
	})
}

func (e *endpoint) hangs() {
	e.does(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
}

func (e *endpoint) does(answer func(*http.Request) (*http.Response, error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests
}

const setURL = "https://issuer.example/keys"

func bubble(t *testing.T, test func(t *testing.T, e *endpoint, v *auth.Verifier, i *issuer)) {
	synctest.Test(t, func(t *testing.T) {
		i, e := newIssuer("i", "1", "2", "3"), new(endpoint)
		e.answers(i.set("1"))
		v := verifier(t, auth.Config{KeySets: []auth.KeySet{{URL: setURL, Issuer: "i"}}, Transport: e})
		test(t, e, v, i)
	})
}

func want(t *testing.T, v *auth.Verifier, token string, kind error) {
	t.Helper()
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, kind) {
		t.Errorf("%v; want %v", err, kind)
	}
}

func TestKeySetRotates(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, v *auth.Verifier, i *issuer) {
		want(t, v, i.token(t, "1"), nil)
		want(t, v, i.token(t, "1"), nil)
		if e.count() != 1 {
			t.Errorf("%d requests", e.count())
		}
		// A new key is found when a token has it, though not within 10 s of the last fetch.
		e.answers(i.set("1", "2"))
		want(t, v, i.token(t, "2"), auth.ErrUnknownKey)
		time.Sleep(10 * time.Second)
		want(t, v, i.token(t, "2"), nil)
		// A key that was withdrawn is good for twice the refresh time at most, or until any token has it fetched.
		e.answers(i.set("2"))
		time.Sleep(11 * time.Minute)
		want(t, v, i.token(t, "1"), nil) // this one has it fetched in the background
		synctest.Wait()
		want(t, v, i.token(t, "1"), auth.ErrUnknownKey)
		e.answers(i.set("3"))
		time.Sleep(20 * time.Minute)
		want(t, v, i.token(t, "2"), auth.ErrUnknownKey)
		want(t, v, i.token(t, "3"), nil)
	})
}

// Tokens with random kids cannot make the verifier ask in a loop.
func TestKeySetFlood(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, v *auth.Verifier, i *issuer) {
		stranger := newIssuer("i")
		var all sync.WaitGroup
		for n := range 1000 {
			kid := fmt.Sprint("random-", n)
			_, stranger.keys[kid], _ = ed25519.GenerateKey(rand.Reader)
		}
		for second := range 60 {
			for n := range 15 {
				token := stranger.token(t, fmt.Sprint("random-", (second*15+n)%1000))
				all.Go(func() { want(t, v, token, auth.ErrUnknownKey) })
			}
			time.Sleep(time.Second)
		}
		all.Wait()
		if e.count() > 6 {
			t.Errorf("%d requests within a minute", e.count())
		}
		want(t, v, i.token(t, "1"), nil)
	})
}

func TestKeySetAway(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, v *auth.Verifier, i *issuer) {
		e.hangs()
		began := time.Now()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { want(t, v, i.token(t, "1"), auth.ErrUnavailable) })
		}
		all.Wait()
		if took := time.Since(began); took != 5*time.Second || e.count() != 1 {
			t.Errorf("%d requests, for %v", e.count(), took)
		}
		want(t, v, i.token(t, "1"), auth.ErrUnavailable)
		if e.count() != 1 {
			t.Error("it is asked again at once")
		}
		_, err := v.Verify(t.Context(), i.token(t, "1"))
		if errors.Is(err, auth.ErrInvalid) || strings.Contains(err.Error(), "example") {
			t.Errorf("%v is final, or tells the URL", err)
		}
		time.Sleep(10 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := v.Verify(ctx, i.token(t, "1")); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("given up: %v", err)
		}
		time.Sleep(15 * time.Second)
		e.answers(i.set("1"))
		want(t, v, i.token(t, "1"), nil)

		// It goes away: what was fetched serves on, for a day.
		e.hangs()
		for range 23 {
			time.Sleep(time.Hour)
			want(t, v, i.token(t, "1"), nil)
		}
		time.Sleep(time.Hour)
		want(t, v, i.token(t, "1"), auth.ErrUnavailable)
		e.answers(i.set("1"))
		time.Sleep(10 * time.Second)
		want(t, v, i.token(t, "1"), nil)
	})
}

func TestKeySetClose(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, v *auth.Verifier, i *issuer) {
		e.hangs()
		done := make(chan struct{})
		go func() {
			defer close(done)
			want(t, v, i.token(t, "1"), auth.ErrUnavailable)
		}()
		synctest.Wait()
		began := time.Now()
		v.Close()
		<-done
		if time.Since(began) > 0 {
			t.Error("Close waits for the answer")
		}
		want(t, v, i.token(t, "1"), auth.ErrUnavailable)
		if e.count() != 1 {
			t.Errorf("%d requests", e.count())
		}
		if v.Refresh(t.Context()) == nil {
			t.Error("refreshed after Close")
		}
	})
}

// The same kid of two issuers are two keys; and no claim leads to a URL, nor makes anybody ask.
func TestKeySetsDoNotMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newIssuer("https://a.example", "1"), newIssuer("https://b.example", "1")
		var asked []string
		e := new(endpoint)
		e.does(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.String())
			body := a.set("1")
			if r.URL.Host == "keys.b.example" {
				body = b.set("1")
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
		v := verifier(t, auth.Config{Transport: e, KeySets: []auth.KeySet{
			{URL: "https://keys.a.example/", Issuer: a.name}, {URL: "https://keys.b.example/", Issuer: b.name},
		}})
		want(t, v, a.token(t, "1"), nil)
		if len(asked) != 1 {
			t.Errorf("asked %q for the first token", asked)
		}
		want(t, v, b.token(t, "1"), nil)
		a.name, b.name = b.name, a.name
		want(t, v, a.token(t, "1"), auth.ErrSignature)
		want(t, v, b.token(t, "1"), auth.ErrSignature)
		for _, name := range []string{"https://a.example/", "https://A.example", "https://a.example/../b.example", "https://keys.a.example/", "http://127.0.0.1/", ""} {
			a.name = name
			want(t, v, a.token(t, "1"), auth.ErrClaims)
		}
		if len(asked) != 2 {
			t.Errorf("asked %q", asked)
		}
		for _, alg := range []string{"none", "HS256", "", "XX"} {
			want(t, v, raw(`{"alg":"`+alg+`","kid":"2"}`, claims(`,"iss":"https://a.example"`)), auth.ErrUnknownKey)
		}
		if len(asked) != 2 {
			t.Errorf("asked %q for algorithms that no set has", asked)
		}
	})
}

// An endpoint on the network that does all that it should not.
func TestKeySetMisbehaves(t *testing.T) {
	i := newIssuer("i", "1")
	var elsewhere atomic.Int32
	mux := http.NewServeMux()
	answer := func(path, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
	}
	answer("/good", i.set("1"))
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		io.WriteString(w, i.set("1"))
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) })
	mux.HandleFunc("/500", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		io.WriteString(w, i.set("1"))
	})
	mux.HandleFunc("/10MB", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.TrimSuffix(i.set("1"), "}")+strings.Repeat(" ", 10<<20)+"}")
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		io.WriteString(w, i.set("1"))
	})
	mux.HandleFunc("/hangup", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	answer("/garbage", "<html>")
	answer("/empty", "")
	answer("/none", `{"keys":[]}`)
	answer("/null", `null`)
	answer("/list", `[`+i.set("1")+`]`)
	answer("/many", `{"keys":[`+strings.TrimSuffix(strings.Repeat(`{"kty":"x"},`, 101), ",")+`]}`)
	answer("/deep", `{"keys":`+strings.Repeat("[", 100_000))
	answer("/secret", `{"keys":[{"kty":"oct","kid":"1","alg":"HS256","k":"`+b64(secret)+`"}]}`)
	s := httptest.NewServer(mux)
	defer s.Close()

	tests := []struct{ path, want string }{
		{"/good", ""},
		{"/redirect", "redirects are not followed"},
		{"/500", "status 500"},
		{"/404", "status 404"},
		{"/10MB", "more than 1048576 bytes"},
		{"/endless", "more than 1048576 bytes"},
		{"/cut", "EOF"},
		{"/hangup", "EOF"},
		{"/garbage", "not a JWK Set"},
		{"/empty", "not a JWK Set"},
		{"/none", "no key"},
		{"/null", "no key"},
		{"/list", "not a JWK Set"},
		{"/many", "101 keys"},
		{"/deep", "not a JWK Set"},
		{"/secret", "no key"},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			v := verifier(t, auth.Config{KeySets: []auth.KeySet{{URL: s.URL + test.path, Issuer: "i", AllowHTTP: true}}})
			err := v.Refresh(t.Context())
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				want(t, v, i.token(t, "1"), nil)
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v; want %s", err, test.want)
			}
			want(t, v, i.token(t, "1"), auth.ErrUnavailable)
			want(t, v, raw(`{"alg":"HS256","kid":"1"}`, claims(`,"iss":"i"`)), auth.ErrUnknownKey)
		})
	}
	if elsewhere.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

// Keys that cannot be used are left out; the others of the set serve.
func TestKeySetPart(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	n, e := base64.RawURLEncoding.EncodeToString(private.N.Bytes()), "AQAB"
	i := newIssuer("i", "good")
	good := strings.TrimSuffix(strings.TrimPrefix(i.set("good"), `{"keys":[`), `]}`)
	zero := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	bad := []string{
		`7`, `null`, `{}`, `{"kty":7}`,
		`{"kty":"RSA","kid":"r","n":"` + n + `","e":"AA"}`,
		`{"kty":"RSA","kid":"r","n":"` + n + `","e":"AQ"}`,
		`{"kty":"RSA","kid":"r","n":"` + n + `","e":"BA"}`,
		`{"kty":"RSA","kid":"r","n":"` + n + `","e":"_____w"}`,
		`{"kty":"RSA","kid":"r","n":"` + n + `","e":"AQAAAAAAAQ"}`,
		`{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"}`,
		`{"kty":"RSA","kid":"r","n":"` + strings.Repeat("_", 20_000) + `","e":"AQAB"}`,
		`{"kty":"RSA","kid":"r","n":"` + n + `","e":"AQAB","use":"enc"}`,
		`{"kty":"RSA","kid":"r","n":"` + n + `","e":"AQAB","key_ops":["encrypt"]}`,
		`{"kty":"RSA","kid":"r","n":"` + n + `","e":"AQAB","alg":"HS256"}`,
		`{"kty":"RSA","kid":"r","n":"` + n + `","e":"AQAB","alg":"PS256"}`,
		`{"kty":"RSA","kid":"r","n":"` + n + `","e":"AQAB","d":"AQAB"}`,
		`{"kty":"EC","kid":"e","crv":"P-256","x":"` + zero + `","y":"` + zero + `"}`,
		`{"kty":"EC","kid":"e","crv":"P-256","x":"AA","y":"AA"}`,
		`{"kty":"EC","kid":"e","crv":"secp256k1","x":"` + zero + `","y":"` + zero + `"}`,
		`{"kty":"OKP","kid":"o","crv":"Ed25519","x":"AA"}`,
		`{"kty":"OKP","kid":"o","crv":"X25519","x":"` + zero + `"}`,
	}
	body := `{"keys":[` + strings.Join(bad, ",") + "," + good + `]}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }))
	defer s.Close()
	v := verifier(t, auth.Config{KeySets: []auth.KeySet{{URL: s.URL, Issuer: "i", AllowHTTP: true}}})
	want(t, v, i.token(t, "good"), nil)
	der, _ := x509.MarshalPKCS8PrivateKey(private)
	k := signer(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	token, _ := auth.Mint(k, auth.Claims{Issuer: "i", KeyID: "r", Expires: time.Now().Add(time.Hour)})
	want(t, v, token, auth.ErrUnknownKey) // it is RS256, and the only key that is in order is for PS256

	body = `{"keys":[{"kty":"RSA","kid":"r","n":"` + n + `","e":"` + e + `"}]}`
	if big.NewInt(65537).Int64() != int64(private.E) {
		t.Fatal("another exponent")
	}
	if err := v.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, v, token, nil)
}

// Without a kid a token must fit one key of the set only.
func TestKeySetWithoutKid(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, v *auth.Verifier, i *issuer) {
		i.keys[""] = i.keys["1"]
		want(t, v, i.token(t, ""), nil)
		e.answers(i.set("1", "2"))
		if err := v.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, v, i.token(t, ""), auth.ErrUnknownKey)
	})
}

// Coordinates come without the zeroes that they begin with, from some who publish keys.
func TestKeySetShortCoordinates(t *testing.T) {
	for {
		private, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, err := private.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		x, y := point[1:67], point[67:]
		if x[0] != 0 && y[0] != 0 {
			continue
		}
		short := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(bytes.TrimLeft(b, "\x00")) }
		body := `{"keys":[{"kty":"EC","kid":"e","crv":"P-521","x":"` + short(x) + `","y":"` + short(y) + `"}]}`
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }))
		defer s.Close()
		v := verifier(t, auth.Config{KeySets: []auth.KeySet{{URL: s.URL, Issuer: "i", AllowHTTP: true}}})
		der, _ := x509.MarshalPKCS8PrivateKey(private)
		k := signer(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		token, _ := auth.Mint(k, auth.Claims{Issuer: "i", KeyID: "e", Expires: time.Now().Add(time.Hour)})
		want(t, v, token, nil)
		return
	}
}
