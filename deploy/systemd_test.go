package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The unit allows what the server takes by default: its time to stop, and its connections.
func TestSystemdUnit(t *testing.T) {
	c := settings(t, read(t, "systemd/baro.yml"), nil)
	unit := read(t, "systemd/baro.service")
	value := func(key string) string {
		_, rest, ok := strings.Cut(unit, "\n"+key+"=")
		if !ok {
			t.Fatalf("the unit has no %s", key)
		}
		line, _, _ := strings.Cut(rest, "\n")
		return line
	}
	if stop, err := time.ParseDuration(value("TimeoutStopSec")); err != nil || stop <= c.Drain+c.Server.DrainDelay {
		t.Errorf("TimeoutStopSec is %v (%v), the server may take %v", stop, err, c.Drain)
	}
	if limit, err := strconv.Atoi(value("LimitNOFILE")); err != nil || limit < 2*max(c.Server.MaxConnections, 65_536) {
		t.Errorf("LimitNOFILE is %d (%v)", limit, err)
	}
	if c.Server.Data != "/var/lib/"+value("StateDirectory") {
		t.Errorf("the data are in %s", c.Server.Data)
	}
}

// systemd understands the units, and takes them for safe: 10 is what it says of a service that is not hardened at all.
func TestSystemdVerify(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs systemd-analyze: run make setup")
		}
		t.Skip("needs systemd-analyze: run make setup")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "baro")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var units []string
	for _, name := range []string{"baro.service", "baro.socket"} {
		units = append(units, filepath.Join(dir, name))
		text := strings.ReplaceAll(read(t, "systemd/"+name), "/usr/local/bin/baro", program)
		if err := os.WriteFile(units[len(units)-1], []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, arguments := range [][]string{append([]string{"verify", "--man=no"}, units...), {"security", "--offline=yes", "--threshold=20", units[0]}} {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", arguments...).CombinedOutput()
		if err != nil || arguments[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", arguments[0], err, out)
		}
	}
}
