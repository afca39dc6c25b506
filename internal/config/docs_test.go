package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"baro.dev/internal/auth"
	"baro.dev/internal/config"
)

// docsExamples are the files that docs/configuration.md shows.
func docsExamples(t *testing.T) (small, whole string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```yaml\n")
	if len(blocks) != 3 {
		t.Fatalf("%d examples", len(blocks)-1)
	}
	small, _, _ = strings.Cut(blocks[1], "```")
	whole, _, _ = strings.Cut(blocks[2], "```")
	return small, whole
}

// loadDocs loads an example beside the files that it names.
func loadDocs(t *testing.T, text string) (*config.Config, *pflag.FlagSet) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"baro.yml": text, "token.secret": auth.NewSecret(), "webhook.secret": whsec} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var c config.Config
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.Flags(flags)
	lookup := func(name string) (string, bool) {
		if name == "BARO_WEBHOOK_SECRET" {
			return whsec, true
		}
		return "", false
	}
	if err := c.Load(filepath.Join(dir, "baro.yml"), flags, lookup); err != nil {
		t.Fatal(err)
	}
	return &c, flags
}

// The example has every key there is, and the defaults that hold.
func TestDocs(t *testing.T) {
	small, whole := docsExamples(t)
	c, _ := loadDocs(t, small)
	if err := c.Server.Check(); err != nil {
		t.Errorf("the small example: %v", err)
	}
	c, flags := loadDocs(t, whole)
	flags.VisitAll(func(f *pflag.Flag) {
		switch f.Name {
		case "tls-cert", "tls-key", "data", "allow-origin":
			if f.Value.String() == f.DefValue {
				t.Errorf("the example does not have %s", f.Name)
			}
			return
		}
		key := strings.ReplaceAll(f.Name, "-", "_")
		for _, group := range []string{"history_", "tls_", "log_"} {
			key = strings.TrimPrefix(key, group)
		}
		if !regexp.MustCompile(`[\n {]` + key + `:`).MatchString(whole) {
			t.Errorf("the example does not have %s", key)
		}
		if f.Value.String() != f.DefValue {
			t.Errorf("the example has %s as %s, the default is %s", f.Name, f.Value, f.DefValue)
		}
	})
	for _, key := range append(keys(reflect.TypeFor[config.File]()), "secret", "public_key", "public_key_file") {
		if !regexp.MustCompile(`[\n {-]` + key + `\b`).MatchString(whole) {
			t.Errorf("the example does not have %s", key)
		}
	}
	c.Server.TLSCert, c.Server.TLSKey = "", "" // there are none
	if err := c.Server.Check(); err != nil {
		t.Errorf("the whole example: %v", err)
	}
}

// keys are the names of all fields.
func keys(t reflect.Type) []string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return keys(t.Elem())
	case reflect.Struct:
		var all []string
		for f := range t.Fields() {
			if key := f.Tag.Get("yaml"); key != "" {
				all = append(append(all, key), keys(f.Type)...)
			}
		}
		return all
	}
	return nil
}

// What the other pages show is right, but for what they leave out.
func TestOtherDocs(t *testing.T) {
	hash := `sha256:` + strings.Repeat("0", 64)
	for _, page := range []string{"docs/channels.md", "docs/webhooks.md", "docs/auth.md", "docs/quick-start.md", "examples/backends/README.md"} {
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```yaml\n")
		if len(blocks) < 2 {
			t.Errorf("%s shows nothing", page)
		}
		for _, block := range blocks[1:] {
			block, _, _ = strings.Cut(block, "```")
			block = strings.ReplaceAll(strings.ReplaceAll(block, "sha256:…", hash), "secret_file: secret}", "secret_file: token.secret}")
			loadDocs(t, block)
		}
	}
}

// The server beside the backends of examples/ begins with the file that their page shows.
func TestBackendsExample(t *testing.T) {
	page, err := os.ReadFile("../../examples/backends/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, file, _ := strings.Cut(string(page), "```yaml\n")
	file, _, _ = strings.Cut(file, "```")
	_, key, err := auth.NewKey("shop", []auth.Scope{auth.ScopePublish}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := loadDocs(t, strings.ReplaceAll(file, "sha256:…", key.Hash))
	if err := c.Server.Check(); err != nil {
		t.Error(err)
	}
	if c.Server.Keys == nil {
		t.Error("no backend may publish")
	}
}
