package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// release is what is built, and of what. Paths in it are relative to dir.
type release struct {
	dir     string
	out     string // relative to the working directory
	name    string
	pkg     string
	tags    string
	bundle  string   // an npm package whose dependencies are embedded; "" for none
	files   []string // beside the program
	targets []target
	dirty   bool
}

// build builds everything into r.out.
func (r *release) build() error {
	work, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	completions, err := r.completions(work)
	if err != nil {
		return err
	}
	var built []string
	for _, t := range r.targets {
		names, err := r.buildTarget(t, work, completions)
		if err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		built = append(built, names...)
	}
	return writeSums(r.out, built)
}

// compile builds the program for a system, and gives its path.
func (r *release) compile(t target, work string) (string, error) {
	program := filepath.Join(work, t.String(), r.name)
	if t.os == "windows" {
		program += ".exe"
	}
	arguments := []string{"build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", program}
	if r.tags != "" {
		arguments = append(arguments, "-tags="+r.tags)
	}
	_, err := r.run(environment(t), "go", append(arguments, r.pkg)...)
	return program, err
}

// environment has nothing that changes what is built.
func environment(t target) []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off",
		"GOOS="+t.os, "GOARCH="+t.arch)
}

// run runs a program in the module, and gives what it says.
func (r *release) run(environment []string, name string, arguments ...string) (string, error) {
	c := exec.Command(name, arguments...)
	c.Dir, c.Env = r.dir, environment
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", c, err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// completions has the program for this machine write what shells complete it by.
func (r *release) completions(work string) ([]entry, error) {
	program, err := r.compile(target{runtime.GOOS, runtime.GOARCH}, work)
	if err != nil {
		return nil, err
	}
	program, err = filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for shell, name := range map[string]string{"bash": r.name + ".bash", "zsh": "_" + r.name, "fish": r.name + ".fish", "powershell": r.name + ".ps1"} {
		script, err := r.run(os.Environ(), program, "completion", shell)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{"completions/" + name, 0o644, []byte(script + "\n")})
	}
	return entries, nil
}

// buildTarget builds for one system, and names the files it has made.
func (r *release) buildTarget(t target, work string, entries []entry) ([]string, error) {
	program, err := r.compile(t, work)
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	written, err := r.committed(info)
	if err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	parts, err := r.components(info)
	if err != nil {
		return nil, err
	}
	list, err := bill(r.name, info, parts, sha256.Sum256(binary), written)
	if err != nil {
		return nil, err
	}
	entries = append(slices.Clone(entries), entry{filepath.Base(program), 0o755, binary}, entry{"THIRD-PARTY-LICENSES.txt", 0o644, licences(parts)},
		entry{r.name + ".cdx.json", 0o644, list})
	for _, name := range r.files {
		content, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(name, "deploy/systemd/") && t.os != "linux" {
			continue
		}
		entries = append(entries, entry{strings.TrimPrefix(name, "deploy/"), 0o644, content})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })

	base := r.name + "-" + info.Main.Version + "-" + t.String()
	archive, pack := base+".tar.gz", tarball
	if t.os == "windows" {
		archive, pack = base+".zip", zipped
	}
	data, err := pack(base, entries, written)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{archive: data, base + ".cdx.json": list} {
		if err := os.WriteFile(filepath.Join(r.out, name), content, 0o644); err != nil {
			return nil, err
		}
	}
	fmt.Printf("%s  %.1f MB\n", archive, float64(len(data))/1e6)
	return []string{archive, base + ".cdx.json"}, nil
}

// committed is when what was built was written. It must be what is committed, so that it can be built again.
func (r *release) committed(info *buildinfo.BuildInfo) (time.Time, error) {
	var at string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.time":
			at = s.Value
		case s.Key == "vcs.modified" && s.Value == "true" && !r.dirty:
			return time.Time{}, errors.New("there are changes that are not committed; -dirty builds them all the same")
		}
	}
	if at == "" {
		return time.Time{}, errors.New("the Go command does not know the commit: is this a clone of the repository, and git here?")
	}
	return time.Parse(time.RFC3339, at)
}
