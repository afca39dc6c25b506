package config_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/internal/config"
	"baro.dev/internal/webhook"
)

// load has a file of this text loaded, with flags and environment.
func load(t testing.TB, text string, env map[string]string, args ...string) (*config.Config, string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "baro.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var c config.Config
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	flags.String("config", "", "")
	c.Flags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	err := c.Load(file, flags, func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	})
	return &c, file, err
}

func TestLoad(t *testing.T) {
	secret := strings.Repeat("s", 32)
	c, file, err := load(t, `
listen: 127.0.0.1:9000        # and a comment
tls: {cert: cert.pem, key: /etc/key.pem}
allow_origin:
  - https://a.example
  - https://b.example
data: messages
history: {bytes: 3MiB, age: 1h}
queue_bytes: 4096
max_wait: 5s
log:
  level: debug
channels:
  - pattern: rooms/*/chat
    history: {count: 10, bytes: 64KiB, age: 24h}
    max_message_bytes: 2KiB
    last: true
    presence: true
    echo: false
    publish_rate: 2.5
    access: {subscribe: anyone, publish: users, presence: token, history: nobody}
  - pattern: "**"
auth:
  keys: [{id: k, issuer: i, secret: `+secret+`}]
  key_sets: [{url: "https://id.example/keys", issuer: https://id.example/, refresh: 30s, max_stale: 1h}]
  issuers: [j]
  audiences: [baro]
  leeway: 5s
  max_token_bytes: 4KiB
  allow_no_expiry: true
api_keys:
  - {id: shop, hash: "sha256:`+strings.Repeat("ab", 32)+`", scopes: [publish, read], channels: ["shop/**"]}
`, nil, "--queue-bytes", "1MiB", "--max-connections", "7")
	if err != nil {
		t.Fatal(err)
	}
	s := c.Server
	dir := filepath.Dir(file)
	if s.Listen != "127.0.0.1:9000" || s.TLSCert != filepath.Join(dir, "cert.pem") || s.TLSKey != "/etc/key.pem" || s.Data != filepath.Join(dir, "messages") ||
		!slices.Equal(s.AllowOrigins, []string{"https://a.example", "https://b.example"}) || s.MaxWait != 5*time.Second || c.LogLevel != "debug" {
		t.Errorf("%+v", s)
	}
	if s.QueueBytes != 1<<20 || s.MaxConnections != 7 {
		t.Error("the file wins over flags")
	}
	if h := s.Channels; h.HistoryBytes != 3<<20 || h.HistoryAge != time.Hour || h.HistoryCount != 1000 || h.MaxMessageBytes != 256<<10 {
		t.Errorf("%+v", h)
	}
	r := s.Rules[0]
	if len(s.Rules) != 2 || !r.Pattern.Match("rooms/1/chat") || r.HistoryCount != 10 || r.HistoryBytes != 64<<10 || r.HistoryAge != 24*time.Hour ||
		r.MaxMessageBytes != 2048 || !r.KeepLast || !r.Presence || !r.NoEcho {
		t.Errorf("%+v", r)
	}
	want := clients.Rule{Subscribe: clients.Anyone, Publish: clients.Users, Presence: clients.Token, History: clients.Nobody, PublishRate: 2.5}
	if !reflect.DeepEqual(r.Access, want) || s.Rules[1].NoEcho {
		t.Errorf("%+v", r.Access)
	}
	a := s.Auth
	if len(a.Keys) != 1 || a.Keys[0].ID != "k" || a.Keys[0].Issuer != "i" || a.Issuers[0] != "j" || a.Audiences[0] != "baro" ||
		a.Leeway != 5*time.Second || a.MaxTokenBytes != 4096 || !a.AllowNoExpiry ||
		a.KeySets[0] != (auth.KeySet{URL: "https://id.example/keys", Issuer: "https://id.example/", Refresh: 30 * time.Second, MaxStale: time.Hour}) {
		t.Errorf("%+v", a)
	}
	if s.Keys.Len() != 1 {
		t.Errorf("%d API keys", s.Keys.Len())
	}
}

