//go:build unix

package terminal_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"baro.dev/internal/cli/terminal"
)

// Nobody else reads what was typed.
func TestHistoryIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "baro", "history")
	h, err := terminal.OpenHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Add("hello"); err != nil {
		t.Fatal(err)
	}
	modes := func() string {
		t.Helper()
		dir, err := os.Stat(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return dir.Mode().Perm().String() + " " + file.Mode().Perm().String()
	}
	if got := modes(); got != "-rwx------ -rw-------" {
		t.Error(got)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("\"a\"\n\"b\"\nnot quoted\n", 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	h, err = terminal.OpenHistory(path)
	if err != nil || h.Len() != 1000 {
		t.Errorf("%d entries, %v", h.Len(), err)
	}
	if got := modes(); got != "-rwx------ -rw-------" {
		t.Errorf("after a change of mode: %s", got)
	}
}

// A history that cannot be kept keeps nobody from typing.
func TestHistoryThatCannotBeKept(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, fifo, filepath.Join(fifo, "history")} {
		h, err := terminal.OpenHistory(path)
		if err == nil {
			t.Errorf("%s: no error", path)
		}
		if err := h.Add("hello"); err != nil || h.Len() != 1 {
			t.Errorf("%s: %v, %d entries", path, err, h.Len())
		}
	}
}
