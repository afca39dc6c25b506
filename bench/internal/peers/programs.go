//go:build linux

package peers

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNotInstalled says that a server that is a program of its own is not there, or what it needs is not.
var ErrNotInstalled = errors.New("not installed: \"bench install\" does that")

const zishangModule = "github.com/zishang520/socket.io/servers/socket/v3"

// directory is one of this module's, found from the working directory, which is in this repository.
func directory(name string) (string, error) {
	working, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := working; ; dir = filepath.Dir(dir) {
		for _, module := range []string{dir, filepath.Join(dir, "bench")} {
			b, _ := os.ReadFile(filepath.Join(module, "go.mod"))
			if strings.HasPrefix(string(b), "module baro.dev/bench\n") {
				return filepath.Join(module, name), nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in this repository, whose directory bench/%s has the server", working, name)
		}
	}
}

// nodeCommand runs the official Socket.IO server. It exposes the garbage collector, so that memory can be given back.
func nodeCommand() ([]string, error) {
	dir, err := directory("node")
	if err != nil {
		return nil, err
	}
	if nodeVersions()["socket.io"] == "" {
		return nil, ErrNotInstalled
	}
	_, err = exec.LookPath("node")
	return []string{"node", "--expose-gc", filepath.Join(dir, "server.mjs")}, err
}

// zishangCommand runs the program of bench/zishang.
func zishangCommand() ([]string, error) {
	dir, err := directory("zishang")
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "zishang")
	if _, err := os.Stat(program); err != nil {
		return nil, ErrNotInstalled
	}
	return []string{program}, nil
}

// Versions are those of the modules and packages of servers that are programs of their own, and of node, if they are there.
func Versions() map[string]string {
	versions := nodeVersions()
	if v := centrifugoVersion(); v != "" {
		versions[centrifugoModule] = v
	}
	dir, err := directory("zishang")
	if err != nil {
		return versions
	}
	info, err := buildinfo.ReadFile(filepath.Join(dir, "zishang"))
	if err != nil {
		return versions
	}
	for _, d := range info.Deps {
		if d.Path == zishangModule {
			versions[d.Path] = d.Version
		}
	}
	return versions
}

func nodeVersions() map[string]string {
	versions := make(map[string]string)
	dir, err := directory("node")
	if err != nil {
		return versions
	}
	for _, name := range []string{"socket.io", "ws"} {
		var manifest struct{ Version string }
		b, err := os.ReadFile(filepath.Join(dir, "node_modules", name, "package.json"))
		if err == nil && json.Unmarshal(b, &manifest) == nil {
			versions[name] = manifest.Version
		}
	}
	if len(versions) > 0 {
		if b, err := exec.Command("node", "--version").Output(); err == nil {
			versions["node"] = strings.TrimSpace(string(b))
		}
	}
	return versions
}

// Install gets what the servers need that are programs of their own: packages with npm, and a Go module. What cannot be
// had does not keep the others from being installed.
func Install() error {
	return errors.Join(
		install("node", "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"),
		install("zishang", "go", "build", "-o", "zishang", "."),
	)
}

func install(name string, command ...string) error {
	dir, err := directory(name)
	if err != nil {
		return err
	}
	c := exec.Command(command[0], command[1:]...)
	c.Dir, c.Stdout, c.Stderr = dir, os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %s: %w", name, strings.Join(command, " "), err)
	}
	return nil
}
