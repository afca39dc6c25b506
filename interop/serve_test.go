package interop

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildBaro builds the command once for all tests, with the race detector if they have it.
var buildBaro = sync.OnceValues(func() (string, error) {
	path, err := filepath.Abs("../bin/baro-interop")
	if err != nil {
		return "", err
	}
	args := []string{"build", "-o", path}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "./cmd/baro")...)
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building baro: %w\n%s", err, out)
	}
	return path, nil
})

// baroServe runs `baro serve` until the end of the test and returns the URL that it prints when it is ready. It fails
// the test unless the server stops, and says so with its exit code, when it is told to.
func baroServe(t *testing.T, args ...string) string {
	t.Helper()
	path, err := buildBaro()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"serve", "--dev", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed := make(chan string, 1)
	go func() {
		defer close(printed)
		address := regexp.MustCompile(`https?://\S+`)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if found := address.FindString(lines.Text()); found != "" && len(printed) == 0 {
				printed <- found
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		for range printed {
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("baro serve, after TERM: %v", err)
		}
	})
	select {
	case url, ok := <-printed:
		if !ok {
			t.Fatal("baro serve: ended before it was ready")
		}
		return url
	case <-time.After(patience):
		t.Fatalf("baro serve: printed no URL within %v", patience)
	}
	panic("unreachable")
}
