package interop

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/clients"
	"baro.dev/internal/webhook"
)

// delivery is a request as a backend gets it, and whether it is to be believed.
type delivery struct {
	Headers map[string]string `json:"headers"` // by names in lower case
	Body    []byte            `json:"body"`    // base64 in JSON
	Secrets []string          `json:"secrets"`

	name    string
	genuine bool
}

// with gives a copy of which one header is another; without it, if there is no value.
func (d delivery) with(name, header, value string, genuine bool) delivery {
	d.name, d.genuine, d.Headers = name, genuine, maps.Clone(d.Headers)
	d.Headers[header] = value
	if value == "" {
		delete(d.Headers, header)
	}
	return d
}

// deliveries are what a backend may get: what a Sender and an Asker have sent, and what somebody makes of it.
func deliveries(t *testing.T) []delivery {
	t.Helper()
	old, next := webhook.NewSecret(), webhook.NewSecret()
	got := make(chan delivery, 10)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := delivery{Headers: map[string]string{}, Secrets: []string{old}, genuine: true}
		d.Body, _ = io.ReadAll(r.Body)
		for name := range r.Header {
			d.Headers[strings.ToLower(name)] = r.Header.Get(name)
		}
		got <- d
		_, _ = io.WriteString(w, "{}")
	}))
	defer backend.Close()
	sender, err := webhook.New(webhook.Config{Endpoints: []webhook.Endpoint{{URL: backend.URL, Secrets: []string{next, old}}}})
	if err != nil {
		t.Fatal(err)
	}
	sender.Send(webhook.Event{Type: clients.TypeOccupied, Data: clients.OccupancyEvent{Channel: "방/42"}})
	if err := sender.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	asker, err := webhook.NewAsker(webhook.AskerConfig{URL: backend.URL, Secrets: []string{old}})
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	if err := asker.Ask(t.Context(), clients.KindRPC, clients.RPCQuestion{Method: "합"}, nil); err != nil {
		t.Fatal(err)
	}
	events, question := <-got, <-got
	events.name, question.name = "events", "a question"

	rotated := events
	rotated.name, rotated.Secrets = "the next secret", []string{next}
	either := events
	either.name, either.Secrets = "one of two secrets", []string{webhook.NewSecret(), old}
	stranger := events
	stranger.name, stranger.Secrets, stranger.genuine = "another secret", []string{webhook.NewSecret()}, false
	changed := events
	changed.name, changed.Body, changed.genuine = "another body", append(bytes.Clone(events.Body), ' '), false
	signature := events.Headers["webhook-signature"]
	all := []delivery{
		events, question, rotated, either, stranger, changed,
		events.with("no id", "webhook-id", "", false),
		events.with("another id", "webhook-id", "msg_1", false),
		events.with("no timestamp", "webhook-timestamp", "", false),
		events.with("another timestamp", "webhook-timestamp", strconv.FormatInt(time.Now().Unix()-1, 10), false),
		events.with("no number", "webhook-timestamp", "1e9", false),
		events.with("no signature", "webhook-signature", "", false),
		events.with("one of the signatures", "webhook-signature", strings.Fields(signature)[1], true),
		events.with("another version besides", "webhook-signature", "v1a,AAAA v2 "+signature, true),
		events.with("another version", "webhook-signature", strings.ReplaceAll(signature, "v1,", "v2,"), false),
		events.with("half a signature", "webhook-signature", strings.Fields(signature)[1][:20], false),
		events.with("a signature that is not ASCII", "webhook-signature", "v1,서명", false),
	}
	for name, off := range map[string]int64{"old": -301 - 60, "young": 301 + 60} {
		timestamp := strconv.FormatInt(time.Now().Unix()+off, 10)
		d := events.with(name, "webhook-timestamp", timestamp, false)
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(old, "whsec_"))
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(d.Headers["webhook-id"] + "." + timestamp + "." + string(d.Body)))
		all = append(all, d.with(name, "webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)), false))
	}
	return all
}

// The functions of docs/webhooks.md, in the languages that they are written in, believe what is to be believed, as Verify does.
func TestWebhookSignature(t *testing.T) {
	page, err := os.ReadFile("../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	all := deliveries(t)
	input, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		header := http.Header{}
		for name, value := range d.Headers {
			header.Set(name, value)
		}
		if err := webhook.Verify(header, d.Body, d.Secrets, 0, time.Now()); (err == nil) != d.genuine {
			t.Errorf("Verify: %s: %v", d.name, err)
		}
	}
	for _, test := range []struct {
		language string
		file     string // where what the page shows goes
		driver   string // what is put after it, or into main.go
		command  []string
	}{
		{"python", "verify.py", `
import json, sys
print(json.dumps([verify(d["headers"], base64.b64decode(d["body"]), d["secrets"]) for d in json.load(sys.stdin)]))
`, []string{"python3", "verify.py"}},
		{"js", "verify.mjs", `
import { readFileSync } from "node:fs";
const all = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(all.map((d) => verify(d.headers, Buffer.from(d.body, "base64"), d.secrets))));
`, []string{"node", "verify.mjs"}},
		{"php", "verify.php", `
$all = json_decode(file_get_contents('php://stdin'), true);
echo json_encode(array_map(fn($d) => verify($d['headers'], base64_decode($d['body']), $d['secrets']), $all));
`, []string{"php", "verify.php"}},
		{"go", "verify.go", `package main

import (
	"encoding/json"
	"net/http"
	"os"
	"time"
)

func main() {
	var all []struct {
		Headers map[string]string
		Body    []byte
		Secrets []string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&all); err != nil {
		panic(err)
	}
	var believed []bool
	for _, d := range all {
		header := http.Header{}
		for name, value := range d.Headers {
			header.Set(name, value)
		}
		believed = append(believed, verify(header, d.Body, d.Secrets, 5*time.Minute))
	}
	_ = json.NewEncoder(os.Stdout).Encode(believed)
}
`, []string{"go", "run", "verify.go", "main.go"}},
	} {
		t.Run(test.language, func(t *testing.T) {
			if _, err := exec.LookPath(test.command[0]); err != nil {
				if test.language != "php" || os.Getenv("CI") == "true" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			shown := regexp.MustCompile("(?s)```" + test.language + "\n(.*?)```").FindSubmatch(page)
			if shown == nil {
				t.Fatal("the page shows none")
			}
			dir := t.TempDir()
			files := map[string]string{test.file: string(shown[1]) + test.driver}
			if test.language == "go" {
				files = map[string]string{test.file: string(shown[1]), "main.go": test.driver}
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), test.command[0], test.command[1:]...)
			cmd.Dir, cmd.Stdin, cmd.Stderr = dir, bytes.NewReader(input), t.Output()
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var believed []bool
			if err := json.Unmarshal(out, &believed); err != nil || len(believed) != len(all) {
				t.Fatalf("it says %s", out)
			}
			for i, d := range all {
				if believed[i] != d.genuine {
					t.Errorf("%s: it says %v", d.name, believed[i])
				}
			}
		})
	}
}
