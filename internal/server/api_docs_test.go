package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"baro.dev/internal/clients"
)

// scripts are the commands of a page, block by block.
func scripts(t *testing.T, page string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(text), "```sh\n") {
		if i > 0 {
			block, _, _ := strings.Cut(part, "```")
			blocks = append(blocks, block)
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no commands", page)
	}
	return blocks
}

// shell makes a command that runs a block against s. curl fails when it is answered with an error.
func shell(t *testing.T, s *Server, dir, block string) *exec.Cmd {
	t.Helper()
	block = strings.ReplaceAll(block, "localhost:8000", s.listener.Addr().String())
	c := exec.CommandContext(t.Context(), "sh", "-eu", "-c", block)
	c.Dir = dir
	c.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	return c
}

// The commands of the pages do what these say.
func TestAPIDocs(t *testing.T) {
	curl, err := exec.LookPath("curl")
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal("needs curl: run make setup")
	default:
		t.Skip("needs curl: run make setup")
	}
	for _, page := range []string{"http-api.md", "devices.md"} {
		t.Run(page, func(t *testing.T) {
			s, _ := startAPI(t, Config{Dev: true})
			connectDevice(t, s, "kim", nil)
			connectDevice(t, s, "door-7", func(d *device, c clients.Call) {
				if c.Method == "open" && string(c.Data) == `{"for": "5s"}` {
					_ = d.Answer(c.ID, json.RawMessage(`{"opened":true}`), nil)
				}
			})
			dir := t.TempDir()
			script := fmt.Sprintf("#!/bin/sh\nexec '%s' -sS --noproxy '*' --fail-with-body \"$@\"\n", curl)
			if err := os.WriteFile(filepath.Join(dir, "curl"), []byte(script), 0o700); err != nil { //nolint:gosec // it is to be run
				t.Fatal(err)
			}
			var said strings.Builder
			for _, block := range scripts(t, page) {
				c := shell(t, s, dir, block)
				if strings.HasPrefix(block, "curl -N") { // it does not end by itself
					said.WriteString(firstEvent(t, c))
					continue
				}
				out, err := c.CombinedOutput()
				if err != nil {
					t.Errorf("%s\n%v: %s", block, err, out)
				}
				said.Write(out)
			}
			for _, want := range map[string][]string{
				"http-api.md": {`"offset":1,`, `"results":[`, "data: hello", `"data":{"opened":true}`, `{"clients":1}`, `"more":false`, `"version":`},
				"devices.md":  {`"offset":1,`, `"data":{"opened":true}`, `"state":"held"`, `"user":"door-7"`},
			}[page] {
				if !strings.Contains(said.String(), want) {
					t.Errorf("nothing says %s in\n%s", want, said.String())
				}
			}
		})
	}
}

// firstEvent runs a command until an event has come.
func firstEvent(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	var text bytes.Buffer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&text, lines.Text())
		if strings.HasPrefix(lines.Text(), "data: ") {
			break
		}
	}
	return text.String()
}
