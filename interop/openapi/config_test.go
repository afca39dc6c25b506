package openapi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/pflag"

	"baro.dev/internal/auth"
	"baro.dev/internal/config"
	"baro.dev/internal/webhook"
)

// configSchema is the schema of configuration files that docs/ has.
func configSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.Open("../../docs/baro.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	document, err := jsonschema.UnmarshalJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("file:///baro.schema.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("file:///baro.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate checks a file as an editor does.
func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	v, err = jsonschema.UnmarshalJSON(strings.NewReader(string(encoded)))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// load loads a file beside those that it names.
func load(t *testing.T, dir, text string) error {
	t.Helper()
	file := filepath.Join(dir, "baro.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var c config.Config
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.Flags(flags)
	return c.Load(file, flags, func(string) (string, bool) { return "", false })
}

func besides(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{"token.secret": auth.NewSecret(), "webhook.secret": webhook.NewSecret()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What our pages show is right by the schema, too.
func TestConfigSchemaTakesDocs(t *testing.T) {
	s := configSchema(t)
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := []string{"", "# nothing", config.Example()}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			if load(t, besides(t), strings.ReplaceAll(block, "sha256:…", "sha256:"+strings.Repeat("0", 64))) == nil {
				examples = append(examples, block)
			}
		}
	}
	if len(examples) < 6 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, text := range examples {
		if err := validate(t, s, text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// What an editor should mark is refused by the schema as it is by the server.
func TestConfigSchemaRefuses(t *testing.T) {
	s, dir := configSchema(t), besides(t)
	for _, text := range []string{
		"listne: a", "log: {levle: debug}", "log: {level: loud}", "log: debug", "listen: [a]", "listen: {a: b}", "listen:", "max_wait: 25", "max_wait: 5d", "max_wait: soon",
		"max_bytes: 4MB", "max_bytes: 1.5", "max_channels: many", "max_channels: 1.5", "dev: yes", "dev: 1", "allow_origin: https://a.example", "allow_origin: [[a]]",
		"channels: {pattern: a}", "channels: [{last: true}]", "channels: [{pattern: a, ech: true}]", "channels: [{pattern: a, access: {publish: all}}]",
		"channels: [{pattern: a, publish_rate: fast}]", "channels: [{pattern: a, history: {count: few}}]", "auth: []", "auth: {keys: [a]}", "auth: {key_sets: [{url: 'https://x/'}]}",
		"api_keys: [{id: a, scopes: [read]}]", "api_keys: [{id: a, hash: b, scopes: [admin]}]", "webhooks: {endpoints: [{}]}", "webhooks: {questions: {rcp: {}}}",
		"webhooks: {endpoints: [{url: 'http://x/', headers: [a]}]}", "- listen", "text",
	} {
		if err := load(t, dir, text); err == nil {
			t.Errorf("the server takes %q", text)
		}
		if err := validate(t, s, text); err == nil {
			t.Errorf("the schema takes %q", text)
		}
	}
}

// Whatever takes the place of a value: what the server takes, the schema takes.
func TestConfigSchemaTakesWhatTheServerTakes(t *testing.T) {
	s, dir := configSchema(t), besides(t)
	var whole map[string]any
	if err := yaml.Unmarshal([]byte(config.Example()), &whole); err != nil {
		t.Fatal(err)
	}
	values := []any{
		true, "false", 0, -1, 7, 1.5, "+1", "007", "", "a b", "0s", "-1h30m", ".5s", "1.5µs2ns", "4 KiB", "-1GiB",
		"anyone", "publish", "json", "https://x.example/", "token.secret", "**", "inf", "0x10",
		[]any{}, []any{"x", 1, true}, map[string]any{}, map[string]any{"x": 1}, nil,
	}
	taken, tried, turn := 0, 0, 0
	each(whole, func(key string, put func(any)) {
		turn++
		for i, v := range values {
			if (i+turn)%3 != 0 && os.Getenv("BARO_PROOF") == "" { // a third of them in each place: all are many
				continue
			}
			put(v)
			encoded, err := json.Marshal(map[string]any{key: whole[key]})
			if err != nil {
				t.Fatal(err)
			}
			tried++
			if load(t, dir, string(encoded)) != nil {
				continue
			}
			taken++
			if err := validate(t, s, string(encoded)); err != nil {
				t.Errorf("%v\n%s", err, encoded)
			}
		}
	})
	if taken < tried/10 || taken > tried/2 {
		t.Errorf("the server takes %d of %d", taken, tried)
	}
}

// each visits the values beneath a top key, one after the other, and puts them back.
func each(top map[string]any, visit func(key string, put func(any))) {
	for key, value := range top {
		visit(key, func(v any) { top[key] = v })
		top[key] = value
		eachWithin(value, func(put func(any)) { visit(key, put) })
	}
}

func eachWithin(node any, visit func(put func(any))) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			visit(func(v any) { node[key] = v })
			node[key] = value
			eachWithin(value, visit)
		}
	case []any:
		for i, value := range node {
			visit(func(v any) { node[i] = v })
			node[i] = value
			eachWithin(value, visit)
		}
	}
}