func TestWebhooks(t *testing.T) {
	dir := t.TempDir()
	other := webhook.NewSecret()
	file := filepath.Join(dir, "secrets")
	if err := os.WriteFile(file, []byte(other+"\n"+whsec+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := load(t, `
webhooks:
  endpoints:
    - {url: "http://a/", secret_file: `+file+`, events: [occupied, "sub*"], channels: ["rooms/**"], headers: {X-Site: a}, timeout: 1s,
       batch_events: 2, batch_bytes: 1KiB, batch_delay: 3s, concurrency: 4, max_age: 5m}
    - {url: "http://b/"}
  queue_events: 6
  queue_bytes: 7KiB
  questions:
    connect: {url: "http://c/", secret: `+other+`, headers: {X-Site: b}, client_headers: [Cookie], timeout: 8s, concurrency: 9, max_waiting: 10, max_answer_bytes: 11KiB}
    rpc: {url: "http://d/"}
`, map[string]string{"BARO_WEBHOOK_SECRET": whsec})
	if err != nil {
		t.Fatal(err)
	}
	w := c.Server.Webhooks
	a, b := w.Events.Endpoints[0], w.Events.Endpoints[1]
	if !a.Wants("rooms/1") || a.Wants("news") || b.Wants != nil {
		t.Error("the channels of endpoints")
	}
	a.Wants = nil
	if want := (webhook.Endpoint{
		URL: "http://a/", Secrets: []string{other, whsec}, Types: []string{"occupied", "sub*"}, Headers: map[string]string{"X-Site": "a"},
		Timeout: time.Second, BatchEvents: 2, BatchBytes: 1024, BatchDelay: 3 * time.Second, Concurrency: 4, MaxAge: 5 * time.Minute,
	}); !reflect.DeepEqual(a, want) {
		t.Errorf("%+v", a)
	}
	if b.Secrets[0] != whsec || w.Events.QueueEvents != 6 || w.Events.QueueBytes != 7<<10 || w.RPC.Secrets[0] != whsec || w.RPC.URL != "http://d/" ||
		!slices.Equal(w.ConnectHeaders, []string{"Cookie"}) {
		t.Errorf("%+v", w)
	}
	if want := (webhook.AskerConfig{
		URL: "http://c/", Secrets: []string{other}, Headers: map[string]string{"X-Site": "b"},
		Timeout: 8 * time.Second, Concurrency: 9, MaxWaiting: 10, MaxAnswerBytes: 11 << 10,
	}); !reflect.DeepEqual(*w.Connect, want) {
		t.Errorf("%+v", w.Connect)
	}
}

// What is left out is as the tags say.
func TestDefaults(t *testing.T) {
	c, _, err := load(t, "webhooks: {endpoints: [{url: 'http://a/', secret: "+whsec+"}], questions: {rpc: {url: 'http://b/', secret: "+whsec+"}}}\n"+
		"auth: {key_sets: [{url: 'https://a/', issuer: a}]}\nchannels: [{pattern: a}]", nil)
	if err != nil {
		t.Fatal(err)
	}
	w, e, q, a, r := c.Server.Webhooks.Events, c.Server.Webhooks.Events.Endpoints[0], c.Server.Webhooks.RPC, c.Server.Auth, c.Server.Rules[0]
	if w.QueueEvents != 10_000 || w.QueueBytes != 16<<20 || e.Timeout != 5*time.Second || e.BatchBytes != 512<<10 || e.MaxAge != 10*time.Minute || q.MaxWaiting != 1024 ||
		a.Leeway != 30*time.Second || a.AllowNoExpiry || a.KeySets[0].MaxStale != 24*time.Hour || r.NoEcho || r.HistoryCount != 0 || r.Access.Publish != clients.Token {
		t.Errorf("%+v, %+v, %+v, %+v, %+v", w, e, q, a, r)
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	secret := auth.NewSecret()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		env  map[string]string
	}{
		"file":                {"auth: {keys: [{secret_file: " + file + "}]}", nil},
		"environment":         {"", map[string]string{"BARO_TOKEN_SECRET": secret}},
		"file in environment": {"# nothing else", map[string]string{"BARO_TOKEN_SECRET_FILE": file}},
	} {
		c, _, err := load(t, test.text, test.env)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v, err := auth.New(*c.Server.Auth)
		if err != nil {
			t.Fatal(err)
		}
		key, err := auth.ParseSigningKey([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		token, err := auth.Mint(key, auth.Claims{User: "kim", Issued: time.Now(), Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if i, err := v.Verify(t.Context(), token); err != nil || i.User != "kim" {
			t.Errorf("%s: %+v, %v", name, i, err)
		}
		v.Close()
	}
	for want, env := range map[string]map[string]string{
		"BARO_TOKEN_SECRET: the secret has 1 bytes":     {"BARO_TOKEN_SECRET": "x"},
		"both in the environment":                       {"BARO_TOKEN_SECRET": secret, "BARO_TOKEN_SECRET_FILE": file},
		"BARO_TOKEN_SECRET_FILE: open /nonexistent: no": {"BARO_TOKEN_SECRET_FILE": "/nonexistent"},
	} {
		if _, _, err := load(t, "", env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

const whsec = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// Each mistake is told with its place, and in words that say what to do.
var mistakes = map[string]string{
	"listen: [":                          "baro.yml:1:9: sequence end token ']' not found",
	"listen":                             "baro.yml:1:1: it must have keys and values",
	"- listen":                           "it must have keys and values, but there is a list",
	"listen: a\n---\nlisten: b":          "baro.yml:3:1: there is a second document",
	"listne: a":                          `baro.yml:1:1: listne: there is no such key: did you mean "listen"?`,
	"xyz: a":                             "xyz: there is no such key: baro config example shows all",
	"config: a":                          "config: there is no such key",
	"listen: a\nlisten: b":               "baro.yml:2:1: listen: it is there twice",
	"tls: {cert: a, crt: b}":             `baro.yml:1:16: tls.crt: there is no such key: did you mean "cert"?`,
	"tls_cert: a":                        "tls_cert: there is no such key: did you mean tls: {cert: …}?",
	"tls: a":                             "tls: it must have keys and values",
	"listen:":                            "listen: it must be one value, but there is nothing",
	"listen: {a: b}":                     "listen: it must be one value, but there are keys and values",
	"listen: &a x":                       "anchors, aliases, merges and tags are not taken",
	"listen: !!str x":                    "anchors, aliases, merges and tags are not taken",
	"? [a]\n: b":                         "found an invalid key for this map",
	"channels: [{<<: {pattern: a}}]":     "baro.yml:1:13: anchors, aliases, merges and tags are not taken",
	"dev: yes":                           `dev: "yes": it must be true or false`,
	"dev: 1":                             `dev: "1": it must be true or false`,
	"max_channels: many":                 `max_channels: "many": it must be a number`,
	"max_channels: 99999999999999999999": "it is too large",
	"max_bytes: 4MB":                     `max_bytes: "4MB": it must be a number of bytes, or a number and KiB, MiB or GiB`,
	"max_bytes: 9999999999GiB":           "it is too large",
	"heartbeat: 25":                      `heartbeat: "25": it must be a time with its unit`,
	"allow_origin: https://a.example":    "allow_origin: it must be a list",
	"channels: {pattern: a}":             "channels: it must be a list, but there are keys and values",
	"channels: [{last: true}]":           "baro.yml:1:13: channels[0]: it has no pattern",
	"channels:\n  - pattern: a\n  - pattern: b\n    ech: x":                                        `baro.yml:4:5: channels[1].ech: there is no such key: did you mean "echo"?`,
	"channels: [{pattern: '***'}]":                                                                 `channels[0].pattern: "***": more than two stars in a row`,
	"channels: [{pattern: a, echo: no}]":                                                           "echo: \"no\": it must be true or false",
	"channels: [{pattern: a, access: {publish: all}}]":                                             `access.publish: "all": it must be anyone, users, token or nobody`,
	"channels: [{pattern: a, history: {age: -1s}}]":                                                "must not be negative",
	"channels: [{pattern: a, publish_rate: -1}]":                                                   "its publish_rate must be 0 to 1000000",
	"channels: [{pattern: a, publish_rate: .nan}]":                                                 "publish_rate",
	"channels: [{pattern: a, publish_rate: fast}]":                                                 `"fast": it must be a number`,
	"auth: {keys: [{}]}":                                                                           "auth.keys[0]: a key is given by one of secret,",
	"auth: {keys: [{secret: short}]}":                                                              "auth.keys[0]: the secret has 5 bytes",
	"auth: {keys: [{secret_file: no}]}":                                                            "no: no such file",
	"auth: {key_sets: [{url: 'http://x/', issuer: a}]}":                                            "auth.key_sets[0]: key set \"http://x/\": its URL is http",
	"auth: {key_sets: [{url: 'https://x/'}]}":                                                      "it has no issuer",
	"api_keys: [{id: a, hash: x, scopes: [read]}]":                                                 `api_keys[0]: its hash must be "sha256:"`,
	"api_keys: [{id: a, scopes: [admin]}]":                                                         `"admin": there is no such scope`,
	"api_keys: []\napi_keys_file: x":                                                               "there can be one of them",
	"webhooks: {endpoints: [{url: 'ftp://x/', secret: " + whsec + "}]}":                            "webhooks.endpoints[0]: a URL must be http:// or https://",
	"webhooks: {endpoints: [{url: 'http://x/', secret: s}]}":                                       "webhooks.endpoints[0]: http://x/: secret 1 is not",
	"webhooks: {endpoints: [{url: 'http://x/'}]}":                                                  "webhooks.endpoints[0]: there is no secret to sign with",
	"webhooks: {endpoints: [{url: 'http://x/', secret: s, secret_file: f}]}":                       "there can be one of them",
	"webhooks: {endpoints: [{url: 'http://x/', secret_file: none}]}":                               "no such file",
	"webhooks: {endpoints: [{url: 'http://x/', events: ['*ed'], secret: " + whsec + "}]}":          "is not a type of events",
	"webhooks: {endpoints: [{url: 'http://x/', channels: [a/***], secret: " + whsec + "}]}":        "channels[0]: \"a/***\": more than two stars",
	"webhooks: {endpoints: [{url: 'http://x/', headers: {Host: a}, secret: " + whsec + "}]}":       `"Host" is not to be set`,
	"webhooks: {questions: {connect: {url: 'http://169.254.169.254/', secret: " + whsec + "}}}":    "link-local",
	"webhooks: {questions: {rpc: {url: 'http://x/'}}}":                                             "webhooks.questions.rpc: there is no secret",
	"webhooks: {questions: {rpc: {url: 'http://x/', client_headers: [a], secret: " + whsec + "}}}": "client_headers are for connect",
	"webhooks: {questions: {rcp: {}}}":                                                             `did you mean "rpc"?`,
	"api_keys_file: x":                                                                             "no such file",
}

func TestMistakes(t *testing.T) {
	for _, text := range slices.Sorted(maps.Keys(mistakes)) {
		_, _, err := load(t, text, nil)
		if err == nil || !strings.Contains(err.Error(), mistakes[text]) {
			t.Errorf("%q: %v; want %q", text, err, mistakes[text])
		}
		if strings.Contains(err.Error(), "whsec_M") {
			t.Errorf("%q: the secret is in %v", text, err)
		}
		if wrong, ok := errors.AsType[*config.MistakeError](err); ok && (wrong.Line < 1 || wrong.Column < 1) {
			t.Errorf("%q: no place in %+v", text, wrong)
		}
	}
	_, _, err := load(t, strings.Repeat("- a\n", 3)+"b: c", nil)
	if err == nil {
		t.Error("a list that becomes a mapping is no mistake")
	}
	if _, _, err = load(t, "a: b\nlog: {x: y}\nmax_wait: z\nchannels: [{echo: maybe}, {history: {bytes: x}}]", nil); strings.Count(err.Error(), "baro.yml:") != 5 {
		t.Errorf("not every mistake is told: %v", err)
	}
	if _, _, err = load(t, "channels: ["+strings.Repeat("{},", 1000)+"]", nil); strings.Count(err.Error(), "\n") > 20 {
		t.Errorf("%d lines of mistakes", strings.Count(err.Error(), "\n"))
	}
	if _, _, err = load(t, strings.Repeat("#", 2<<20), nil); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a file of 2 MiB: %v", err)
	}
	var c config.Config
	if err := c.Load("/nonexistent", pflag.NewFlagSet("", 0), os.LookupEnv); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// Whatever is in a file, it is taken or refused, within its bounds.
func FuzzLoad(f *testing.F) {
	for text := range mistakes {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file") || len(text) > 4096 {
			t.Skip() // no files of this machine
		}
		_, _, err := load(t, text, nil)
		if err != nil && !strings.Contains(err.Error(), "baro.yml") && !strings.Contains(err.Error(), "API key") {
			t.Errorf("%v", err)
		}
	})
}
