//go:build linux

package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNotInstalled: a server needs packages that are not there.
var ErrNotInstalled = errors.New("the packages of bench/node are not installed: run \"bench install\"")

// nodeDir is the directory node of this module, which the working directory is in, or else is the one above.
func nodeDir() (string, error) {
	working, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := working; ; dir = filepath.Dir(dir) {
		for _, module := range []string{dir, filepath.Join(dir, "bench")} {
			b, _ := os.ReadFile(filepath.Join(module, "go.mod"))
			if strings.HasPrefix(string(b), "module baro.dev/bench\n") {
				return filepath.Join(module, "node"), nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in this repository, whose directory bench/node has the server", working)
		}
	}
}

// nodeCommand runs the official Socket.IO server. It exposes the garbage collector, so that memory can be given back.
func nodeCommand() ([]string, error) {
	dir, err := nodeDir()
	if err != nil {
		return nil, err
	}
	if NodeVersion("socket.io") == "" {
		return nil, ErrNotInstalled
	}
	return []string{"node", "--expose-gc", filepath.Join(dir, "server.mjs")}, nil
}

// NodeVersion is the version of a package in bench/node, or of node itself; "" if it is not there.
func NodeVersion(name string) string {
	if name == "node" {
		b, err := exec.Command("node", "--version").Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	dir, err := nodeDir()
	if err != nil {
		return ""
	}
	var manifest struct{ Version string }
	b, err := os.ReadFile(filepath.Join(dir, "node_modules", name, "package.json"))
	if err != nil || json.Unmarshal(b, &manifest) != nil {
		return ""
	}
	return manifest.Version
}

// Install installs what bench/node needs, with npm.
func Install() error {
	dir, err := nodeDir()
	if err != nil {
		return err
	}
	npm := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	npm.Dir, npm.Stdout, npm.Stderr = dir, os.Stdout, os.Stderr
	return npm.Run()
}
