//go:build unix

// Package pane has programs run on terminals of tmux, for tests that type and read.
package pane

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Patience is how long a pane may take to show what it shall.
const Patience = 20 * time.Second

// A Pane is a terminal of tmux with a program on it. It is for the goroutine of its test.
type Pane struct {
	// Home is the home directory of the program. What it writes to the terminal is in the file output there.
	Home string

	t      *testing.T
	socket string
}

// New runs a program on a terminal of that size, with variables as name=value added to its environment. At its end the
// terminal shows its exit code and whether it was left as it was: [ended 0, restored]. It ends with the test. Where there is no
// tmux the test is skipped, or fails in CI.
func New(t *testing.T, columns, rows int, environment []string, program ...string) *Pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("tmux is not here")
	}
	dir := t.TempDir()
	p := &Pane{Home: dir, t: t, socket: filepath.Join(dir, "tmux")}
	quoted := make([]string, len(program))
	for i, word := range program {
		quoted[i] = "'" + word + "'"
	}
	script := filepath.Join(dir, "run")
	var exports strings.Builder // within the shell, for tmux says what TERM is
	for _, e := range append(environment, "LC_ALL=C.UTF-8", "HOME="+dir) {
		exports.WriteString("export '" + e + "'\n")
	}
	text := exports.String() + fmt.Sprintf("read -r line\nbefore=$(stty -g)\n%s\ncode=$?\n[ \"$(stty -g)\" = \"$before\" ] && echo \"[ended $code, restored]\" || echo \"[ended $code, NOT RESTORED]\"\nread -r line\n", strings.Join(quoted, " "))
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"-f", "/dev/null", "new-session", "-d", "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows)}
	t.Cleanup(func() {
		_ = exec.Command("tmux", "-S", p.socket, "kill-server").Run() // it may have ended with its session
	})
	p.tmux(append(arguments, "sh", script)...)
	p.tmux("set-option", "-g", "status", "off")
	p.tmux("pipe-pane", "cat > '"+filepath.Join(dir, "output")+"'")
	p.Press("Enter") // begins
	return p
}

func (p *Pane) tmux(arguments ...string) string {
	p.t.Helper()
	command := exec.Command("tmux", append([]string{"-u", "-S", p.socket}, arguments...)...)
	command.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TERM=xterm-256color", "TMUX=")
	out, err := command.CombinedOutput()
	if err != nil {
		p.t.Fatalf("tmux %q: %v\n%s", arguments, err, out)
	}
	return string(out)
}

// Type types text.
func (p *Pane) Type(text string) { p.t.Helper(); p.tmux("send-keys", "-l", "--", text) }

// Press presses keys, by their names in tmux: Enter, C-c, Up.
func (p *Pane) Press(keys ...string) { p.t.Helper(); p.tmux(append([]string{"send-keys"}, keys...)...) }

// Paste pastes text, as a bracketed paste if the program has asked for that.
func (p *Pane) Paste(text string) {
	p.t.Helper()
	p.tmux("set-buffer", "--", text)
	p.tmux("paste-buffer", "-p")
}

// Resize gives the terminal another size. tmux tells the program within a quarter of a second.
func (p *Pane) Resize(columns, rows int) {
	p.t.Helper()
	p.tmux("resize-window", "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows))
}

// Screen is what the pane shows, without the empty rows at its end.
func (p *Pane) Screen() string {
	p.t.Helper()
	lines := strings.Split(p.tmux("capture-pane", "-p"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// Until waits until the pane shows what is wanted.
func (p *Pane) Until(what string, wanted func(screen string) bool) string {
	p.t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		screen := p.Screen()
		if wanted(screen) {
			return screen
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the pane does not show %s:\n%s", what, screen)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Shows waits for texts, which may be broken over rows only where they have newlines.
func (p *Pane) Shows(texts ...string) string {
	p.t.Helper()
	return p.Until(fmt.Sprintf("%q", texts), func(screen string) bool {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}

// Ends waits until the last row is a text.
func (p *Pane) Ends(text string) string {
	p.t.Helper()
	return p.Until(fmt.Sprintf("%q at its end", text), func(screen string) bool { return strings.HasSuffix(screen, text) })
}
