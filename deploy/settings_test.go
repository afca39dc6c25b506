package deploy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"baro.dev/internal/auth"
	"baro.dev/internal/config"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// settings is what the server makes of a configuration file and the environment, which it must find right.
func settings(t *testing.T, file string, environment map[string]string) *config.Config {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "token.secret")
	name := filepath.Join(t.TempDir(), "baro.yml")
	for path, text := range map[string]string{secret: auth.NewSecret(), name: file} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var c config.Config
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.Flags(flags)
	flags.String("config", "", "")
	for name, value := range environment {
		flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "BARO_"), "_", "-"))
		if flag == "token-secret-file" {
			continue // no flag
		}
		if flag == "cluster-secret-file" {
			value = secret
		}
		if err := flags.Set(flag, value); err != nil {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
	lookup := func(name string) (string, bool) {
		if name == "BARO_TOKEN_SECRET_FILE" {
			return secret, true
		}
		return "", false
	}
	if err := c.Load(name, flags, lookup); err != nil {
		t.Fatal(err)
	}
	if err := c.Server.Check(); err != nil {
		t.Error(err)
	}
	return &c
}
