//go:build unix

package diskstore_test

import (
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"
)

// Where the file may not grow the disk is full, too; the limit holds for a process, so that this takes one of its own.
func TestFileLimit(t *testing.T) {
	const variable = "BARO_DISKSTORE_LIMIT"
	dir := os.Getenv(variable)
	if dir == "" {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFileLimit$", "-test.v")
		c.Env = append(os.Environ(), variable+"="+t.TempDir())
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		t.Logf("%s", out)
		return
	}
	signal.Ignore(unix.SIGXFSZ)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	limit := was
	limit.Cur = 600_000
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	diskFull(t, dir, func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
	})
}
