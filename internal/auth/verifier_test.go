package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"baro.dev/internal/auth"
)

const secret = "a secret of more than sixty-four bytes, which is enough for HS512 too"

var quiet = slog.New(slog.DiscardHandler)

func signer(t testing.TB, text []byte) auth.SigningKey {
	t.Helper()
	k, err := auth.ParseSigningKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func verifier(t testing.TB, c auth.Config) *auth.Verifier {
	t.Helper()
	if c.Log == nil {
		c.Log = quiet
	}
	v, err := auth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func secretKey(t testing.TB) auth.Key { return signer(t, []byte(secret)).Key() }

// raw makes a token of what is given, signed by HS256 with the secret.
func raw(header, claims string) string {
	signed := b64(header) + "." + b64(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + b64(string(mac.Sum(nil)))
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

const hs256 = `{"alg":"HS256","typ":"JWT"}`

func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// claims adds an expiry.
func claims(rest string) string { return fmt.Sprintf(`{"exp":%d%s}`, in(time.Hour), rest) }

func TestVerify(t *testing.T) {
	v := verifier(t, auth.Config{Keys: []auth.Key{secretKey(t)}})
	i, err := v.Verify(t.Context(), raw(hs256, claims(`,"sub":"kim","channels":["news","rooms/1"],"info":{"name":"김"},"meta":[1],
		"rights":{"subscribe":["rooms/**"],"publish":["rooms/*/chat","@lee"],"presence":["**"],"history":[]}`)))
	if err != nil {
		t.Fatal(err)
	}
	if i.User != "kim" || string(i.Info) != `{"name":"김"}` || string(i.Meta) != "[1]" || fmt.Sprint(i.Channels) != "[news rooms/1]" {
		t.Errorf("%+v", i)
	}
	if left := time.Until(i.Expires); left < 50*time.Minute || left > time.Hour {
		t.Errorf("it expires in %v", left)
	}
	tests := []struct {
		action auth.Action
		name   string
		may    bool
	}{
		{auth.Subscribe, "rooms/1/chat", true},
		{auth.Subscribe, "news", true}, // one of its channels
		{auth.History, "news", false},
		{auth.Subscribe, "other", false},
		{auth.Subscribe, "@kim", true}, // its own
		{auth.History, "@kim", true},
		{auth.Presence, "@kim", true},
		{auth.Publish, "@kim", false},
		{auth.Publish, "@lee", true}, // granted in so many words
		{auth.Subscribe, "@lee", false},
		{auth.Presence, "@lee", false}, // ** is not about users
		{auth.Presence, "anything/at/all", true},
		{auth.Publish, "rooms/1/chat", true},
		{auth.Publish, "rooms/1/2/chat", false},
		{auth.Action("dance"), "rooms/1", false},
		{auth.Subscribe, "", false},
	}
	for _, test := range tests {
		if may := i.May(test.action, test.name); may != test.may {
			t.Errorf("May(%s, %q) = %v", test.action, test.name, may)
		}
	}
	var nobody auth.Identity
	if nobody.May(auth.Subscribe, "@") || nobody.May(auth.Subscribe, "news") || nobody.Personal() != "" {
		t.Error("the zero identity may something")
	}
}

// Hostile inputs, group 28, and the like of it.
func TestVerifyRefuses(t *testing.T) {
	v := verifier(t, auth.Config{Keys: []auth.Key{secretKey(t)}, Issuers: []string{"me"}, Audiences: []string{"baro", "other"}})
	good := `,"iss":"me","aud":"baro"`
	ok := raw(hs256, claims(good))
	parts := strings.Split(ok, ".")
	tests := []struct {
		name, token string
		want        error
	}{
		{"empty", "", auth.ErrMalformed},
		{"two parts", parts[0] + "." + parts[1], auth.ErrMalformed},
		{"four parts", ok + ".", auth.ErrMalformed},
		{"1 MB", strings.Repeat("a", 1<<20), auth.ErrTooLong},
		{"1 MB of dots", strings.Repeat(".", 1<<20), auth.ErrTooLong},
		{"16 KiB and a byte", ok + strings.Repeat("A", 16<<10+1-len(ok)), auth.ErrTooLong},
		{"padding", parts[0] + "=." + parts[1] + "." + parts[2], auth.ErrMalformed},
		{"line break", parts[0] + "\n." + parts[1] + "." + parts[2], auth.ErrMalformed},
		{"standard base64", parts[0] + "." + parts[1] + ".++//", auth.ErrMalformed},
		{"another form of the signature", ok[:len(ok)-1] + next(ok[len(ok)-1]), auth.ErrMalformed},
		{"no signature", parts[0] + "." + parts[1] + ".", auth.ErrSignature},
		{"half a signature", parts[0] + "." + parts[1] + "." + parts[2][:20], auth.ErrSignature},
		{"other claims", parts[0] + "." + b64(claims(good+`,"sub":"admin"`)) + "." + parts[2], auth.ErrSignature},

		{"alg none", b64(`{"alg":"none"}`) + "." + parts[1] + ".", auth.ErrUnknownKey},
		{"alg nOnE", b64(`{"alg":"nOnE"}`) + "." + parts[1] + "." + parts[2], auth.ErrUnknownKey},
		{"no alg", raw(`{}`, claims(good)), auth.ErrUnknownKey},
		{"empty alg", raw(`{"alg":""}`, claims(good)), auth.ErrUnknownKey},
		{"alg of another kind", raw(`{"alg":"RS256"}`, claims(good)), auth.ErrUnknownKey},
		{"alg that is a list", raw(`{"alg":["HS256"]}`, claims(good)), auth.ErrMalformed},
		{"alg null", raw(`{"alg":null}`, claims(good)), auth.ErrMalformed},
		{"alg twice", raw(`{"alg":"HS256","alg":"none"}`, claims(good)), auth.ErrMalformed},
		{"alg twice, escaped", raw(`{"alg":"HS256","\u0061lg":"none"}`, claims(good)), auth.ErrMalformed},
		{"ALG is no alg", raw(`{"ALG":"HS256"}`, claims(good)), auth.ErrUnknownKey},
		{"crit", raw(`{"alg":"HS256","crit":["exp"],"exp":1}`, claims(good)), auth.ErrMalformed},
		{"crit, empty", raw(`{"alg":"HS256","crit":[]}`, claims(good)), auth.ErrMalformed},
		{"crit b64", raw(`{"alg":"HS256","b64":false,"crit":["b64"]}`, claims(good)), auth.ErrMalformed},
		{"a token for another purpose", raw(`{"alg":"HS256","typ":"logout+jwt"}`, claims(good)), auth.ErrMalformed},
		{"kid that is a number", raw(`{"alg":"HS256","kid":7}`, claims(good)), auth.ErrMalformed},

		{"expired", raw(hs256, fmt.Sprintf(`{"exp":%d%s}`, in(-time.Minute), good)), auth.ErrExpired},
		{"expired long ago", raw(hs256, `{"exp":0`+good+`}`), auth.ErrExpired},
		{"no expiry", raw(hs256, `{"sub":"a"`+good+`}`), auth.ErrClaims},
		{"expiry null", raw(hs256, `{"exp":null`+good+`}`), auth.ErrClaims},
		{"expiry of text", raw(hs256, `{"exp":"tomorrow"`+good+`}`), auth.ErrClaims},
		{"expiry beyond all time", raw(hs256, `{"exp":1e300`+good+`}`), auth.ErrClaims},
		{"expiry beyond a float", raw(hs256, `{"exp":1e999`+good+`}`), auth.ErrClaims},
		{"expiry before all time", raw(hs256, `{"exp":-1`+good+`}`), auth.ErrClaims},
		{"Exp is no exp", raw(hs256, fmt.Sprintf(`{"Exp":%d%s}`, in(time.Hour), good)), auth.ErrClaims},
		{"expiry twice", raw(hs256, claims(good+`,"exp":1`)), auth.ErrMalformed},
		{"far-future nbf", raw(hs256, claims(good+`,"nbf":253402300799`)), auth.ErrNotYet},
		{"nbf soon", raw(hs256, claims(good+fmt.Sprintf(`,"nbf":%d`, in(10*time.Minute)))), auth.ErrNotYet},
		{"issued tomorrow", raw(hs256, claims(good+fmt.Sprintf(`,"iat":%d`, in(24*time.Hour)))), auth.ErrNotYet},

		{"another issuer", raw(hs256, claims(`,"iss":"you","aud":"baro"`)), auth.ErrClaims},
		{"no issuer", raw(hs256, claims(`,"aud":"baro"`)), auth.ErrClaims},
		{"issuer in other letters", raw(hs256, claims(`,"iss":"ME","aud":"baro"`)), auth.ErrClaims},
		{"issuer with traversal", raw(hs256, claims(`,"iss":"me/../me","aud":"baro"`)), auth.ErrClaims},
		{"issuer with NUL", raw(hs256, claims(`,"iss":"me\u0000","aud":"baro"`)), auth.ErrClaims},
		{"issuer that is a list", raw(hs256, claims(`,"iss":["me"],"aud":"baro"`)), auth.ErrClaims},
		{"another audience", raw(hs256, claims(`,"iss":"me","aud":"../baro"`)), auth.ErrClaims},
		{"other audiences", raw(hs256, claims(`,"iss":"me","aud":["a","BARO","baro/"]`)), auth.ErrClaims},
		{"no audience", raw(hs256, claims(`,"iss":"me"`)), auth.ErrClaims},
		{"empty audience", raw(hs256, claims(`,"iss":"me","aud":[]`)), auth.ErrClaims},
		{"audience null", raw(hs256, claims(`,"iss":"me","aud":null`)), auth.ErrClaims},
		{"audience that is an object", raw(hs256, claims(`,"iss":"me","aud":{"baro":1}`)), auth.ErrClaims},
		{"Iss beside iss", raw(hs256, claims(`,"iss":"you","Iss":"me","aud":"baro"`)), auth.ErrClaims},

		{"claims that are a list", raw(hs256, `[1]`), auth.ErrMalformed},
		{"claims null", raw(hs256, `null`), auth.ErrMalformed},
		{"two objects", raw(hs256, `{}{}`), auth.ErrMalformed},
		{"not JSON", raw(hs256, `{"exp":}`), auth.ErrMalformed},
		{"not UTF-8", raw(hs256, claims(good+",\"sub\":\"\xff\"")), auth.ErrMalformed},
		{"deep", raw(hs256, claims(good+`,"info":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000))), auth.ErrMalformed},
		{"deep within bounds of JSON", raw(hs256, claims(good+`,"info":`+strings.Repeat(`{"a":`, 70)+"1"+strings.Repeat("}", 70))), auth.ErrMalformed},
		{"a name twice within", raw(hs256, claims(good+`,"info":[{"a":1,"b":[],"a":2}]`)), auth.ErrMalformed},

		{"a user with a line break", raw(hs256, claims(good+`,"sub":"a\nb"`)), auth.ErrClaims},
		{"a user that reorders text", raw(hs256, claims(good+`,"sub":"a\u202eb"`)), auth.ErrClaims},
		{"a user too long", raw(hs256, claims(good+`,"sub":"`+strings.Repeat("u", 255)+`"`)), auth.ErrClaims},
		{"a user that is a number", raw(hs256, claims(good+`,"sub":1`)), auth.ErrClaims},
		{"a bad channel", raw(hs256, claims(good+`,"channels":["a","\u0000"]`)), auth.ErrClaims},
		{"an empty channel", raw(hs256, claims(good+`,"channels":[""]`)), auth.ErrClaims},
		{"channels that are text", raw(hs256, claims(good+`,"channels":"a"`)), auth.ErrClaims},
		{"101 channels", raw(hs256, claims(good+`,"channels":["a"`+strings.Repeat(`,"a"`, 100)+`]`)), auth.ErrClaims},
		{"101 patterns", raw(hs256, claims(good+`,"rights":{"publish":["a"`+strings.Repeat(`,"a"`, 100)+`]}`)), auth.ErrClaims},
		{"a bad pattern", raw(hs256, claims(good+`,"rights":{"publish":["a***"]}`)), auth.ErrClaims},
		{"a right that there is not", raw(hs256, claims(good+`,"rights":{"subcribe":["a"]}`)), auth.ErrClaims},
		{"rights that are a list", raw(hs256, claims(good+`,"rights":["a"]`)), auth.ErrClaims},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i, err := v.Verify(t.Context(), test.token)
			if !errors.Is(err, test.want) || !errors.Is(err, auth.ErrInvalid) {
				t.Fatalf("%+v, %v; want %v", i, err, test.want)
			}
			for part := range strings.SplitSeq(test.token, ".") {
				if len(part) > 8 && strings.Contains(err.Error(), part) {
					t.Errorf("the error contains the token: %v", err)
				}
			}
		})
	}
	for name, token := range map[string]string{
		"as it is":             ok,
		"one of many":          raw(hs256, claims(`,"iss":"me","aud":["x","other"]`)),
		"expired just now":     raw(hs256, fmt.Sprintf(`{"exp":%d%s}`, in(-10*time.Second), good)),
		"a clock that is fast": raw(hs256, claims(good+fmt.Sprintf(`,"nbf":%d,"iat":%d`, in(10*time.Second), in(10*time.Second)))),
		"a fraction":           raw(hs256, fmt.Sprintf(`{"exp":%d.75%s}`, in(time.Hour), good)),
		"at+jwt":               raw(`{"alg":"HS256","typ":"application/at+jwt"}`, claims(good)),
		"keys on its own word": raw(`{"alg":"HS256","jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/","jwk":{"kty":"oct","k":"AA"},"x5c":["AA"]}`, claims(good)),
	} {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// next gives the character whose lowest bit, which a signature of 32 bytes does not use, differs.
func next(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func TestExpiryIsOptional(t *testing.T) {
	v := verifier(t, auth.Config{Keys: []auth.Key{secretKey(t)}, AllowNoExpiry: true, Leeway: -1})
	if i, err := v.Verify(t.Context(), raw(hs256, `{"sub":"a"}`)); err != nil || !i.Expires.IsZero() {
		t.Errorf("%+v, %v", i, err)
	}
	if _, err := v.Verify(t.Context(), raw(hs256, fmt.Sprintf(`{"exp":%d}`, in(-2*time.Second)))); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("without leeway: %v", err)
	}
	// RFC 7519 section 4.1.3: who is configured with no audience is not the one that is meant.
	if _, err := v.Verify(t.Context(), raw(hs256, `{"aud":"somebody"}`)); !errors.Is(err, auth.ErrClaims) || !strings.Contains(err.Error(), "configured with none") {
		t.Errorf("for somebody: %v", err)
	}
}

// Every kind of key verifies what it signed, by each of its algorithms, and nothing that another kind signed: above all not
// what was signed with a public key as if that were a secret.
func TestKinds(t *testing.T) {
	type pair struct {
		private any
		methods []jwt.SigningMethod
		key     auth.Key
		pem     []byte
	}
	pairs := map[string]pair{"secret": {[]byte(secret), []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512}, secretKey(t), nil}}
	add := func(name string, private crypto.Signer, methods ...jwt.SigningMethod) {
		public := publicPEM(t, private.Public())
		keys, err := auth.PublicKeys(public)
		if err != nil || len(keys) != 1 {
			t.Fatalf("%s: %v", name, err)
		}
		pairs[name] = pair{private, methods, keys[0], public}
	}
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	add("rsa", rsaKey, jwt.SigningMethodRS256, jwt.SigningMethodRS384, jwt.SigningMethodRS512, jwt.SigningMethodPS256, jwt.SigningMethodPS384, jwt.SigningMethodPS512)
	for curve, m := range map[elliptic.Curve]jwt.SigningMethod{elliptic.P256(): jwt.SigningMethodES256, elliptic.P384(): jwt.SigningMethodES384, elliptic.P521(): jwt.SigningMethodES512} {
		k, _ := ecdsa.GenerateKey(curve, rand.Reader)
		add(curve.Params().Name, k, m)
	}
	private, _, err := auth.NewKeyPair("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(private)
	ed, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
	add("ed25519", ed.(crypto.Signer), jwt.SigningMethodEdDSA)

	content := jwt.MapClaims{"sub": "kim", "exp": in(time.Hour)}
	for name, p := range pairs {
		v := verifier(t, auth.Config{Keys: []auth.Key{p.key}})
		for from, q := range pairs {
			for _, m := range q.methods {
				token, err := jwt.NewWithClaims(m, content).SignedString(q.private)
				if err != nil {
					t.Fatal(err)
				}
				_, err = v.Verify(t.Context(), token)
				if from == name && err != nil || from != name && !errors.Is(err, auth.ErrUnknownKey) {
					t.Errorf("%s verifies %s of %s: %v", name, m.Alg(), from, err)
				}
			}
		}
		block, _ := pem.Decode(p.pem)
		for _, m := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
			for _, public := range [][]byte{p.pem, []byte(strings.TrimSpace(string(p.pem)))} {
				token, _ := jwt.NewWithClaims(m, content).SignedString(public)
				if _, err := v.Verify(t.Context(), token); block != nil && !errors.Is(err, auth.ErrUnknownKey) {
					t.Errorf("%s of %s as a secret: %v", m.Alg(), name, err)
				}
			}
			if block != nil {
				token, _ := jwt.NewWithClaims(m, content).SignedString(block.Bytes)
				if _, err := v.Verify(t.Context(), token); !errors.Is(err, auth.ErrUnknownKey) {
					t.Errorf("%s of %s in DER as a secret: %v", m.Alg(), name, err)
				}
			}
		}
	}
	// Both in one server: the algorithm cannot be had without the secret.
	v := verifier(t, auth.Config{Keys: []auth.Key{pairs["rsa"].key, pairs["secret"].key}})
	token, _ := jwt.NewWithClaims(jwt.SigningMethodHS256, content).SignedString(pairs["rsa"].pem)
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, auth.ErrSignature) {
		t.Errorf("HS256 with the public key: %v", err)
	}
}

func publicPEM(t testing.TB, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// A key is for the tokens of its kid and its issuer.
func TestKeyChoice(t *testing.T) {
	other := "another secret, of more than thirty-two bytes"
	mint := func(secret, iss, kid string) string {
		token, err := auth.Mint(signer(t, []byte(secret)), auth.Claims{User: "u", Issuer: iss, KeyID: kid, Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	key := func(secret, iss, kid string) auth.Key {
		k, err := auth.SecretKey([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		k.Issuer, k.ID = iss, kid
		return k
	}
	v := verifier(t, auth.Config{Keys: []auth.Key{key(secret, "a", "1"), key(other, "b", "1"), key(other, "b", "2"), key(secret, "", "")}})
	tests := []struct {
		token string
		want  error
	}{
		{mint(secret, "a", "1"), nil},
		{mint(secret, "a", ""), nil},
		{mint(other, "b", "2"), nil},
		{mint(other, "a", "1"), auth.ErrSignature}, // the same kid of two issuers
		{mint(secret, "b", "1"), auth.ErrSignature},
		{mint(secret, "a", "2"), auth.ErrUnknownKey},
		{mint(secret, "", ""), nil},
		{mint(secret, "c", "any"), nil},
		{mint(other, "c", "1"), auth.ErrSignature},
	}
	for i, test := range tests {
		if _, err := v.Verify(t.Context(), test.token); !errors.Is(err, test.want) {
			t.Errorf("%d: %v, want %v", i, err, test.want)
		}
	}
	strict := verifier(t, auth.Config{Keys: []auth.Key{key(secret, "a", "")}})
	if _, err := strict.Verify(t.Context(), mint(secret, "c", "")); !errors.Is(err, auth.ErrClaims) {
		t.Errorf("an issuer that nobody is bound to: %v", err)
	}
}

func TestConfigMistakes(t *testing.T) {
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	private, public, _ := auth.NewKeyPair("ecdsa")
	sources := map[string]auth.KeySource{
		"31 bytes":                         {Secret: strings.Repeat("s", 31)},
		"looks like a key of a pair":       {Secret: string(public)},
		"is no secret":                     {Secret: "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7"},
		"private key":                      {PublicKey: string(private)},
		"no public key":                    {PublicKey: "nonsense"},
		"RSA key of 1024 bits":             {PublicKey: string(publicPEM(t, small.Public()))},
		"P-224":                            {PublicKey: string(publicPEM(t, p224.Public()))},
		"no such file":                     {SecretFile: "/nonexistent/secret"},
		"one of secret, secret_file":       {},
		"one of secret, secret_file, publ": {Secret: secret, PublicKey: string(public)},
		"asn1":                             {PublicKey: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"},
	}
	for want, source := range sources {
		if want == "P-224" || want == "asn1" {
			want = ""
		}
		if _, err := source.Load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	sets := map[string]auth.KeySet{
		"not a URL":                {URL: "://", Issuer: "i"},
		"no issuer":                {URL: "https://example.com/jwks"},
		"must be https":            {URL: "http://127.0.0.1/jwks", Issuer: "i"},
		"this machine itself":      {URL: "http://example.com/jwks", Issuer: "i", AllowHTTP: true},
		"begin with https":         {URL: "file://localhost/etc/passwd", Issuer: "i"},
		"refresh of less than":     {URL: "https://example.com/jwks", Issuer: "i", Refresh: 1},
		"a negative max_stale":     {URL: "https://example.com/jwks", Issuer: "i", MaxStale: -1},
		`user:REDACTED@`:           {URL: "ftp://user:pass@example.com/jwks", Issuer: "i"},
		`permitted to this machin`: {URL: "http://localhost.example.com/", Issuer: "i", AllowHTTP: true},
	}
	for want, set := range sets {
		if _, err := auth.New(auth.Config{KeySets: []auth.KeySet{set}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	if _, err := auth.New(auth.Config{}); err == nil {
		t.Error("a verifier without keys")
	}
	if _, err := auth.New(auth.Config{Keys: []auth.Key{{}}}); err == nil {
		t.Error("a key without a kind")
	}
}

func FuzzVerify(f *testing.F) {
	private, _, err := auth.NewKeyPair("ed25519")
	if err != nil {
		f.Fatal(err)
	}
	key := signer(f, private).Key()
	key.ID = "e"
	v := verifier(f, auth.Config{Keys: []auth.Key{secretKey(f), key}, AllowNoExpiry: true})
	f.Add(raw(hs256, `{"exp":9e9,"sub":"kim","channels":["a"],"rights":{"publish":["**"]},"info":{"a":[1,{"b":null}]}}`))
	f.Add(raw(`{"alg":"EdDSA","kid":"e","crit":[]}`, `{"aud":["a"],"nbf":1.5}`))
	f.Add(b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".")
	f.Fuzz(func(t *testing.T, token string) {
		i, err := v.Verify(context.Background(), token)
		if err == nil {
			if i.User != "" && auth.ValidateUser(i.User) != nil {
				t.Errorf("the user %q", i.User)
			}
			return
		}
		var e *auth.Error
		if !errors.As(err, &e) || len(token) > 20 && strings.Contains(err.Error(), token) {
			t.Errorf("%v", err)
		}
	})
}

// FuzzClaims signs what is fuzzed, so that it gets past the signature.
func FuzzClaims(f *testing.F) {
	v := verifier(f, auth.Config{Keys: []auth.Key{secretKey(f)}, AllowNoExpiry: true})
	for _, c := range []string{
		`{"exp":9e9,"sub":"kim","channels":["a"],"rights":{"publish":["**"],"history":["a/*"]},"info":{"a":[1,{"b":null}]}}`,
		`{"sub":"a","sub":"b"}`, `{"nbf":1e400}`, `{"rights":{"publish":null}}`, `{"channels":["\ud800"]}`, `[{}]`,
	} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, content string) {
		i, err := v.Verify(context.Background(), raw(hs256, content))
		if err != nil {
			return
		}
		var read map[string]json.RawMessage
		if err := json.Unmarshal([]byte(content), &read); err != nil {
			t.Fatalf("accepted, but not JSON: %v", err)
		}
		var sub string
		_ = json.Unmarshal(read["sub"], &sub)
		if sub != i.User {
			t.Errorf("the user is %q, encoding/json reads %q", i.User, sub)
		}
		if len(i.Channels) > auth.MaxChannels || i.Info != nil && !json.Valid(i.Info) {
			t.Errorf("%+v", i)
		}
	})
}
