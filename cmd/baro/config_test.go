package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/config"
	"baro.dev/internal/testkit"
)

// configured has a file, and a command with an environment.
func configured(t *testing.T, text string) (file string, say func(env []string, args ...string) (code int, out string)) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "baro.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, func(env []string, args ...string) (int, string) {
		t.Helper()
		c := command(t, args...)
		c.Env = append(c.Env, env...)
		out, _ := c.CombinedOutput()
		return c.ProcessState.ExitCode(), strings.ReplaceAll(string(out), filepath.Dir(file)+"/", "")
	}
}

func TestConfig(t *testing.T) {
	secret := strings.Repeat("s", 32)
	file, say := configured(t, "max_wait: 5s\nauth: {keys: [{secret: "+secret+"}]}\n")
	env := []string{"BARO_CONFIG=" + file, "BARO_LISTEN=127.0.0.1:0"}
	code, out := say(env, "config", "--changed", "--heartbeat", "9s")
	want := `KEY                  VALUE          FROM
listen               "127.0.0.1:0"  BARO_LISTEN in the environment
max_wait             5s             baro.yml:1
heartbeat            9s             --heartbeat
auth.keys[0].secret  (set)          baro.yml:2
`
	if code != exit.OK || out != want {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if code, out := say(env, "config"); code != exit.OK || !strings.Contains(out, "history.count ") || strings.Contains(out, secret) || strings.Count(out, "\n") < 30 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	code, out = say(env, "config", "--json")
	var list []map[string]any
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exit.OK {
		t.Fatalf("%v: %s", err, out)
	}
	for _, line := range list {
		switch line["key"] {
		case "listen":
			if line["from"] != "environment" || line["at"] != "BARO_LISTEN" {
				t.Errorf("%v", line)
			}
		case "history.count":
			if line["value"] != float64(1000) || line["from"] != "default" {
				t.Errorf("%v", line)
			}
		case "allow_origin":
			if v, ok := line["value"]; v != nil || !ok {
				t.Errorf("%v", line)
			}
		}
	}
	if code, out := say(append(env, "BARO_HAERTBEAT=1s"), "config", "--changed"); code != exit.OK || !strings.HasPrefix(out, "baro: BARO_HAERTBEAT in the environment: there is no such setting: did you mean BARO_HEARTBEAT?\n") {
		t.Errorf("an unknown variable: exit code %d:\n%s", code, out)
	}
	if code, out := say([]string{"BARO_CONFIG=/nonexistent"}, "config"); code != exit.Failed || !strings.Contains(out, "no such file") {
		t.Errorf("no file: exit code %d: %s", code, out)
	}
}

// What config example prints is a file, and what config schema prints is JSON.
func TestConfigPrints(t *testing.T) {
	var out bytes.Buffer
	if code := run([]string{"config", "schema"}, &out, &out); code != exit.OK || !json.Valid(out.Bytes()) {
		t.Errorf("exit code %d: %s", code, &out)
	}
	file, say := configured(t, "")
	dir := filepath.Dir(file)
	for name, text := range map[string]string{"baro.yml": must(t, "config", "example"), "token.secret": must(t, "token", "secret"), "cluster.secret": must(t, "token", "secret"),
		"nats.password": "a secret", "redis.password": "a secret", "webhook.secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, out := say(nil, "config", "--config", file); code != exit.OK || !strings.Contains(out, "webhooks.questions.connect.client_headers") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

func TestCheck(t *testing.T) {
	file, say := configured(t, "anonymous: true\n")
	if code, out := say(nil, "check", "--config", file); code != exit.OK || out != "baro.yml is right.\n" {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, out := say([]string{"BARO_CHANNELS=[{pattern: a, access: {publish: anyone}}]"}, "check", "--config", file); code != exit.OK ||
		out != "baro.yml is right, but:\n  BARO_CHANNELS in the environment: anyone may publish to a, without a token, as fast as they like (publish_rate)\n" {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, out := say([]string{"BARO_LISTNE=:1"}, "check", "--config", file); code != exit.Failed ||
		out != "baro: BARO_LISTNE in the environment: there is no such setting: did you mean BARO_LISTEN?\n" {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, out := say(nil, "check", "--config", file, "--listen", "8000", "--max-wait", "-5s", "--admin-listen", "127.0.0.1:x"); code != exit.Failed ||
		out != "baro: listen \"8000\": it must be HOST:PORT, or :PORT for all addresses of this machine\n"+
			"admin_listen \"127.0.0.1:x\": it must be HOST:PORT, or :PORT for all addresses of this machine\nmax_wait must not be negative\n" {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, out := say([]string{"BARO_DEV=true", "BARO_LISTEN=127.0.0.1:0"}, "check"); code != exit.OK || out != "The configuration is right.\n" {
		t.Errorf("without a file: exit code %d: %s", code, out)
	}
	if code, out := say([]string{"BARO_LISTNE=:1"}, "check", "--config", "/nonexistent"); code != exit.Failed || !strings.Contains(out, "no such file") || !strings.Contains(out, "BARO_LISTEN?") {
		t.Errorf("exit code %d: not all mistakes are told: %s", code, out)
	}
}

// What is wrong with a certificate is told with the name of its file.
func TestCheckCertificate(t *testing.T) {
	file, say := configured(t, "anonymous: true\ntls: {cert: cert.pem, key: key.pem}\n")
	dir := filepath.Dir(file)
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copied := func(from, to string) {
		t.Helper()
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(to, text)
	}
	checked := func(code int, want string) {
		t.Helper()
		if got, out := say(nil, "check", "--config", file); got != code || !strings.Contains(out, want) {
			t.Errorf("exit code %d: %s; want %d, %q", got, out, code, want)
		}
	}
	checked(exit.Failed, "cert.pem: no such file or directory")
	write("cert.pem", []byte("garbage"))
	write("key.pem", []byte("garbage"))
	checked(exit.Failed, "failed to find any PEM data")
	cert, key, _ := testkit.Certificate(t)
	_, other, _ := testkit.Certificate(t)
	copied(cert, "cert.pem")
	copied(other, "key.pem")
	checked(exit.Failed, "private key does not match public key")
	copied(key, "key.pem")
	checked(exit.OK, "the certificate expires on")
}

// A variable that nothing reads is told when the server begins, and keeps it from nothing.
func TestServeUnknownVariable(t *testing.T) {
	s := serveCommand(t, []string{"BARO_LISTEN=127.0.0.1:0", "BARO_MAX_WIAT=1s", "BARO_LOG_FORMAT=text"})
	if code := s.stop(t, syscall.SIGTERM); code != exit.OK || !strings.Contains(s.log.String(), "did you mean BARO_MAX_WAIT?") {
		t.Errorf("exit code %d, %s", code, s.log)
	}
}

// The help has every setting, where those belong that go together, and shells are told what there is to choose from.
func TestSettingsHelp(t *testing.T) {
	help := must(t, "serve", "--help")
	for _, want := range []string{"\nFlags:\n  -c, --config file ", "\nWhat is kept:\n      --data directory ", "\nLogs:\n      --log-level string ", "baro config example"} {
		if !strings.Contains(help, want) {
			t.Errorf("serve --help does not have %q:\n%s", want, help)
		}
	}
	for _, k := range config.Keys() {
		if k.Flag != "" && strings.Count(help, k.Flag+" ") == 0 {
			t.Errorf("serve --help does not have %s", k.Flag)
		}
	}
	if help := must(t, "config", "--help"); !strings.Contains(help, "baro config schema") || !strings.Contains(help, "--changed") || strings.Contains(help, "--listen") {
		t.Errorf("config --help:\n%s", help)
	}
	if help := must(t, "config", "schema", "--help"); !strings.Contains(help, "baro config schema > baro.schema.json") {
		t.Errorf("config schema --help:\n%s", help)
	}
	for args, want := range map[string]string{
		"serve --log-level ":  "debug\ninfo\nwarn\nerror\n:4\n",
		"check --config ":     "yml\nyaml\njson\n:8\n",
		"config --data ":      ":16\n",
		"serve --tls-cert ":   ":0\n",
		"serve --history-age": "--history-age\thow long a message is kept, and an unused channel remembered\n:4\n",
		"conf":                "config\tShow what holds, and where each value is from\n:4\n",
	} {
		if out := must(t, append([]string{"__complete"}, strings.Split(args, " ")...)...); !strings.HasPrefix(out, want) {
			t.Errorf("%s is completed by %q; want %q", args, out, want)
		}
	}
	if out := must(t, "completion", "bash"); !strings.Contains(out, "complete -o default") {
		t.Errorf("completion bash: %.300s", out)
	}
}
