package auth_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/auth"
)

func TestMint(t *testing.T) {
	keys := map[string][]byte{"HS256": []byte(auth.NewSecret())}
	for alg, kind := range map[string]string{"EdDSA": "ed25519", "ES256": "ecdsa", "RS256": "rsa"} {
		private, public, err := auth.NewKeyPair(kind)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := auth.PublicKeys(public); err != nil {
			t.Error(err)
		}
		if _, err := auth.ParseSigningKey(public); err == nil || !strings.Contains(err.Error(), "public key") {
			t.Errorf("%s signs with the public key: %v", kind, err)
		}
		keys[alg] = private
	}
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	for alg, text := range keys {
		k := signer(t, text)
		if k.Algorithm() != alg {
			t.Errorf("%s, want %s", k.Algorithm(), alg)
		}
		token, err := auth.Mint(k, auth.Claims{
			User: "kim", Channels: []string{"news"}, Subscribe: []string{"a/*"}, Publish: []string{"b"}, Presence: []string{"c"}, History: []string{"d"},
			Info: json.RawMessage(`{"name": "Kim"}`), Meta: json.RawMessage(`7`), Issuer: "me", Audience: "baro",
			Issued: time.Now(), Expires: expires, KeyID: "k1", Other: map[string]any{"tenant": "acme"},
		})
		if err != nil {
			t.Fatal(err)
		}
		v := verifier(t, auth.Config{Keys: []auth.Key{k.Key()}, Issuers: []string{"me"}, Audiences: []string{"baro"}})
		i, err := v.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if i.User != "kim" || !i.Expires.Equal(expires) || string(i.Info) != `{"name":"Kim"}` || string(i.Meta) != "7" ||
			!i.May(auth.Subscribe, "a/1") || !i.May(auth.Publish, "b") || !i.May(auth.Presence, "c") || !i.May(auth.History, "d") || fmt.Sprint(i.Channels) != "[news]" {
			t.Errorf("%+v", i)
		}
		read, err := auth.Inspect(token)
		if err != nil || read.Algorithm != alg || read.User != "kim" || read.Issuer != "me" || fmt.Sprint(read.Audiences) != "[baro]" || !read.Expires.Equal(expires) ||
			!strings.Contains(string(read.Claims), `"tenant":"acme"`) || !strings.Contains(string(read.Header), `"kid":"k1"`) {
			t.Errorf("%+v, %v", read, err)
		}
	}
	k := signer(t, keys["HS256"])
	for want, c := range map[string]auth.Claims{
		"info is not JSON":  {Info: json.RawMessage("{")},
		"control character": {User: "a\nb"},
		"pattern 2":         {Publish: []string{"a", ""}},
		"channel 1":         {Channels: []string{"\x00"}},
		`the claim "sub"`:   {Other: map[string]any{"sub": "a"}},
	} {
		if token, err := auth.Mint(k, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v", want, token, err)
		}
	}
}

// What no Verifier accepts can be looked at all the same.
func TestInspectRefused(t *testing.T) {
	i, err := auth.Inspect(raw(`{"alg":"none","crit":["x"],"typ":"other"}`, `{"sub":7,"exp":"never","aud":{}}`))
	if err != nil || i.Algorithm != "none" || i.User != "" || !i.Expires.IsZero() || i.Audiences != nil || string(i.Claims) != `{"aud":{},"exp":"never","sub":7}` {
		t.Errorf("%+v, %v", i, err)
	}
	for _, token := range []string{"", "a.b", "a.b.c", raw("[]", "{}"), strings.Repeat("a", 1<<20+1)} {
		if _, err := auth.Inspect(token); err == nil {
			t.Errorf("%.20q is read", token)
		}
	}
}
