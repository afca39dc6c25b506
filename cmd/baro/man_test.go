package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The pages are there for each command, the same each time, and man can read them.
func TestMan(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1767225600")
	dir := t.TempDir()
	var out bytes.Buffer
	if code := run([]string{"man", "--dir", dir}, &out, &out); code != 0 {
		t.Fatal(code, out.String())
	}
	n := 0
	each(newRoot(), func(c *cobra.Command) {
		n++
		name := filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")
		text, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(text, []byte(`"Jan 2026"`)) || !bytes.Contains(text, []byte("EXAMPLE")) {
			t.Errorf("%s: %v: %.300s", c.CommandPath(), err, text)
		}
	})
	if !strings.Contains(out.String(), "pages in "+dir) || n < 15 {
		t.Error(out.String(), n)
	}
	if _, err := exec.LookPath("man"); err != nil {
		return
	}
	read := exec.CommandContext(t.Context(), "man", "--warnings", "-l", filepath.Join(dir, "baro-publish.1"))
	read.Env = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C.UTF-8")
	text, err := read.CombinedOutput()
	if err != nil || !bytes.Contains(text, []byte("Publish messages in channels")) {
		t.Errorf("%v: %s", err, text)
	}
}

// Shells complete commands, flags and their values.
func TestCompletion(t *testing.T) {
	for words, want := range map[string]string{
		"sub":                             "subscribe",
		"subscribe --transport ":          "event-stream",
		"subscribe news --after ":         "oldest",
		"replay x ws://a --compare ":      "exact",
		"replay x ws://a --speed ":        "max",
		"record ws://a --protocol ":       "socketio",
		"connect ws://a --protocol ":      "webtransport",
		"connect ws://a --http ":          "2",
		"connect ws://a --proxy ":         "socks5h://",
		"doctor ws://a --protocol ":       "channel",
		"doctor ws://a --color ":          "never",
		"bench ws://a --scenario ":        "fanout",
		"bench ws://a --publish-by ":      "websocket",
		"bench ws://a --transport ":       "longpoll",
		"bench ws://a --proxy ":           "none",
		"token secret --type ":            "ed25519",
		"token key --scope ":              "publish",
		"completion ":                     "powershell",
		"publish --proxy ":                "socks5://",
		"publish --idempotency-key k --e": "--event",
	} {
		var out bytes.Buffer
		if code := run(append([]string{"__complete"}, strings.Split(words, " ")...), &out, &out); code != 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %d, %s", words, code, out.String())
		}
	}
	for name := range shells {
		var out bytes.Buffer
		if code := run([]string{"completion", name}, &out, &out); code != 0 || !strings.Contains(out.String(), "baro") {
			t.Errorf("%s: %d", name, code)
		}
	}
	var out bytes.Buffer
	if code := run([]string{"completion", "tcsh"}, &out, &out); code != 2 {
		t.Error(code, out.String())
	}
}
