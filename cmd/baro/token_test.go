package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"baro.dev/internal/cli/exit"
)

// baro runs the command in this process.
func baro(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	root := newRoot()
	root.SetIn(strings.NewReader(stdin))
	code = execute(root, args, &out, &errs)
	return code, out.String(), errs.String()
}

func must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := baro(t, "", args...)
	if code != exit.OK {
		t.Fatalf("baro %q: exit code %d, %s", args, code, errs)
	}
	return out
}

func TestToken(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	must(t, "token", "secret", "--out", secret)
	keys := map[string][2]string{"hmac": {secret, secret}}
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		file := filepath.Join(dir, kind)
		must(t, "token", "secret", "--type", kind, "--out", file)
		keys[kind] = [2]string{file, file + ".pub"}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", kind, info.Mode(), err)
		}
	}
	for kind, files := range keys {
		token := strings.TrimSpace(must(t, "token", "mint", "--key-file", files[0], "--user", "kim", "--channels", "news", "--subscribe", "rooms/**,a",
			"--publish", "b", "--presence", "c", "--history", "d", "--expires", "90m", "--info", `{"name":"<Kim>"}`, "--claim", "tenant=acme", "--claim", `plan={"n":1}`,
			"--issuer", "me", "--audience", "baro", "--key-id", "k1"))
		code, out, errs := baro(t, token+"\n", "token", "inspect", "--key-file", files[1], "--audience", "baro")
		if code != exit.OK || !strings.Contains(out, "Verified yes") || !regexp.MustCompile(`Expires  20\S+Z \(in 1h(30m0s|29m\d+s)\)`).MatchString(out) {
			t.Errorf("%s: exit code %d, %s%s", kind, code, out, errs)
		}
		for _, part := range []string{`"sub": "kim"`, `"tenant": "acme"`, `"n": 1`, `"rooms/**"`, `"kid": "k1"`} {
			if !strings.Contains(out, part) {
				t.Errorf("%s: %s is not in %s", kind, part, out)
			}
		}
		if code, out, _ := baro(t, "", "token", "inspect", token); code != exit.OK || !strings.Contains(out, "no key was given") {
			t.Errorf("without a key: exit code %d, %s", code, out)
		}
		for want, args := range map[string][]string{
			"another audience":         {"--key-file", files[1], "--audience", "other"},
			"that is not accepted":     {"--key-file", files[1], "--issuer", "other"},
			"does not verify: auth: u": {"--key-file", keys[map[string]string{"hmac": "rsa", "rsa": "ecdsa", "ecdsa": "ed25519", "ed25519": "hmac"}[kind]][1]},
		} {
			if code, _, errs := baro(t, token, append([]string{"token", "inspect"}, args...)...); code != exit.Failed || !strings.Contains(errs, want) {
				t.Errorf("%s: exit code %d, %s; want %s", kind, code, errs, want)
			}
		}
	}
}

