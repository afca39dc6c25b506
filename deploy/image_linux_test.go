package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// instruction gives what the last instruction of that name in the Dockerfile says.
func instruction(t *testing.T, dockerfile, name string) string {
	t.Helper()
	all := regexp.MustCompile(`(?m)^`+name+` (.*)$`).FindAllStringSubmatch(dockerfile, -1)
	if len(all) == 0 {
		t.Fatalf("the Dockerfile has no %s", name)
	}
	return all[len(all)-1][1]
}

// What the Dockerfile says of the image is what the program needs: it runs in a root directory with nothing else, as a user without a
// name, and its health check finds it. That builds the whole command once more: make prove.
func TestImage(t *testing.T) {
	dockerfile := strings.ReplaceAll(read(t, "../Dockerfile"), "\\\n", " ")
	if from, user := instruction(t, dockerfile, "FROM"), instruction(t, dockerfile, "USER"); from != "scratch" || user != "65532:65532" {
		t.Errorf("the image is from %s, its user %s", from, user)
	}
	if check := instruction(t, dockerfile, "HEALTHCHECK"); !strings.HasSuffix(check, `CMD ["/baro", "healthcheck"]`) {
		t.Errorf("HEALTHCHECK %s", check)
	}
	if os.Getenv("BARO_PROOF") == "" {
		t.Skip("BARO_PROOF=1 runs it")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, for chroot(2)")
	}
	root := t.TempDir()
	for _, dir := range []string{root, filepath.Dir(root)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(root, "baro"), "../cmd/baro")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data := filepath.Join(root, "var/lib/baro")
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	inside := func(arguments ...string) *exec.Cmd {
		c := exec.CommandContext(t.Context(), "/baro", arguments...)
		c.Dir = "/"
		c.Env = []string{"BARO_LISTEN=127.0.0.1:18200", "BARO_ADMIN_LISTEN=127.0.0.1:18201", "BARO_DATA=/var/lib/baro"}
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		return c
	}
	var log bytes.Buffer
	server := inside("serve", "--dev")
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for {
		out, err := inside("healthcheck").CombinedOutput()
		if err == nil {
			break
		}
		if time.Since(began) > 30*time.Second {
			t.Errorf("not healthy: %v, %s", err, out)
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("%v: %s", err, &log)
	}
	if entries, err := os.ReadDir(data); err != nil || len(entries) == 0 {
		t.Errorf("nothing was kept: %v", err)
	}
}
