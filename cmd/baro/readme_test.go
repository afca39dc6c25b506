package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// commandsOf are the lines of a page that a shell runs, without their comments.
func commandsOf(t *testing.T, file string) []string {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, line := range regexp.MustCompile(`(?m)^(?:    )?(?:curl|go run|make|ws:|baro) .*$`).FindAllString(string(page), -1) {
		line, _, _ = strings.Cut(line, " #")
		all = append(all, strings.TrimSpace(line))
	}
	return all
}

// The commands of the README do what it says: each that reads sees what each that publishes has sent.
func TestReadme(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil && os.Getenv("CI") == "true" {
		t.Fatal("needs curl: run make setup")
	} else if err != nil {
		t.Skip("needs curl: run make setup")
	}
	commands := commandsOf(t, "../../README.md")
	if korean := commandsOf(t, "../../README.ko.md"); !slices.Equal(korean, commands) {
		t.Errorf("the pages are not in step: %q and %q", commands, korean)
	}
	if !slices.Contains(commands, "go run ./cmd/baro serve --dev") || !slices.Contains(commands, "make test") {
		t.Errorf("the promise is not kept: %q", commands)
	}
	s := serveCommand(t, []string{"BARO_LISTEN=127.0.0.1:0"})
	address := strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/")
	var readers []*reader
	var publishers []string
	for _, c := range append(commands, commandsOf(t, "../../docs/quick-start.md")...) {
		here := strings.ReplaceAll(c, "localhost:8000", address)
		switch {
		case !strings.HasPrefix(c, "curl") || strings.Contains(c, "Authorization"):
		case strings.Contains(c, " -d "):
			publishers = append(publishers, here)
		default:
			readers = append(readers, &reader{command: here})
		}
	}
	if len(readers) < 4 || len(publishers) < 4 {
		t.Fatalf("%d commands read and %d publish", len(readers), len(publishers))
	}
	for _, r := range readers {
		if strings.Contains(r.command, "-N") {
			r.start(t)
		}
	}
	publish := func() {
		for _, c := range publishers {
			out, err := exec.CommandContext(t.Context(), "sh", "-c", c).CombinedOutput()
			if err != nil || !strings.Contains(string(out), `"offset":`) {
				t.Fatalf("%s: %v, %s", c, err, out)
			}
		}
	}
	publish()
	for _, r := range readers {
		if !strings.Contains(r.command, "-N") {
			r.start(t)
		}
	}
	// A stream has what comes after it has begun, which is not known from here.
	for _, r := range readers {
		for deadline := time.Now().Add(time.Minute); !r.has("메세지") || !r.has("hello"); {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s", r.command, r.text())
			}
			publish()
		}
	}
}

// reader is a command that reads a channel, until the test ends.
type reader struct {
	command string
	mu      sync.Mutex
	out     bytes.Buffer
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

func (r *reader) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

func (r *reader) has(text string) bool { return strings.Contains(r.text(), text) }

func (r *reader) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "sh", "-c", "exec "+r.command)
	c.Stdout = r
	c.WaitDelay = time.Minute
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.Wait()
	})
}

// What the pages link to is there.
func TestLinks(t *testing.T) {
	for _, page := range []string{
		"README.md", "README.ko.md", "docs/quick-start.md", "docs/serve.md", "docs/channels.md", "docs/auth.md", "docs/webhooks.md", "docs/configuration.md",
	} {
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		dir := "../../"
		if strings.HasPrefix(page, "docs/") {
			dir += "docs/"
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)[^)]*\)`).FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(dir + link[1]); err != nil && !strings.HasPrefix(link[1], "http") {
				t.Errorf("%s links to %s", page, link[1])
			}
		}
	}
}

// The commands of the quick start that prepare a server do so: its configuration is right with what they printed.
func TestQuickStart(t *testing.T) {
	page, err := os.ReadFile("../../docs/quick-start.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, _ := strings.Cut(string(page), "```sh\nbaro")
	script, _, _ = strings.Cut("baro"+script, "```")
	_, file, _ := strings.Cut(string(page), "```yaml\n")
	file, _, _ = strings.Cut(file, "```")
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(executable, filepath.Join(dir, "baro")); err != nil {
		t.Fatal(err)
	}
	shell := func(script string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script)
		c.Dir = dir
		c.Env = append(os.Environ(), "BARO_TEST_AS_COMMAND=1", "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v, %s", script, err, out)
		}
		return string(out)
	}
	entry := regexp.MustCompile(`\{"id":"shop".*\}`).FindString(shell(script))
	shown := regexp.MustCompile(`\{"id": "shop".*\}`).FindString(file)
	if entry == "" || shown == "" {
		t.Fatalf("there is no key in %s", file)
	}
	if err := os.WriteFile(filepath.Join(dir, "baro.yml"), []byte(strings.Replace(file, shown, entry, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := shell("baro check --config baro.yml"); !strings.Contains(out, "is right") {
		t.Errorf("%s", out)
	}
	shell("baro token mint --key-file token.secret --user kim > token")
}

// The examples of the help let somebody in: a server that nobody could use does not begin.
func TestServeExamples(t *testing.T) {
	code, out, errs := baro(t, "", "serve", "--help")
	if code != 0 {
		t.Fatal(errs)
	}
	examples := regexp.MustCompile(`(?m)^  baro serve -.*$`).FindAllString(out, -1)
	if len(examples) < 4 {
		t.Error(out)
	}
	for _, e := range examples {
		if !strings.Contains(e, "--dev") && !strings.Contains(e, "--config") {
			t.Errorf("%s: nobody could use it", e)
		}
	}
}
