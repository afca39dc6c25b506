package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// repository makes one with a small program in it, in a directory of its own. Its commit is always the same.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                   "module example.com/hello\n\ngo 1.26\n",
		"main.go":                  "package main\n\nfunc main() { println(\"hello\") }\n",
		"LICENSE":                  "Permission is hereby granted, free of charge, to everybody.\n",
		"bundle/package-lock.json": `{"packages": {"": {}, "node_modules/@a/b": {"version": "1.2.3", "integrity": "sha512-AAEC", "license": "MIT"}}}`,
		"bundle/.gitignore":        "node_modules\n",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	write(t, filepath.Join(dir, "bundle/node_modules/@a/b/LICENSE.txt"), "Permission is hereby granted, free of charge, to you.\n")
	for _, arguments := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-qm", "x"}, {"tag", "v1.2.3"}} {
		c := exec.CommandContext(t.Context(), "git", arguments...)
		c.Dir = dir
		c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x@example.com", "GIT_COMMITTER_NAME=x",
			"GIT_COMMITTER_EMAIL=x@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", arguments, err, out)
		}
	}
	return dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func hello(dir, out string) *release {
	return &release{dir: dir, out: out, name: "hello", pkg: ".", bundle: "bundle", files: []string{"LICENSE"}, targets: []target{{"linux", "amd64"}, {"windows", "amd64"}}}
}

// content is a file of an archive.
type content struct {
	mode os.FileMode
	time time.Time
	text []byte
}

func untar(t *testing.T, name string) map[string]content {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]content)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = content{h.FileInfo().Mode(), h.ModTime, text}
	}
}

// Whoever builds the same gets the same, in another directory and at another time.
func TestReproducible(t *testing.T) {
	out, other := t.TempDir(), t.TempDir()
	if err := hello(repository(t), out).build(); err != nil {
		t.Fatal(err)
	}
	r := hello(repository(t), other)
	r.targets = r.targets[:1]
	if err := r.build(); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(filepath.Join(other, "SHA256SUMS"))
	if err != nil || len(again) == 0 || !bytes.HasPrefix(sums, again) {
		t.Errorf("once\n%sand then (%v)\n%s", sums, err, again)
	}
	if !regexp.MustCompile(`^([0-9a-f]{64}  hello-v1\.2\.3-(linux|windows)-amd64\.(tar\.gz|zip|cdx\.json)\n){4}$`).Match(sums) {
		t.Errorf("the checksums are\n%s", sums)
	}
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = out
	if said, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}

	files := untar(t, filepath.Join(out, "hello-v1.2.3-linux-amd64.tar.gz"))
	for name, mode := range map[string]os.FileMode{
		"hello": 0o755, "LICENSE": 0o644, "THIRD-PARTY-LICENSES.txt": 0o644, "hello.cdx.json": 0o644,
		"completions/hello.bash": 0o644, "completions/_hello": 0o644, "completions/hello.fish": 0o644, "completions/hello.ps1": 0o644,
	} {
		f, ok := files["hello-v1.2.3-linux-amd64/"+name]
		if !ok || f.mode != mode || !f.time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
			t.Errorf("%s: %v, %v, %v", name, ok, f.mode, f.time)
		}
	}
	if len(files) != 8 {
		t.Errorf("%d files", len(files))
	}
	if texts := string(files["hello-v1.2.3-linux-amd64/THIRD-PARTY-LICENSES.txt"].text); !strings.Contains(texts, "@a/b 1.2.3: MIT") || !strings.Contains(texts, "The Go Authors") {
		t.Errorf("the licences: %.500s", texts)
	}
	z, err := zip.OpenReader(filepath.Join(out, "hello-v1.2.3-windows-amd64.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if _, err := z.Open("hello-v1.2.3-windows-amd64/hello.exe"); err != nil {
		t.Error(err)
	}
	checkBill(t, out)
}

// checkBill has the list of parts name what is linked and embedded, by names that others know.
func checkBill(t *testing.T, out string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "hello-v1.2.3-linux-amd64.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var b bom
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	if main := b.Metadata.Component; b.Format != "CycloneDX" || main.PURL != "pkg:golang/example.com/hello@v1.2.3" || len(main.Hashes) != 1 {
		t.Errorf("it is of %+v", main)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(b.SerialNumber) {
		t.Errorf("its number is %s", b.SerialNumber)
	}
	if len(b.Components) != 2 || !strings.HasPrefix(b.Components[0].PURL, "pkg:golang/std@1.") || b.Components[1].PURL != "pkg:npm/%40a/b@1.2.3" ||
		b.Components[1].Hashes[0] != (bomHash{"SHA-512", "000102"}) || b.Components[1].Licences[0].Expression != "MIT" {
		t.Errorf("its parts are %+v", b.Components)
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(dir string)
		want  string
	}{
		"not committed": {func(dir string) { write(t, filepath.Join(dir, "new.go"), "package main\n") }, "not committed"},
		"no repository": {func(dir string) { _ = os.RemoveAll(filepath.Join(dir, ".git")) }, "does not know the commit"},
		"a licence that nobody knows": {func(dir string) {
			write(t, filepath.Join(dir, "bundle/node_modules/@a/b/LICENSE.txt"), "All rights reserved.\n")
		}, "@a/b has no licence"},
		"no bundle": {func(dir string) { _ = os.RemoveAll(filepath.Join(dir, "bundle/node_modules")) }, "make client"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := repository(t)
			test.spoil(dir)
			r := hello(dir, t.TempDir())
			r.targets = r.targets[:1]
			if err := r.build(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v; want %q", err, test.want)
			}
		})
	}
	if _, err := parseTargets("linux"); err == nil {
		t.Error("linux is no system")
	}
}

func TestIdentify(t *testing.T) {
	for text, want := range map[string]string{
		"Permission is hereby\n granted, free of charge":                                    "MIT",
		"Apache License\n Version 2.0":                                                      "Apache-2.0",
		"Redistribution and use in source and binary forms ... endorse or promote products": "BSD-3-Clause",
		"Redistribution and use in source and binary forms":                                 "BSD-2-Clause",
		"All rights reserved.":                                                              "",
	} {
		if got := strings.Join(identify(text), ","); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
}
