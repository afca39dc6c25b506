package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"baro.dev/internal/auth"
)

func TestKeys(t *testing.T) {
	text, key, err := auth.NewKey("", []auth.Scope{auth.ScopePublish, auth.ScopeRead}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^baro_[a-z0-9]{8}_[A-Z2-7]{26}$`).MatchString(text) || !auth.IsKey(text) {
		t.Errorf("the key %q", text)
	}
	if hash := sha256.Sum256([]byte(text)); key.Hash != "sha256:"+hex.EncodeToString(hash[:]) {
		t.Errorf("the hash %q", key.Hash)
	}
	limited, second, err := auth.NewKey("shop", auth.Scopes(), []string{"shop/**", "@*"})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewKeys([]auth.APIKey{key, second})
	if err != nil {
		t.Fatal(err)
	}
	g, err := keys.Find(text)
	if err != nil || g.ID != key.ID || !g.May(auth.ScopePublish) || g.May(auth.ScopeManage) || g.Limited() {
		t.Errorf("%+v, %v", g, err)
	}
	if err := g.Check(auth.ScopeRead, "any", "@any"); err != nil {
		t.Error(err)
	}
	if err := g.Check(auth.ScopeCall); !errors.Is(err, auth.ErrForbidden) {
		t.Error(err)
	}
	if g, err = keys.Find(limited); err != nil || !g.Limited() {
		t.Errorf("%+v, %v", g, err)
	}
	if err := g.Check(auth.ScopePublish, "shop/1/2", "@kim"); err != nil {
		t.Error(err)
	}
	if err := g.Check(auth.ScopePublish, "shop/1", "other"); !errors.Is(err, auth.ErrForbidden) || !strings.Contains(err.Error(), `the channel "other"`) {
		t.Error(err)
	}
	for _, wrong := range []string{
		"", "baro_", "baro__", "baro_shop", "shop_" + text, text + "x", text[:len(text)-1], strings.ToLower(text), " " + text,
		"baro_shop" + text[strings.LastIndexByte(text, '_'):], "baro_nobody_AAAAAAAAAAAAAAAAAAAAAAAAAA", key.Hash, second.Hash,
		"baro_shop_" + strings.Repeat("A", 1<<20),
	} {
		if g, err := keys.Find(wrong); !errors.Is(err, auth.ErrInvalid) || g.ID != "" || len(wrong) > 9 && strings.Contains(err.Error(), wrong) {
			t.Errorf("%.60q: %+v, %v", wrong, g, err)
		}
	}
}

func TestKeyMistakes(t *testing.T) {
	hash := "sha256:" + strings.Repeat("0", 64)
	publish := []auth.Scope{auth.ScopePublish}
	tests := map[string][]auth.APIKey{
		"id must be":   {{ID: "A_b", Hash: hash, Scopes: publish}},
		"hash must be": {{ID: "a", Hash: "sha256:00", Scopes: publish}},
		"no scopes":    {{ID: "a", Hash: hash}},
		`no scope "a`:  {{ID: "a", Hash: hash, Scopes: []auth.Scope{"admin"}}},
		"pattern 1":    {{ID: "a", Hash: hash, Scopes: publish, Channels: []string{""}}},
		"another":      {{ID: "a", Hash: hash, Scopes: publish}, {ID: "a", Hash: hash, Scopes: publish}},
	}
	for want, list := range tests {
		if _, err := auth.NewKeys(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestReadKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	hash := strings.Repeat("0", 64)
	tests := []struct{ content, want string }{
		{`[{"id":"a","hash":"sha256:` + hash + `","scopes":["call"],"channels":["x"]}]`, ""},
		{`[]`, ""},
		{``, "not a JSON list"},
		{`[] []`, "something follows"},
		{`{"id":"a"}`, "not a JSON list"},
		{`[{"id":"a","scope":"call"}]`, `unknown field "scope"`},
		{`[{"id":"a","hash":"x","scopes":["call"]}]`, "hash must be"},
		{strings.Repeat(" ", 1<<20+1), "more than 1048576 bytes"},
	}
	for _, test := range tests {
		if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := auth.ReadKeys(file)
		if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), file)) {
			t.Errorf("%.40q: %v, want %q", test.content, err, test.want)
		}
	}
	if _, err := auth.ReadKeys(file + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
