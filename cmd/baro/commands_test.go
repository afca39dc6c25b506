package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"baro.dev/internal/testkit"
)

// A backend and a client use a server by the command alone, with a key and a token.
func TestPublishCallSubscribe(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	ask := func(args ...string) string {
		t.Helper()
		var out, problems bytes.Buffer
		if code := run(args, &out, &problems); code != 0 {
			t.Fatalf("%q: %d, %s", args, code, problems.String())
		}
		return out.String()
	}
	secret := file("secret", ask("token", "secret"))
	made := regexp.MustCompile(`(?s)once:\s+(\S+).*configuration:\s+(\{.*\})`).FindStringSubmatch(ask("token", "key", "--scope", "publish,call"))
	if len(made) != 3 {
		t.Fatal(made)
	}
	key := file("key", made[1]+"\n")
	token := file("token", ask("token", "mint", "--key-file", secret, "--user", "door", "--subscribe", "news"))
	config := file("baro.json", `{"listen": "127.0.0.1:0", "admin_listen": "", "auth": {"keys": [{"secret_file": "secret"}]}, "api_keys": [`+made[2]+`]}`)
	s := startServe(t, nil, "--config", config)
	t.Setenv("BARO_SERVER", strings.TrimSuffix(s.url, "/"))

	var out, problems bytes.Buffer
	if code := run([]string{"publish", "news", "nobody"}, &out, &problems); code != 4 || !strings.Contains(problems.String(), "unauthorized") {
		t.Errorf("without a key: %d, %s", code, problems.String())
	}
	if code := run([]string{"subscribe", "news"}, &out, &problems); code != 4 {
		t.Errorf("without a token: %d, %s", code, problems.String())
	}
	answers := "#!/bin/sh\necho \"{\\\"did\\\": \\\"$1\\\"}\"\n"
	if err := os.WriteFile(filepath.Join(dir, "answer"), []byte(answers), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	reader := command(t, "subscribe", "news", "@door", "--token-file", token, "--count", "4", "--on-call", filepath.Join(dir, "answer"), "--position", filepath.Join(dir, "at"))
	var printed bytes.Buffer
	reader.Stdout = &printed
	notes, err := reader.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	connected := make([]byte, 64)
	if n, err := notes.Read(connected); err != nil || !strings.Contains(string(connected[:n]), "connected over websocket") {
		t.Fatalf("%s, %v", connected, err)
	}
	for { // it says that it is connected before it is subscribed
		if text, _ := os.ReadFile(filepath.Join(dir, "at")); bytes.Count(text, []byte(":0")) == 2 {
			break
		}
	}
	if got := ask("call", "--api-key-file", key, "--user", "door", "open"); got != "{\"did\":\"open\"}\n" {
		t.Errorf("%q", got)
	}
	t.Setenv("BARO_API_KEY", made[1])
	ask("publish", "@door", "for you")
	lines := command(t, "publish", "news", "--lines", "--json")
	lines.Stdin = strings.NewReader("one\n\x1b[31mtwo\nthree\n")
	if got, err := lines.Output(); err != nil || strings.Count(string(got), `"channel":"news"`) != 3 {
		t.Errorf("%s, %v", got, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- reader.Wait() }()
	if err := testkit.Within(t, "the end of subscribe", ended); err != nil || printed.String() != "@door\tfor you\nnews\tone\nnews\t\x1b[31mtwo\nnews\tthree\n" {
		t.Errorf("%v, %q", err, printed.String())
	}
}

// A session is recorded and played again by the command, on a disk that has room and on one that has none.
func TestRecordReplay(t *testing.T) {
	s := serveCommand(t, nil, "--listen", "127.0.0.1:0")
	url, file := s.url+"c/demo", filepath.Join(t.TempDir(), "session.ndjson")
	rec := command(t, "record", "--protocol", "ws", strings.TrimSuffix(url, "/"), "--out", file, "--count", "2")
	rec.Stdin = strings.NewReader("one\ntwo\n")
	if got, err := rec.CombinedOutput(); err != nil || !strings.Contains(string(got), "one\ntwo\n") {
		t.Fatalf("%v, %s", err, got)
	}
	var out, problems bytes.Buffer
	if code := run([]string{"replay", file, "--speed", "max"}, &out, &problems); code != 0 || !strings.Contains(problems.String(), "2 sent, 2 of 2 received, 0 different") {
		t.Errorf("%d, %s%s", code, out.String(), problems.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), `"dir":"in","type":"text","data":"two`, `"dir":"in","type":"text","data":"\u001b[2Jdos`, 1)
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run([]string{"replay", file, url, "--speed", "max"}, &out, &problems); code != 6 || !strings.Contains(out.String(), "\n  + two") {
		t.Errorf("%d, %s%s", code, out.String(), problems.String())
	}
	if code := run([]string{"record", url, "--out", file}, &out, &problems); code != 1 || !strings.Contains(problems.String(), "--force") {
		t.Errorf("%d, %s", code, problems.String())
	}
	full := command(t, "record", "--protocol", "ws", url, "--out", "/dev/full")
	full.Stdin = strings.NewReader("one\n")
	if got, err := full.CombinedOutput(); full.ProcessState.ExitCode() != 1 || !strings.Contains(string(got), "no space left") {
		t.Errorf("%v, %s", err, got)
	}
}
