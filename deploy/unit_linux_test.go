package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A systemd of its own, in a container, starts the units as they are: the server has its socket, its secret and its directory, is
// reloaded, started again without refusing anybody, killed, and found out when it stands still. make prove, as root.
func TestUnit(t *testing.T) {
	if os.Getenv("BARO_PROOF") == "" {
		t.Skip("BARO_PROOF=1 runs it")
	}
	nspawn, err := exec.LookPath("systemd-nspawn")
	if err != nil || os.Getuid() != 0 {
		t.Skip("needs root, and systemd-nspawn of Debian's package systemd-container")
	}
	root, binary := t.TempDir(), filepath.Join(t.TempDir(), "baro")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../cmd/baro")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	host(t, root)
	install := func(from, to string) {
		data := read(t, from)
		write(t, filepath.Join(root, to), data)
	}
	install("systemd/baro.service", "etc/systemd/system/baro.service")
	install("systemd/baro.socket", "etc/systemd/system/baro.socket")
	install("systemd/baro.yml", "etc/baro/baro.yml")
	install("testdata/unit.sh", "srv/unit.sh")
	write(t, filepath.Join(root, "etc/systemd/system/baro.service.d/watchdog.conf"), "[Service]\nWatchdogSec=2s\n")
	write(t, filepath.Join(root, "etc/systemd/system/try.service"), `[Unit]
Wants=baro.socket baro.service
After=baro.socket baro.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
TimeoutStartSec=150s
StandardOutput=file:/srv/result
ExecStart=/bin/bash /srv/unit.sh
`)
	secret := exec.CommandContext(t.Context(), binary, "token", "secret", "--out", filepath.Join(root, "etc/baro/token.secret"))
	if out, err := secret.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	boot := exec.CommandContext(t.Context(), nspawn, "--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe",
		"--directory="+root, "--bind-ro=/usr", "--tmpfs=/usr/local:mode=755", "--bind-ro="+binary+":/usr/local/bin/baro",
		"--boot", "systemd.unit=try.service")
	var console bytes.Buffer
	boot.Stdout, boot.Stderr = &console, &console
	boot.WaitDelay = 10 * time.Second
	if err := boot.Run(); err != nil {
		t.Logf("%v\n%s", err, &console)
	}
	result := read(t, filepath.Join(root, "srv/result"))
	t.Logf("%s", result)
	for _, line := range []string{
		"active active Serving http://localhost:8000/",
		"new privileges NoNewPrivs: 1",
		"reloaded",
		"codes 60 200",
		"kept 60",
		"watchdog 2", // and the kill
		"after it 200",
		"stopped success 0",
		"by its socket inactive 200 active",
	} {
		if !strings.Contains("\n"+result, "\n"+line+"\n") {
			t.Errorf("it does not say: %s", line)
		}
	}
	if strings.Contains(result, "user 0") || strings.Contains(result, "never") {
		t.Error("it runs as root, or something was waited for in vain")
	}
}

// host makes the root directory of a system that has the programs of this one.
func host(t *testing.T, root string) {
	t.Helper()
	for _, dir := range []string{"usr", "run", "tmp", "var/lib", "var/log", "proc", "sys", "dev"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+link, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"os-release", "passwd", "group", "nsswitch.conf", "ld.so.cache"} {
		data, err := os.ReadFile(filepath.Join("/etc", file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, "etc", file), string(data))
	}
	write(t, filepath.Join(root, "etc/machine-id"), "")
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil { //nolint:gosec // others read it: the users of services
		t.Fatal(err)
	}
}