func TestTokenEnvironment(t *testing.T) {
	t.Setenv("BARO_TOKEN_SECRET", strings.TrimSpace(must(t, "token", "secret")))
	token := must(t, "token", "mint", "--user", "kim")
	if out := must(t, "token", "inspect", strings.TrimSpace(token)); !strings.Contains(out, "Verified yes") {
		t.Error(out)
	}
	t.Setenv("BARO_TOKEN_SECRET", "another secret, of thirty-two bytes")
	if code, _, errs := baro(t, token, "token", "inspect"); code != exit.Failed || !strings.Contains(errs, "wrong signature") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

func TestTokenKey(t *testing.T) {
	out := must(t, "token", "key", "--id", "shop", "--scope", "publish,read", "--channel", "shop/**")
	if !regexp.MustCompile(`baro_shop_[A-Z2-7]{26}\n.*\{"id":"shop","hash":"sha256:[0-9a-f]{64}","scopes":\["publish","read"\],"channels":\["shop/\*\*"\]\}\n$`).MatchString(out) {
		t.Error(out)
	}
}

func TestTokenMistakes(t *testing.T) {
	dir := t.TempDir()
	secret, short := filepath.Join(dir, "secret"), filepath.Join(dir, "short")
	must(t, "token", "secret", "--out", secret)
	must(t, "token", "secret", "--type", "ecdsa", "--out", secret+".pem")
	if err := os.WriteFile(short, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"token", "nonsense"}, exit.Usage, `there is no command "nonsense"`},
		{[]string{"token", "mint"}, exit.Usage, "no key to sign with"},
		{[]string{"token", "mint", "--key-file", "/nonexistent"}, exit.Usage, "no such file"},
		{[]string{"token", "mint", "--key-file", short}, exit.Usage, "5 bytes"},
		{[]string{"token", "mint", "--key-file", secret + ".pem.pub"}, exit.Usage, "this is a public key"},
		{[]string{"token", "mint", "--key-file", secret, "--user", "a\nb"}, exit.Usage, "control character"},
		{[]string{"token", "mint", "--key-file", secret, "--info", "{"}, exit.Usage, "info is not JSON"},
		{[]string{"token", "mint", "--key-file", secret, "--expires", "-1s"}, exit.Usage, "must be positive"},
		{[]string{"token", "mint", "--key-file", secret, "--claim", "x"}, exit.Usage, "NAME=VALUE"},
		{[]string{"token", "mint", "--key-file", secret, "--claim", "sub=x"}, exit.Usage, "place of its own"},
		{[]string{"token", "mint", "--key-file", secret, "--publish", "a***"}, exit.Usage, "two stars"},
		{[]string{"token", "inspect", "a", "b"}, exit.Usage, "takes one token"},
		{[]string{"token", "inspect", "a"}, exit.Failed, "three parts"},
		{[]string{"token", "secret", "--type", "dsa", "--out", secret + "2"}, exit.Usage, "must be ed25519"},
		{[]string{"token", "secret", "--type", "rsa"}, exit.Usage, "--out"},
		{[]string{"token", "secret", "--out", secret}, exit.Failed, "not overwritten"},
		{[]string{"token", "key"}, exit.Usage, "no scopes"},
		{[]string{"token", "key", "--scope", "admin"}, exit.Usage, "no scope"},
		{[]string{"token", "key", "--scope", "read", "--id", "A"}, exit.Usage, "a-z"},
	}
	for _, test := range tests {
		if code, _, errs := baro(t, "", test.args...); code != test.code || !strings.Contains(errs, test.want) {
			t.Errorf("baro %q: exit code %d, %s; want %d, %q", test.args, code, errs, test.code, test.want)
		}
	}
}

// Hostile inputs, group 34: what a token says cannot move the cursor of a terminal.
func TestTokenOnTerminal(t *testing.T) {
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	token := encode(`{"alg":"none"}`) + "." + encode("{\"sub\":\"\\u001b[2J\u009b2J\u202e\\u202e\"}") + "."
	out := must(t, "token", "inspect", token)
	if strings.ContainsAny(out, "\x1b\u009b\u202e") || !strings.Contains(out, `"\u001b[2J\u009b2J\u202e\u202e"`) {
		t.Errorf("%q", out)
	}
}

// The commands of docs/auth.md do what it says.
func TestTokenDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/auth.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, ok := strings.Cut(string(page), "```sh\n")
	script, _, closed := strings.Cut(script, "```")
	if !ok || !closed {
		t.Fatal("there is no script")
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(executable, filepath.Join(dir, "baro")); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script)
	c.Dir = dir
	c.Env = append(os.Environ(), "BARO_TEST_AS_COMMAND=1", "PATH="+dir+":"+os.Getenv("PATH"))
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Verified yes") || !strings.Contains(string(out), "baro_") {
		t.Errorf("%v: %s", err, out)
	}
}
