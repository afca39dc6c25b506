package interop

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"baro.dev/internal/auth"
)

// tokenWork is what peers/tokens.py is given.
type tokenWork struct {
	Make []tokenTask `json:"make"`
	Read []tokenTask `json:"read"`
	Set  []tokenTask `json:"set"`
}

type tokenTask struct {
	Alg      string         `json:"alg"`
	Key      string         `json:"key"`
	KeyID    string         `json:"kid"`
	Claims   map[string]any `json:"claims,omitempty"`
	Token    string         `json:"token,omitempty"`
	Audience string         `json:"audience,omitempty"`
}

// tokenKey is a key of one kind, in PEM form or as a secret.
type tokenKey struct {
	private, public string
	algorithms      []string // the first is what auth.Mint uses
}

func tokenKeys(t *testing.T) map[string]tokenKey {
	t.Helper()
	secret := auth.NewSecret()
	keys := map[string]tokenKey{"secret": {secret, secret, []string{"HS256", "HS384", "HS512"}}}
	add := func(kind string, key crypto.Signer, err error, algorithms ...string) {
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		public, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		keys[kind] = tokenKey{
			string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
			string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), algorithms,
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	add("rsa", rsaKey, err, "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	add("ed25519", edKey, err, "EdDSA")
	for _, c := range []struct {
		curve elliptic.Curve
		alg   string
	}{{elliptic.P256(), "ES256"}, {elliptic.P384(), "ES384"}, {elliptic.P521(), "ES512"}} {
		key, err := ecdsa.GenerateKey(c.curve, rand.Reader)
		add(c.curve.Params().Name, key, err, c.alg)
	}
	return keys
}

// TestTokens has PyJWT verify tokens of Baro, and Baro those of PyJWT: by keys, and by a key set that PyJWT describes.
func TestTokens(t *testing.T) {
	keys := tokenKeys(t)
	var work tokenWork
	claims := map[string]any{
		"sub": "김", "aud": []string{"baro", "other"}, "iss": "python", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"channels": []string{"news"}, "rights": map[string]any{"publish": []string{"rooms/**"}}, "info": map[string]any{"name": "김"},
	}
	for kind, k := range keys {
		for _, alg := range k.algorithms {
			work.Make = append(work.Make, tokenTask{Alg: alg, Key: k.private, KeyID: kind, Claims: claims})
			if kind != "secret" && alg == k.algorithms[0] {
				work.Set = append(work.Set, tokenTask{Alg: alg, Key: k.public, KeyID: kind})
			}
		}
		signing, err := auth.ParseSigningKey([]byte(k.private))
		if err != nil {
			t.Fatal(err)
		}
		token, err := auth.Mint(signing, auth.Claims{User: "김", Audience: "baro", Issued: time.Now(), Expires: time.Now().Add(time.Hour), Subscribe: []string{"**"}})
		if err != nil {
			t.Fatal(err)
		}
		work.Read = append(work.Read, tokenTask{Alg: signing.Algorithm(), Key: k.public, Token: token, Audience: "baro"})
	}

	made, read, set := pyJWT(t, work)
	for i, claims := range read {
		if claims["sub"] != "김" || claims["rights"].(map[string]any)["subscribe"].([]any)[0] != "**" {
			t.Errorf("%s: PyJWT reads %v", work.Read[i].Alg, claims)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }))
	defer server.Close()
	bySet := verifier(t, auth.Config{KeySets: []auth.KeySet{{URL: server.URL, Issuer: "python", AllowHTTP: true}}})
	for i, token := range made {
		task := work.Make[i]
		k := keys[task.KeyID]
		source := auth.KeySource{PublicKey: k.public}
		if task.KeyID == "secret" {
			source = auth.KeySource{Secret: k.public}
		}
		loaded, err := source.Load()
		if err != nil {
			t.Fatal(err)
		}
		verifies(t, task.Alg, verifier(t, auth.Config{Keys: loaded}), token)
		if task.KeyID != "secret" && task.Alg == k.algorithms[0] {
			verifies(t, task.Alg+" by the set", bySet, token)
		}
	}
}

func verifier(t *testing.T, c auth.Config) *auth.Verifier {
	t.Helper()
	c.Audiences = []string{"baro"}
	v, err := auth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func verifies(t *testing.T, name string, v *auth.Verifier, token string) {
	t.Helper()
	i, err := v.Verify(t.Context(), token)
	if err != nil || i.User != "김" || !i.May(auth.Publish, "rooms/1") || string(i.Info) != `{"name":"\uae40"}` && string(i.Info) != `{"name":"김"}` {
		t.Errorf("%s: %+v, %v", name, i, err)
	}
}

func pyJWT(t *testing.T, work tokenWork) (made []string, read []map[string]any, set json.RawMessage) {
	t.Helper()
	const interpreter = "/usr/bin/python3" // the one that Debian's packages are for
	if exec.Command(interpreter, "-c", "import jwt, cryptography").Run() != nil {
		lacks(t, "jwt and cryptography for "+interpreter)
	}
	argument, err := json.Marshal(work)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, interpreter, "peers/tokens.py")
	c.Stdin, c.Stderr = bytes.NewReader(argument), t.Output()
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Made []string
		Read []map[string]any
		Set  json.RawMessage
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Made) != len(work.Make) || len(answer.Read) != len(work.Read) {
		t.Fatalf("%d made and %d read", len(answer.Made), len(answer.Read))
	}
	return answer.Made, answer.Read, answer.Set
}
