package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"baro.dev/internal/auth"
	"baro.dev/internal/config"
	"baro.dev/internal/testkit"
)

// docsExamples are the files that docs/configuration.md shows.
func docsExamples(t *testing.T) (small, hardened, whole string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```yaml\n")
	if len(blocks) != 4 {
		t.Fatalf("%d examples", len(blocks)-1)
	}
	small, _, _ = strings.Cut(blocks[1], "```")
	hardened, _, _ = strings.Cut(blocks[2], "```")
	whole, _, _ = strings.Cut(blocks[3], "```")
	return small, hardened, whole
}

// loadDocs loads an example beside the files that it names.
func loadDocs(t *testing.T, text string) (*config.Config, *pflag.FlagSet) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"baro.yml": text, "token.secret": auth.NewSecret(), "webhook.secret": whsec,
		"cluster.secret": auth.NewSecret(), "nats.password": "secret", "redis.password": "secret",
	} {
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

// The examples are right; the one of everything has every key there is, and the defaults that hold.
func TestDocs(t *testing.T) {
	small, hardened, whole := docsExamples(t)
	c, _ := loadDocs(t, small)
	if err := c.Server.Check(); err != nil {
		t.Errorf("the small example: %v", err)
	}
	cert, key, _ := testkit.Certificate(t)
	hardened = strings.NewReplacer("cert.pem", cert, "key.pem", key).Replace(hardened)
	c, flags := loadDocs(t, hardened)
	if err := c.Server.Check(); err != nil {
		t.Errorf("the hardened example: %v", err)
	}
	if a := c.Advice(flags); len(a) != 1 || !strings.Contains(a[0], "the certificate expires") { // that of the test does, in a day
		t.Errorf("of the hardened example check says %q", a)
	}
	c, flags = loadDocs(t, whole)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.DefValue != "" && f.DefValue != "[]" {
			if f.Value.String() != f.DefValue {
				t.Errorf("the example has %s as %s, the default is %s", f.Name, f.Value, f.DefValue)
			}
			return
		}
		if f.Value.String() == f.DefValue {
			t.Errorf("--%s has neither a default nor an example: declare one in flags.go", f.Name)
		}
		// Not all goes with all.
		if list, ok := f.Value.(pflag.SliceValue); ok {
			_ = list.Replace(nil)
		} else {
			_ = f.Value.Set("")
		}
	})
	if err := c.Server.Check(); err != nil {
		t.Errorf("the whole example: %v", err)
	}
}

// What is generated is what the code says now.
func TestGenerated(t *testing.T) {
	files, err := config.Generated("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if text, err := os.ReadFile("../../docs/" + name); err != nil || string(text) != want {
			t.Errorf("docs/%s is not what the code says (%v): run go generate ./internal/config", name, err)
		}
	}
	for _, k := range config.Keys() {
		described(t, k, k.Name)
	}
}

// described demands of a key what readers need.
func described(t *testing.T, k config.Key, name string) {
	t.Helper()
	isObject := k.Kind == config.KindObject
	if k.Meaning == "" && !isObject || k.Meaning == "" && k.Section != "" {
		t.Errorf("nothing says what %s means", name)
	}
	if end := strings.TrimRight(k.Meaning, "."); end != k.Meaning {
		t.Errorf("%s: %q is no sentence of its own", name, k.Meaning)
	}
	if k.Item != nil {
		k.Keys = k.Item.Keys
	}
	for _, below := range k.Keys {
		described(t, below, name+"."+below.Name)
	}
}

// What the other pages show is right, but for what they leave out.
func TestOtherDocs(t *testing.T) {
	hash := `sha256:` + strings.Repeat("0", 64)
	for _, page := range []string{"docs/channels.md", "docs/webhooks.md", "docs/auth.md", "docs/tls.md", "docs/quick-start.md", "examples/backends/README.md"} {
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
