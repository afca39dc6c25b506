package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"baro.dev/internal/clients"
	"baro.dev/internal/config"
)

// told is what there is to tell of a configuration.
type told struct {
	config.Config
	flags *pflag.FlagSet
	dir   string
	file  string
}

// tell loads a file, "" for none, with an environment and flags.
func tell(t *testing.T, text string, env map[string]string, args ...string) (*told, error) {
	t.Helper()
	r := &told{flags: pflag.NewFlagSet("serve", pflag.ContinueOnError), dir: t.TempDir()}
	for name, content := range map[string]string{"secret": strings.Repeat("s", 32), "webhook": whsec} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.flags.String("config", "", "")
	r.Flags(r.flags)
	if err := r.flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	for name, value := range env {
		env[name] = strings.ReplaceAll(value, "DIR", r.dir)
	}
	if err := config.Environment(r.flags, lookup(env)); err != nil {
		return r, err
	}
	if text != "" {
		r.file = filepath.Join(r.dir, "baro.yml")
		if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r, r.Load(r.file, r.flags, lookup(env))
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

// lines are the settings that are not as by default.
func (r *told) lines() []string {
	var lines []string
	for _, s := range r.Settings(r.flags) {
		if s.From != config.FromDefault {
			line := fmt.Sprintf("%s = %s <- %s", s.Key, s.Value, s.Origin)
			lines = append(lines, strings.ReplaceAll(line, r.dir+"/", ""))
		}
	}
	return lines
}

// Each value is told, with where it is from; a flag wins over the environment, which wins over the file. No secret is.
func TestSettings(t *testing.T) {
	secret := strings.Repeat("k", 40)
	r, err := tell(t, `listen: ":1"
max_wait: 1m30s
log:
  level: debug
allow_origin: [https://a.example, "https://*.b.example"]
channels:
  - pattern: "a*"
    history: {bytes: 2048KiB, age: 48h}
    echo: false
    publish_rate: 2.5
auth:
  keys:
    - {secret: `+secret+`}
    - secret_file: secret
api_keys: []
webhooks:
  endpoints:
    - url: https://user:pass@x.example/a?key=pass
      secret_file: webhook
      headers: {Authorization: pass}
      events: [connected, "sub*"]
`, map[string]string{"BARO_LISTEN": ":2", "BARO_HEARTBEAT": "5s", "BARO_MAX_BYTES": "1GiB", "BARO_TOKEN_SECRET": secret, "BARO_WEBHOOK_SECRET_FILE": "DIR/webhook"},
		"--heartbeat", "7s", "--dev")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`listen = ":2" <- BARO_LISTEN in the environment`,
		`allow_origin = [https://a.example, "https://*.b.example"] <- baro.yml:5`,
		`dev = true <- --dev`,
		`max_bytes = 1GiB <- BARO_MAX_BYTES in the environment`,
		`max_wait = 1m30s <- baro.yml:2`,
		`heartbeat = 7s <- --heartbeat`,
		`log.level = debug <- baro.yml:4`,
		`channels[0].pattern = "a*" <- baro.yml:7`,
		`channels[0].history.bytes = 2MiB <- baro.yml:8`,
		`channels[0].history.age = 48h <- baro.yml:8`,
		`channels[0].echo = false <- baro.yml:9`,
		`channels[0].publish_rate = 2.5 <- baro.yml:10`,
		`auth.keys[0].secret = (set) <- baro.yml:13`,
		`auth.keys[1].secret_file = secret <- baro.yml:14`,
		`api_keys =  <- baro.yml:15`,
		`webhooks.endpoints[0].url = "https://REDACTED@x.example/a?REDACTED" <- baro.yml:18`,
		`webhooks.endpoints[0].secret_file = webhook <- baro.yml:19`,
		`webhooks.endpoints[0].events = [connected, "sub*"] <- baro.yml:21`,
		`webhooks.endpoints[0].headers = (set) <- baro.yml:20`,
		`BARO_TOKEN_SECRET = (set) <- BARO_TOKEN_SECRET in the environment`,
		`BARO_WEBHOOK_SECRET = (set) <- BARO_WEBHOOK_SECRET_FILE in the environment`,
	}
	if got := r.lines(); !slices.Equal(got, want) {
		t.Errorf("%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	all := r.Settings(r.flags)
	for key, value := range map[string]string{"history.count": "1000", "channels[0].access.publish": "token", "auth.leeway": "30s", "api_keys_file": "", "data": ""} {
		i := slices.IndexFunc(all, func(s config.Setting) bool { return s.Key == key })
		if i < 0 || all[i].Value != value || all[i].Origin.String() != "default" {
			t.Errorf("%s is not told to be %q by default", key, value)
		}
	}
}

// What is no flag is in the environment as it is in the file, and replaces that; or in a file that a variable names.
func TestVariables(t *testing.T) {
	env := map[string]string{
		"BARO_CHANNELS":      `[{"pattern": "news", "access": {"subscribe": "anyone"}}, {pattern: b, last: true}]`,
		"BARO_AUTH_FILE":     "DIR/auth",
		"BARO_API_KEYS_FILE": "DIR/keys",
		"BARO_WEBHOOKS":      `{endpoints: [{url: "http://127.0.0.1/", secret_file: DIR/webhook}]}`,
	}
	text := "channels: [{pattern: a, presence: true}]\napi_keys_file: nowhere\nauth: {audiences: [x], keys: [{secret_file: secret}]}\n"
	r, err := tell(t, text, env)
	if err == nil || !strings.Contains(err.Error(), "BARO_AUTH_FILE: open") || !strings.Contains(err.Error(), "BARO_API_KEYS_FILE: open") {
		t.Errorf("files that are not there: %v", err)
	}
	for name, content := range map[string]string{
		"auth": "keys:\n  - secret_file: secret", // beside it
		"keys": `[{"id": "shop", "hash": "sha256:` + strings.Repeat("ab", 32) + `", "scopes": ["read"]}]`,
	} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.Config = config.Config{}
	if err := r.Load(r.file, r.flags, lookup(env)); err != nil {
		t.Fatal(err)
	}
	s := r.Server
	if len(s.Rules) != 2 || !s.Rules[0].Pattern.Match("news") || s.Rules[0].Access.Subscribe != clients.Anyone || !s.Rules[1].KeepLast || s.Rules[1].Presence {
		t.Errorf("%+v", s.Rules)
	}
	if len(s.Auth.Keys) != 1 || s.Auth.Audiences != nil || s.Keys.Len() != 1 || len(s.Webhooks.Events.Endpoints) != 1 {
		t.Errorf("%+v", s)
	}
	for _, line := range r.lines() {
		if !strings.HasSuffix(line, " in the environment") {
			t.Errorf("%s: it is not from there", line)
		}
	}
	for want, env := range map[string]map[string]string{
		`BARO_CHANNELS:1:15: channels[0].acess: there is no such key: did you mean "access"?`:         {"BARO_CHANNELS": "[{pattern: a, acess: b}]"},
		"BARO_CHANNELS:1:1: channels: it must be a list":                                              {"BARO_CHANNELS": "news"},
		"BARO_AUTH and BARO_AUTH_FILE are both in the environment":                                    {"BARO_AUTH": "{}", "BARO_AUTH_FILE": "x"},
		`BARO_HEARTBEAT in the environment: "often": it must be a time with its unit, as 500ms, 90s`:  {"BARO_HEARTBEAT": "often"},
		`BARO_DEV in the environment: "yes": it must be true or false`:                                {"BARO_DEV": "yes"},
		`BARO_MAX_CHANNELS in the environment: "many": it must be a number`:                           {"BARO_MAX_CHANNELS": "many"},
		`BARO_MAX_BYTES in the environment: "4MB": it must be a number of bytes, or a number and KiB`: {"BARO_MAX_BYTES": "4MB"},
		"BARO_WEBHOOKS:1:1: webhooks: it must have keys and values":                                   {"BARO_WEBHOOKS": "[]"},
		"BARO_API_KEYS:1:2: api_keys[0]: its id must be":                                              {"BARO_API_KEYS": "[{}]"},
		"/config_test: no such file or directory":                                                     {"BARO_TOKEN_SECRET_FILE": "/config_test"},
		"BARO_WEBHOOK_SECRET and BARO_WEBHOOK_SECRET_FILE are both in the environment: there can be":  {"BARO_WEBHOOK_SECRET": "a", "BARO_WEBHOOK_SECRET_FILE": "b"},
	} {
		if _, err := tell(t, "", env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if r, err := tell(t, "channels: [{pattern: a}]", map[string]string{"BARO_CHANNELS": "", "BARO_AUTH": ""}); err != nil || len(r.Server.Rules) != 1 {
		t.Errorf("an empty variable is one: %v, %d rules", err, len(r.Server.Rules))
	}
}

func TestUnknownVariables(t *testing.T) {
	other := pflag.NewFlagSet("token", pflag.ContinueOnError)
	other.String("key-file", "", "")
	var got []string
	for _, err := range config.UnknownVariables([]string{
		"BARO_LISTEN=:1", "BARO_CHANNELS=[]", "BARO_AUTH_FILE=a", "BARO_API_KEYS_FILE=a", "BARO_TOKEN_SECRET_FILE=x", "BARO_WEBHOOK_SECRET=x", "BARO_KEY_FILE=x",
		"BARO_PROOF=1", "BARO_TEST_AS_COMMAND=1", "BARO_URL=http://x", "BARO_KEY=x", "PATH=/bin", "BARO=x", "baro_x=1", "BARO_LOG_LEVEL",
		// What Kubernetes says of the services baro and baro-admin.
		"BARO_SERVICE_HOST=10.0.0.1", "BARO_SERVICE_PORT=80", "BARO_SERVICE_PORT_HTTP=80", "BARO_PORT=tcp://10.0.0.1:80", "BARO_PORT_80_TCP=tcp://10.0.0.1:80",
		"BARO_PORT_80_TCP_PROTO=tcp", "BARO_PORT_80_TCP_ADDR=10.0.0.1", "BARO_PORT_443_UDP_PORT=443", "BARO_ADMIN_SERVICE_HOST=10.0.0.1", "BARO_ADMIN_PORT_81_TCP_ADDR=x",

		"BARO_LISTNE=:1", "BARO_CHANELS=[]", "BARO_TOKEN_SECRET_FIEL=x", "BARO_NOTHING_LIKE_IT=secret", "BARO_HISTORY_COUNT_FILE=x",
	}, other) {
		got = append(got, err.Error())
	}
	want := []string{
		"BARO_LISTNE in the environment: there is no such setting: did you mean BARO_LISTEN?",
		"BARO_CHANELS in the environment: there is no such setting: did you mean BARO_CHANNELS?",
		"BARO_TOKEN_SECRET_FIEL in the environment: there is no such setting: did you mean BARO_TOKEN_SECRET_FILE?",
		"BARO_NOTHING_LIKE_IT in the environment: there is no such setting",
		"BARO_HISTORY_COUNT_FILE in the environment: there is no such setting: did you mean BARO_HISTORY_COUNT?",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What the file says now holds after a reload; what flags and the environment said still does.
func TestReload(t *testing.T) {
	env := map[string]string{"BARO_MAX_WAIT": "9s"}
	r, err := tell(t, "listen: ':1'\nmax_wait: 1s\nheartbeat: 2s\nmax_channels: 5\nallow_origin: [https://a.example]\nchannels: [{pattern: a}, {pattern: b}]",
		env, "--heartbeat", "3s", "--allow-origin", "https://b.example,https://c.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.file, []byte("max_wait: 2s\nheartbeat: 4s\nallow_origin: [https://d.example]\nmax_connections: 6\nchannels: [{pattern: c}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Reload(r.file, r.flags, lookup(env))
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Server; s.Listen != ":8000" || s.MaxWait.String() != "9s" || s.Heartbeat.String() != "3s" || s.Channels.MaxChannels != 100_000 ||
		!slices.Equal(s.AllowOrigins, []string{"https://b.example", "https://c.example"}) || s.MaxConnections != 6 || len(s.Rules) != 1 || !s.AdminOptional {
		t.Errorf("%+v", s)
	}
	if s := r.Server; s.Listen != ":1" || s.Channels.MaxChannels != 5 || len(s.Rules) != 2 {
		t.Errorf("what was loaded before is not as it was: %+v", s)
	}
	if err := os.WriteFile(r.file, []byte("listne: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Reload(r.file, r.flags, lookup(env)); err == nil || !strings.Contains(err.Error(), "did you mean") {
		t.Errorf("a file that is wrong now: %v", err)
	}
}
